"""SPARQL text laid out for a terminal: broken at braces and clauses, and shortened where it is long.

For reading only. What a text means is never asked for, so any text can be laid out, valid or not; comments are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from catena_core.text import printable
from federation.analysis.lexer import QueryText, Token

_INDENT = 2
_MOST_INDENTS = 12
_LONGEST_TEXT = 50_000
_LONGEST_TOKEN = 80
_LONGEST_LIST = 4
_SHOWN_OF_LIST = 3
_BEGINNINGS = frozenset({"BASE", "PREFIX", "SELECT", "CONSTRUCT", "ASK", "DESCRIBE", "VALUES"})
_CLAUSES = frozenset({"UNION", "OPTIONAL", "MINUS", "FILTER", "BIND", "VALUES", "GRAPH", "SERVICE"})


def lay_out(text: str, width: int, most_lines: int) -> list[str]:
    """The lines of a query.

    Long lists of VALUES and IN, long terms, and lines that are too many are left out, and it is said how much that is.

    Args:
        text: A query.
        width: The characters that a line may have, as far as words can be parted.
        most_lines: The largest number of lines.

    Returns:
        Lines without control characters.
    """
    lines = _Layout(list(_pieces(QueryText(text[:_LONGEST_TEXT]).tokens)), max(width, 20)).lines()
    if len(lines) > most_lines:
        left_out = len(lines) - most_lines + 1
        lines[most_lines - 1 :] = [f"… {left_out:,} more lines"]
    if len(text) > _LONGEST_TEXT:
        lines.append(f"… {len(text) - _LONGEST_TEXT:,} more characters")
    return lines


class _Piece(NamedTuple):
    """A token as it is shown.

    Attributes:
        text: Its text, shortened.
        spaced: Whether a space, or a new line, comes before it.
        keyword: As ``Token.keyword``.
    """

    text: str
    spaced: bool
    keyword: str = ""


def _pieces(tokens: Sequence[Token]) -> Iterable[_Piece]:
    long_lists = _long_lists(tokens)
    position = 0
    while position < len(tokens):
        yield _piece(tokens, position)
        long = long_lists.get(position)
        position += 1
        if long:
            yield from (_piece(tokens, place) for place in range(position, long.shown_until))
            yield _Piece(f"… {long.left_out:,} more", True)
            position = long.closing


def _piece(tokens: Sequence[Token], position: int) -> _Piece:
    token = tokens[position]
    before = tokens[position - 1] if position else token
    text = printable(token.text)
    if len(text) > _LONGEST_TOKEN:
        shown, end = text[: _LONGEST_TOKEN // 2], text[-_LONGEST_TOKEN // 4 :]
        text = f"{shown}… {len(text) - len(shown) - len(end):,} characters …{end}"
    spaced = before.end < token.start or "{" in (before.text, token.text) or "}" in (before.text, token.text)
    return _Piece(text, spaced, token.keyword)


class _LongList(NamedTuple):
    """A list that is shortened.

    Attributes:
        shown_until: The token with which what is left out begins.
        left_out: How many items that is.
        closing: The token that closes the list.
    """

    shown_until: int
    left_out: int
    closing: int


def _long_lists(tokens: Sequence[Token]) -> dict[int, _LongList]:
    """The long lists of VALUES and IN, by the token that opens them, found in one pass."""
    lists = {_list_after(tokens, place) for place, token in enumerate(tokens) if token.keyword in ("IN", "VALUES")}
    long = {}
    opened: list[tuple[int, list[int]]] = []

    def close(opening: int, items: list[int], place: int) -> None:
        if opening in lists and len(items) > _LONGEST_LIST:
            long[opening] = _LongList(items[_SHOWN_OF_LIST], len(items) - _SHOWN_OF_LIST, place)

    for place, token in enumerate(tokens):
        if token.text in (")", "}"):
            if opened:
                opening, items = opened.pop()
                close(opening, items, place)
            continue
        if opened and (tokens[place - 1].end < token.start or place == opened[-1][0] + 1):
            opened[-1][1].append(place)
        if token.text in ("(", "{"):
            opened.append((place, []))
    for opening, items in opened:  # of a text that was cut
        close(opening, items, len(tokens))
    return long


def _list_after(tokens: Sequence[Token], position: int) -> int:
    """Where the list of a VALUES or an IN opens; -1 where there is none."""
    if tokens[position].keyword == "IN":
        return position + 1 if tokens[position + 1 : position + 2] and tokens[position + 1].text == "(" else -1
    for place in range(position + 1, len(tokens)):
        if tokens[place].text == "{":
            return place
        if tokens[place].kind != "variable" and tokens[place].text not in ("(", ")"):
            break
    return -1


class _Layout:
    """Lays pieces out in one pass.

    Args:
        pieces: The query.
        width: The characters of a line.
    """

    def __init__(self, pieces: Sequence[_Piece], width: int) -> None:
        self._pieces = pieces
        self._width = width
        self._lengths = [0, *accumulate(len(piece.text) + piece.spaced for piece in pieces)]
        self._unions = [0, *accumulate(piece.keyword == "UNION" for piece in pieces)]
        self._closing = _closing_braces(pieces)
        self._lines: list[str] = []
        self._current: list[_Piece] = []
        self._depth = 0

    def lines(self) -> list[str]:
        """The lines of the whole query."""
        position = 0
        while position < len(self._pieces):
            piece = self._pieces[position]
            end = position + 1
            if piece.text == "{":
                end = self._open(position)
            elif piece.text == "}":
                self._flush()
                self._depth = max(self._depth - 1, 0)
                self._current.append(piece)
                self._flush()
            else:
                if piece.keyword in (_CLAUSES if self._depth else _BEGINNINGS):
                    self._flush()
                self._current.append(piece)
                if piece.text == "." and (end == len(self._pieces) or self._pieces[end].spaced):
                    self._flush()
            position = end
        self._flush()
        return self._lines

    def _open(self, position: int) -> int:
        """Put a group on one line if it has no alternatives and there is room; if not, begin it. Returns where to go on."""
        end = self._closing.get(position, position) + 1
        room = self._width - self._indent() - sum(len(piece.text) + piece.spaced for piece in self._current)
        is_short = self._lengths[end] - self._lengths[position] <= room
        whole = end > position + 1 and is_short and self._unions[end] == self._unions[position]
        end = end if whole else position + 1
        self._current += self._pieces[position:end]
        self._flush()
        self._depth += not whole
        return end

    def _indent(self) -> int:
        return _INDENT * min(self._depth, _MOST_INDENTS)

    def _flush(self) -> None:
        words: list[str] = []
        for piece in self._current:
            if piece.spaced or not words:
                words.append(piece.text)
            else:
                words[-1] += piece.text
        self._current.clear()
        line = " " * self._indent()
        for word in words:
            if line.strip() and len(line) + 1 + len(word) > self._width:
                self._lines.append(line)
                line = " " * (self._indent() + 2 * _INDENT)
            line += f" {word}" if line.strip() else word
        if line.strip():
            self._lines.append(line)


def _closing_braces(pieces: Sequence[_Piece]) -> dict[int, int]:
    """Where each brace that opens is closed."""
    closing = {}
    opened: list[int] = []
    for place, piece in enumerate(pieces):
        if piece.text == "{":
            opened.append(place)
        elif piece.text == "}" and opened:
            closing[opened.pop()] = place
    return closing
