"""Finds what would make a node fetch from the network at a stranger's word: SERVICE in a query, LOAD in an update."""

from __future__ import annotations

import re

_HARMLESS = re.compile(
    r"""
    \#[^\r\n]*                                  # a comment
    | <[^<>"{}|^`\\\x00-\x20]*>                 # an IRI
    | \"{3}(?:\"{0,2}(?:[^"\\]|\\.))*\"{3}     # strings
    | '{3}(?:'{0,2}(?:[^'\\]|\\.))*'{3}
    | "(?:[^"\\\r\n]|\\.)*"
    | '(?:[^'\\\r\n]|\\.)*'
    | \\.                                       # an escaped character in a name
    | [?$:@]\w+                                 # a variable, the local part of a name, a language
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORD = re.compile("SERVICE|LOAD", re.IGNORECASE)


def reaches_out(text: str) -> str | None:
    """The keyword with which a SPARQL query or update may leave this node, or None.

    The tokens are SPARQL 1.1's (19.8). Errs on the safe side: a prefix called `service` is taken for the keyword.
    """
    if not _KEYWORD.search(text):
        return None
    keyword = _KEYWORD.search(_HARMLESS.sub(" ", text))
    return keyword[0].upper() if keyword else None
