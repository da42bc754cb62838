"""Reads untrusted JSON-LD 1.1 (https://www.w3.org/TR/json-ld11/) within bounds.

The reader works by recursion, so documents that nest deep are refused before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from catena_core.errors import RejectedError
from topology.json_errors import NOT_JSON, reason_of
from topology.rdf.active_context import ContextNotAtHandError, JsonLdError, TooCostlyError
from topology.rdf.expansion import expand
from topology.rdf.statements import Statements, to_statements

_DEEPEST = 100

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[{]}"))


class NoDescriptionError(RejectedError):
    """A document describes no offering at all, as a page that a provider shows in the place of one."""


def read_json_ld(document: bytes, source: str, contexts: Mapping[str, Any], linked: str = "") -> Statements:
    """Read a JSON-LD document.

    Of keys that an object repeats, the last one counts.

    Args:
        document: The document, UTF-8.
        source: Its URI, the base of relative IRIs.
        contexts: The known contexts by URL; no context is ever fetched.
        linked: The URL of the context that the answer with the document names in its headers, relative to its URI.

    Raises:
        NoDescriptionError: The document is not JSON.
        RejectedError: The document is not JSON-LD, refers to a context that is not at hand, or exceeds a bound: of its depth,
            of its contexts' number, size and effect, or of its statements.
    """
    document = document.removeprefix(_BYTE_ORDER_MARK)
    if not document.strip():
        raise NoDescriptionError("the description is empty")
    if nests_deeper(document, _DEEPEST):
        raise RejectedError(f"the description nests more than {_DEEPEST} levels deep: flatten it")
    try:
        return to_statements(expand(msgspec.json.decode(document), source, contexts, linked))
    except msgspec.ValidationError as error:
        raise RejectedError(f"the description has a number that no double holds: {error}") from error
    except RecursionError as error:
        raise RejectedError("the description nests its contexts and terms too deep: flatten them") from error
    except NOT_JSON as error:
        raise NoDescriptionError(f"the description is not JSON in UTF-8: {reason_of(error, document)}") from error
    except OverflowError as error:
        raise RejectedError("the description has a number that no double holds") from error
    except ContextNotAtHandError as error:
        raise RejectedError(
            f"the description refers to the context {error.url[:200]}, which is not at hand; contexts are never fetched: "
            "name a copy of it in the file JSONLD_CONTEXTS"
        ) from error
    except TooCostlyError as error:
        raise RejectedError(f"the description takes too much to read: {error}") from error
    except JsonLdError as error:
        raise RejectedError(f"the description is not JSON-LD: {error}") from error


def nests_deeper(document: bytes, limit: int) -> bool:
    """Tell whether a JSON document nests deeper than a number of levels."""
    if document.count(b"{") + document.count(b"[") <= limit:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", document).translate(None, _NO_BRACKET):
        if bracket in b"{[":
            depth += 1
            if depth > limit:
                return True
        else:
            depth -= 1
    return False
