"""Long lists of constants in a query, which rdflib's parser takes up to 2 ms for each item of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyoxigraph
import rdflib
from rdflib.term import Identifier, Variable

from federation.analysis.lexer import QueryText, Token

_LONG_LIST = 20
_EXPONENT = re.compile(r"E\d*")


class _List(NamedTuple):
    """A list after IN, or the rows of VALUES.

    Attributes:
        items: Its tokens, without the brackets around it.
        width: The number of columns.
        is_row: Whether each row has brackets.
    """

    items: Sequence[Token]
    width: int
    is_row: bool

    def is_long(self) -> bool:
        """Return whether it has many items, all of which are constants."""
        return len(self.items) >= _LONG_LIST * self.width > 0 and all(map(_is_of_constant, self.items))

    def columns(self) -> list[list[list[Token]]]:
        """Return the terms of each column, as their tokens; none where the columns cannot be told."""
        terms: list[list[Token]] = []
        last: Token | None = None
        for item in self.items:
            if item.text in ("(", ")", ","):
                last = None
                continue
            if last and _goes_on(last, item):
                terms[-1].append(item)
            else:
                terms.append([item])
            last = item
        rows = max(sum(item.text in ("(", ",") for item in self.items) + (not self.is_row), 1)
        is_table = len(terms) == rows * self.width or not (self.is_row or rows > 1)
        return [terms[column :: self.width] if is_table else [] for column in range(self.width)]


def short_lists(query: QueryText) -> tuple[str, dict[str, list[Identifier]]]:
    """Replace long lists of constants, after IN and in VALUES, by a name for each column.

    Args:
        query: A valid query.

    Returns:
        The shorter text, and the terms that each name stands for.
    """
    parts, done = list[str](), 0
    lists: dict[str, list[Identifier]] = {}
    for found in _lists(query.tokens):
        if not found.is_long() or found.items[0].start < done:
            continue
        names = []
        for column in found.columns():
            names.append(f"urn:catena:list:{len(lists)}:")
            lists[names[-1]] = _terms_for_nodes(query, column)
        row = " ".join(f"<{name}>" for name in names)
        parts += [query.text[done : found.items[0].start], f"({row})" if found.is_row else row]
        done = found.items[-1].end
    if any(name in query.text for name in lists):
        return query.text, {}
    return "".join([*parts, query.text[done:]]), lists


def read_terms(query: QueryText, tokens: Sequence[Token]) -> list[pyoxigraph.NamedNode | pyoxigraph.Literal]:
    """Let the evaluator's parser read some tokens of the query, with its prefixes and base.

    Args:
        query: The query.
        tokens: IRIs, names and strings of it.
    """
    rows = " ".join(f"({n} {token.text})" for n, token in enumerate(tokens))
    solutions = pyoxigraph.Store().query(f"{query.prologue}SELECT ?n ?term {{ VALUES (?n ?term) {{ {rows} }} }}")
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    by_number = {int(solution["n"].value): solution["term"] for solution in solutions}
    return [by_number[n] for n in range(len(tokens))]


def _lists(tokens: Sequence[Token]) -> Iterator[_List]:
    for n, token in enumerate(tokens[:-2]):
        if token.keyword == "IN" and tokens[n + 1].text == "(":
            yield _List(_until(tokens, n + 2, ")"), 1, is_row=False)
        elif token.keyword == "VALUES":
            head = _until(tokens, n + 1, "{")
            width = sum(part.kind == "variable" for part in head)
            yield _List(_until(tokens, n + len(head) + 2, "}"), width, head[:1] != [] and head[0].text == "(")


def _until(tokens: Sequence[Token], first: int, text: str) -> Sequence[Token]:
    """Return the tokens from one on that come before some text; none where it does not follow."""
    return tokens[first : next((n for n in range(first, len(tokens)) if tokens[n].text == text), first)]


def _is_of_constant(token: Token) -> bool:
    """Return whether a token is a part of a list of constants."""
    is_sign = token.kind == "other" and token.text in "0123456789.+-^,()"
    is_word = token.keyword in ("TRUE", "FALSE", "UNDEF") or bool(_EXPONENT.fullmatch(token.keyword))
    return is_sign or is_word or token.kind in ("iri", "name", "string", "language")


def _goes_on(last: Token, item: Token) -> bool:
    """Return whether a token belongs to the same constant as the one before."""
    is_number = item.start == last.end and _in_number(last) and _in_number(item)
    return is_number or item.kind == "language" or "^" in (last.text, item.text)


def _in_number(token: Token) -> bool:
    return token.kind == "other" or bool(_EXPONENT.fullmatch(token.keyword))


def _terms_for_nodes(query: QueryText, column: Sequence[Sequence[Token]]) -> list[Identifier]:
    """Return the terms of a list of IRIs and plain strings; nodes get no list of others, for which one variable stands."""
    if not column or any(len(term) > 1 or term[0].kind not in ("iri", "name", "string") for term in column):
        return [Variable("other")]
    return [
        rdflib.URIRef(term.value) if isinstance(term, pyoxigraph.NamedNode) else rdflib.Literal(term.value)
        for term in read_terms(query, [term for (term,) in column])
    ]
