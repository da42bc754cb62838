"""The title of an offering, looked up in its canonical N-Triples without a parser: a gateway reads one of each offering."""

from __future__ import annotations

import re

from catena_core.text import bounded

MOST_CHARACTERS = 200

_TITLE = re.compile(r'"((?:[^"\\]|\\.)*)"(?:@([\w-]+)|\^\^<[^>]*>)? \.')
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def title_of(graph: str, triples: str) -> str:
    """Return the title of an offering: the English one, else one without a language, else the first; empty if it has none.

    Args:
        graph: Its IRI.
        triples: Its canonical N-Triples, sorted.
    """
    start = f"<{graph}> <http://purl.org/dc/terms/title> "
    at = triples.find(start)
    found: dict[str, str] = {}
    while at >= 0 and triples.startswith(start, at):  # sorted lines: its titles follow each other
        if title := _TITLE.match(triples, at + len(start)):
            language = (title[2] or "").lower().partition("-")[0]  # en-GB is English, too
            found.setdefault(language, title[1])
        at = triples.find("\n", at) + 1 or -1
    text = found.get("en", found.get("", next(iter(found.values()), "")))
    if "\\" in text:
        text = " ".join(_ESCAPE.sub(_unescaped, text).split())
    return bounded(text.strip(), MOST_CHARACTERS)


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code is None:
        return _LETTERS.get(escape[3], escape[3])
    return chr(int(code, 16)) if int(code, 16) < 0x110000 else "\ufffd"
