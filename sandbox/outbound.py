"""Finds the keywords that make a node send requests: SERVICE in a query, LOAD in an update."""

from __future__ import annotations

import re

_HARMLESS = re.compile(
    r"""
    \#[^\r\n]*                                  # a comment
    | <[^<>"{}|^`\\\x00-\x20]*>                 # an IRI
    | \"{3}(?:\"{0,2}(?:[^"\\]|\\.))*\"{3}     # strings
    | '{3}(?:'{0,2}(?:[^'\\]|\\.))*'{3}
    | "[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*"          # unrolled, since it is most of an update
    | '[^'\\\r\n]*(?:\\.[^'\\\r\n]*)*'
    | \\.                                       # an escaped character in a name
    | [?$:@]\w+                                 # a variable, the local part of a name, a language
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORD = re.compile("SERVICE|LOAD", re.IGNORECASE)


def reaches_out(text: str) -> str | None:
    """Return the keyword with which a SPARQL query or update may send requests; None if there is none.

    The tokens are those of SPARQL 1.1 (19.8). To be safe, a prefix called `service` counts as the keyword.
    """
    lowered = text.encode().lower()  # bytes, since a search in the text of a large update takes fifty times as long
    if b"service" not in lowered and b"load" not in lowered:
        return None
    keyword = _KEYWORD.search(_HARMLESS.sub(" ", text))
    return keyword[0].upper() if keyword else None
