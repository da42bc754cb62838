"""Syntax errors, with the place where a query goes wrong."""

from __future__ import annotations

import re

import pyoxigraph

from federation.analysis.lexer import QueryText
from federation.errors import QuerySyntaxError

_POSITION = re.compile(r"(?:error )?at (\d+):(\d+): (.*)", re.DOTALL)
# The pattern keeps quoted tokens, so that "[" does not begin a class.
_CHARACTER_CLASS = re.compile(r"""("(?:\\.|[^"\\])*")|\[(?:'(?:\\.|[^'\\])*'|[^\]'])*\]""")
_MOST_SHOWN = 200
# Longer than any keyword.
_PADDING = " " * 64


def syntax_error(text: str, message: str, shown: str) -> QuerySyntaxError:
    """Describe a syntax error.

    The parser reports the farthest place that it reached, but counts a missing keyword as read, so that the place is often too
    far on. This looks for the first token after which the text cannot go on.

    Args:
        text: The query, calling no other servers.
        message: pyoxigraph's message.
        shown: The query as it was sent, with each token in the same place.
    """
    found = _POSITION.match(message)
    if not found:
        return QuerySyntaxError(message[:_MOST_SHOWN])
    alternatives = _CHARACTER_CLASS.sub(r"\1", found[3].removeprefix("expected").removeprefix(" one of")).split(", ")
    alternatives = [" ".join(alternative.split()) for alternative in alternatives if alternative.strip(" |\n")]
    sentences = [alternative for alternative in alternatives if re.search("[a-z] [a-z]", alternative)]
    if sentences:
        said = ", ".join(sentences)
        if len(said) > _MOST_SHOWN:
            said = said[:_MOST_SHOWN].rsplit(", ", 1)[0] + ", …"
        return QuerySyntaxError(said, int(found[1]), int(found[2]))
    tokens = QueryText(text).tokens
    first, last = 0, len(tokens)
    while first < last:
        middle = (first + last) // 2
        if _can_go_on(text[: tokens[middle].end]):
            first = middle + 1
        else:
            last = middle
    if first == len(tokens):
        return QuerySyntaxError("the query ends too early", *_position(text, len(text.rstrip())))
    token = tokens[first]
    return QuerySyntaxError(
        f"{shown[token.start : token.end][:40]!r} is not expected here", *_position(text, token.start)
    )


def _can_go_on(text: str) -> bool:
    """Return whether a query may begin like this: then the parser misses something at the end only, however far that is."""
    text += _PADDING
    try:
        pyoxigraph.Store().query(text)
    except SyntaxError as error:
        found = _POSITION.match(str(error))
        return found is None or (int(found[1]), int(found[2])) >= _position(text, len(text))
    except RuntimeError:  # the text is a whole query, which cannot be evaluated
        return True
    return True


def _position(text: str, place: int) -> tuple[int, int]:
    """Return the line and the column of a character, both counted from 1."""
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
