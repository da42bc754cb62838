"""Untrusted JSON-LD, checked before it reaches the parser.

The parser resolves nested contexts, chains of terms and nested nodes by recursion. Its time can grow with the square of a small
document's size, and deep documents overflow its stack, which ends the process. So documents that nest deep or have costly
contexts are refused first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import pyoxigraph as ox

from catena_core.errors import RejectedError
from topology.json_errors import NOT_JSON

_DEEPEST = 100
_MOST_CONTEXTS = 100
_MOST_TERMS = 500
# A short name expands to a long IRI at each use, and names may build on one another.
_LONGEST_DEFINITION = 1000
_MOST_TRIPLES = 100_000
_MOST_CHARACTERS = 20_000_000

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[{]}"))


def read_json_ld(document: bytes, source: str, contexts: Mapping[str, Any]) -> list[ox.Quad]:
    """Parse a JSON-LD 1.1 document (https://www.w3.org/TR/json-ld11/) into quads.

    Args:
        document: The document, UTF-8.
        source: Its URI, the base of relative IRIs.
        contexts: The known contexts by URL; no context is ever fetched.

    Raises:
        RejectedError: The document is not JSON-LD, nests more than 100 levels deep, has too many triples or refers to an
            unknown context. Or it has more than 100 contexts, or a context with more than 500 terms, with definitions of more
            than 1000 characters, or with contexts in its terms.
    """
    if nests_deeper(document, _DEEPEST):
        raise RejectedError(f"the description nests more than {_DEEPEST} levels deep: flatten it")
    try:
        content = msgspec.json.decode(document)
    except NOT_JSON as error:
        raise RejectedError(f"the description is not JSON: {error}") from error
    checked = _checked(document, content, contexts)
    try:
        return _bounded(ox.parse(checked, format=ox.RdfFormat.JSON_LD, base_iri=source))
    except (SyntaxError, ValueError) as error:
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


def _bounded(quads: Iterable[ox.Quad]) -> list[ox.Quad]:
    found: list[ox.Quad] = []
    characters = 0
    for quad in quads:
        found.append(quad)
        characters += sum(len(term.value) for term in quad.triple)
        if len(found) > _MOST_TRIPLES:
            raise RejectedError(f"the description has more than {_MOST_TRIPLES} triples")
        if characters > _MOST_CHARACTERS:
            raise RejectedError(
                f"the description has more than {_MOST_CHARACTERS} characters once its names are written out"
            )
    return found


def _checked(document: bytes, content: Any, contexts: Mapping[str, Any]) -> bytes:
    """Check the contexts of a document, and replace references to contexts by their content."""
    only_one = isinstance(content, dict) and document.count(b'"@context"') == 1 and b"\\u" not in document
    if only_one and isinstance(content.get("@context"), dict):
        _check_context(content["@context"])
        return document
    if sum(1 for _ in _contexts_of(content)) > _MOST_CONTEXTS:
        raise RejectedError(f"the description has more than {_MOST_CONTEXTS} contexts: give it one for all of it")
    return msgspec.json.encode(_with_contexts(content, contexts))


def _contexts_of(content: Any, within_context: bool = False) -> Iterator[Any]:
    if isinstance(content, list):
        for item in content:
            yield from _contexts_of(item, within_context)
    elif within_context:
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _contexts_of(value, key == "@context")


def _with_contexts(content: Any, contexts: Mapping[str, Any]) -> Any:
    if isinstance(content, list):
        return [_with_contexts(item, contexts) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        key: _written_out(value, contexts) if key == "@context" else _with_contexts(value, contexts)
        for key, value in content.items()
    }


def _written_out(context: Any, contexts: Mapping[str, Any]) -> Any:
    if isinstance(context, list):
        written_out = [_written_out(item, contexts) for item in context]
        return [one for found in written_out for one in (found if isinstance(found, list) else [found])]
    if isinstance(context, dict):
        _check_context(context)
        return context
    if not isinstance(context, str):
        return context
    if context not in contexts:
        raise RejectedError(
            f"the description refers to the context {context[:200]}, which is not at hand; contexts are never fetched: "
            "name a copy of it in the file JSONLD_CONTEXTS"
        )
    known = contexts[context]
    return known.get("@context", known) if isinstance(known, dict) else known


def _check_context(context: dict[str, Any]) -> None:
    if len(context) > _MOST_TERMS:
        raise RejectedError(f"the description has a context of {len(context)} terms, more than {_MOST_TERMS}")
    for term, definition in context.items():
        values = definition.values() if isinstance(definition, dict) else (definition,)
        if any(isinstance(value, str) and len(value) > _LONGEST_DEFINITION for value in values):
            raise RejectedError(
                f"the description's context defines {term[:100]} with more than {_LONGEST_DEFINITION} characters"
            )
        if isinstance(definition, dict) and "@context" in definition:
            raise RejectedError(f"the description's context has a context of its own for {term[:100]}; write it out")
    if "@import" in context:
        raise RejectedError("the description's context imports another one; write it out")
