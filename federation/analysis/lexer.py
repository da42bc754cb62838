"""A lexer for SPARQL that knows the place of each token.

It serves the few tasks that need the text itself: the kind of a request, the servers that it would make the evaluator call,
and a DESCRIBE query's WHERE clause as a SELECT query. The store's parser alone decides which texts are valid queries, and
which terms their IRIs mean. The grammar's terminals: https://www.w3.org/TR/sparql11-query/#rQueryUnit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

# The lexer finds no prefix longer than 64 characters, so that it reads a long text without a colon in linear time.
_ESCAPED = r"(?:%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?#@%])"
_TOKEN = re.compile(
    rf"""
      (?P<space>[\x20\t\r\n]+)
    | (?P<comment>\#[^\r\n]*)
    | (?P<iri><[^<>"{{}}|^`\\\x00-\x20]*>)
    | (?P<string>\"\"\"(?:\"{{0,2}}(?:[^"\\]|\\.))*\"\"\"|'''(?:'{{0,2}}(?:[^'\\]|\\.))*'''
        |"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    | (?P<variable>[?$]\w+)
    | (?P<blank>_:\w(?:[\w.·-]*[\w·-])?)
    | (?P<language>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    | (?P<name>(?:[^\W\d_](?:[\w.·-]{{0,62}}[\w·-])?)?:
        (?:(?:[\w:]|{_ESCAPED})(?:(?:[\w:.·-]|{_ESCAPED})*(?:[\w:·-]|{_ESCAPED}))?)?)
    | (?P<word>[^\W\d_]\w*)
    | (?P<unclosed>["'].*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FORMS = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
_UPDATES = frozenset({"INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH"})
_FORMS_AND_UPDATES = _FORMS | _UPDATES
_VOLATILE = frozenset({"NOW", "RAND", "UUID", "STRUUID"})
_OF_ALL = frozenset(
    {"GROUP", "HAVING", "ORDER", "SERVICE", "LATERAL", "COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT"}
)
_AGAINST_OTHERS = frozenset({"OPTIONAL", "MINUS", "NOT", "EXISTS"})
# Their groups bind no variable for sure.
_BINDING_NOTHING = frozenset({"OPTIONAL", "MINUS", "EXISTS", "VALUES", "SERVICE"})
_NUMBER = re.compile(r"\s*(\d{1,9})(?![\w.])")
_AFTER_RESOURCES = frozenset({"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "VALUES"})


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: ``iri``, ``name`` (prefixed), ``string``, ``variable``, ``blank``, ``language``, ``word``, ``unclosed`` (a string
            without an end, and all that follows), or ``other``.
        text: The token as it is written.
        start: The position of its first character.
        end: The position after its last character.
    """

    kind: str
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in capitals; empty for any other kind of token."""
        return self.text.upper() if self.kind == "word" else ""


class GraphBlock(NamedTuple):
    """A ``GRAPH name { … }`` in a query.

    Attributes:
        name: The token after GRAPH.
        start: The position of GRAPH.
        body: The position after the opening brace.
        end: The position of the closing brace.
        is_select: Whether there is nothing but a sub-select between the braces.
        by_itself: Whether its text alone tells that it has to be evaluated in each graph by itself.
        has_values: Whether VALUES stands in it.
        has_first_triple: Whether it begins with a triple, so that it has solutions in graphs alone.
    """

    name: Token
    start: int
    body: int
    end: int
    is_select: bool
    by_itself: bool
    has_values: bool
    has_first_triple: bool


class QueryText:
    """The tokens of a query, and the places that matter.

    Args:
        text: The text that a client sent, valid or not.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tokens(self) -> list[Token]:
        """All tokens."""
        return list(_tokens(self.text))

    @cached_property
    def _form(self) -> int | None:
        """The number of the first keyword after the prologue; ``None``: there is none."""
        return next((n for n, token in enumerate(self.tokens) if token.keyword in _FORMS_AND_UPDATES), None)

    @property
    def form(self) -> str:
        """``SELECT``, ``ASK``, ``CONSTRUCT`` or ``DESCRIBE``; empty when it is none of them."""
        keyword = self.tokens[self._form].keyword if self._form is not None else ""
        return keyword if keyword in _FORMS else ""

    @property
    def is_update(self) -> bool:
        """True when its first keyword after the prologue is one of SPARQL 1.1 Update."""
        return self._form is not None and self.tokens[self._form].keyword in _UPDATES

    @property
    def is_volatile(self) -> bool:
        """True when it has a function that returns something else each time."""
        return any(token.keyword in _VOLATILE for token in self.tokens)

    @property
    def prologue(self) -> str:
        """The BASE and PREFIX declarations."""
        return self.text[: self.tokens[self._form].start] if self._form is not None else ""

    @property
    def body(self) -> list[Token]:
        """The tokens after the prologue."""
        return self.tokens[self._form :] if self._form is not None else []

    def graph_blocks(self) -> list[GraphBlock]:
        """Return the places of each ``GRAPH name { … }``; an outer one comes before those in it."""
        blocks = []
        for n, token in enumerate(self.tokens[:-2]):
            name, brace = self.tokens[n + 1], self.tokens[n + 2]
            if token.keyword != "GRAPH" or name.kind not in ("variable", "iri", "name") or brace.text != "{":
                continue
            inner = self._within_braces(n + 2)
            if inner:
                is_select = inner[0].keyword == "SELECT"
                is_counted = any(part.keyword == "SELECT" for part in inner)
                by_itself = is_counted or self._has_idle_minus(n + 3, n + 2 + len(inner), name)
                has_values = any(part.keyword == "VALUES" for part in inner)
                has_triple = not inner[0].keyword and inner[0].text not in "{}"
                end = inner[-1].start
                blocks.append(
                    GraphBlock(name, token.start, brace.end, end, is_select, by_itself, has_values, has_triple)
                )
        return blocks

    def with_outer_graphs(self) -> str:
        """Write ``GRAPH name {}`` before each ``GRAPH name { … }`` with another GRAPH in it, unless a triple comes first.

        Without it the evaluator does not look whether the outer graph exists, nor which ones there are.
        """
        if self.text.upper().count("GRAPH") < 2:  # to find that out takes a hundredth of the time for all tokens
            return self.text
        blocks = self.graph_blocks()
        parts, done = [], 0
        for block, inner in pairwise(blocks):
            if inner.start < block.end and not block.has_first_triple:
                parts += [self.text[done : block.start], f"GRAPH {block.name.text} {{}} "]
                done = block.start
        return "".join([*parts, self.text[done:]])

    def _within_braces(self, first: int) -> list[Token]:
        """Return the tokens after an opening brace, the closing one included; none where that is missing."""
        depth = 0
        for n in range(first, len(self.tokens)):
            depth += {"{": 1, "}": -1}.get(self.tokens[n].text, 0)
            if depth == 0:
                return self.tokens[first + 1 : n + 1]
        return []

    def _has_idle_minus(self, start: int, end: int, name: Token) -> bool:
        """Return whether the sides of some MINUS between two tokens may share no variable but the name of the graph."""
        begins = [start]
        for n in range(start, end):
            token = self.tokens[n]
            if token.text == "{":
                begins.append(n + 1)
            elif token.text == "}":
                begins.pop()
            elif token.keyword == "MINUS":
                inner = n + 2
                left = self._surely_bound(begins[-1], n)
                if left & self._surely_bound(inner, self._closing(inner - 1)) <= {name.text[1:]}:
                    return True
        return False

    def _surely_bound(self, start: int, end: int) -> set[str]:
        """Return variables that each solution of the part of a group between two tokens binds."""
        bound: set[str] = set()
        n = start
        while n < end:
            token = self.tokens[n]
            if token.keyword in _BINDING_NOTHING:
                n = next((m for m in range(n, end) if self.tokens[m].text == "{"), n)
                n = self._closing(n) if self.tokens[n].text == "{" else n
            elif token.text == "{":
                close = self._closing(n)
                choices = self._surely_bound(n + 1, close)
                while close + 2 < end and self.tokens[close + 1].keyword == "UNION":
                    n, close = close + 2, self._closing(close + 2)
                    choices &= self._surely_bound(n + 1, close)
                bound |= choices
                n = close
            elif token.text == "(":
                n = self._closing(n)
            elif token.kind == "variable":
                bound.add(token.text[1:])
            n += 1
        return bound

    def _closing(self, first: int) -> int:
        """Return the number of the token that closes a brace or parenthesis; the last one where none does."""
        depth = 0
        for n in range(first, len(self.tokens)):
            depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(self.tokens[n].text, 0)
            if depth == 0:
                return n
        return len(self.tokens) - 1

    def modifier(self, keyword: str) -> int | None:
        """Return the number in the LIMIT or OFFSET of the whole query; ``None`` when there is none."""
        after = len(self.tokens) - next((n for n, token in enumerate(reversed(self.tokens)) if token.text == "}"), 0)
        for token in self.tokens[after:]:
            if token.keyword == keyword and (number := _NUMBER.match(self.text, token.end)):
                return int(number[1])
        return None

    @property
    def takes_some(self) -> bool:
        """True when its rows are those of some solutions each, in any order: a filter leaves some of them."""
        keywords = [token.keyword for token in self.body]
        return (
            self.form in ("SELECT", "ASK")
            and keywords.count("SELECT") <= 1
            and _OF_ALL.isdisjoint(keywords)
            and not self.is_volatile
        )

    @property
    def is_monotone(self) -> bool:
        """True when each solution over some of the quads is one over more of them, in any order."""
        return self.takes_some and _AGAINST_OTHERS.isdisjoint(token.keyword for token in self.body)

    def narrowed(self, variable: str, iris: Iterable[str]) -> str:
        """Write the query with another filter on its solutions.

        Args:
            variable: The variable to filter by, without question mark.
            iris: The terms to let pass, in N-Triples form.
        """
        depth = start = 0
        for token in self.body:
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if token.text == "{" and not depth:  # others belong to EXISTS in the projection
                start = token.end
                break
        return f"{self.text[:start]} FILTER(?{variable} IN ({', '.join(iris)})) {self.text[start:]}"

    def dataset(self) -> tuple[list[Token], list[Token]]:
        """Return the IRIs of the FROM clauses, and those of the FROM NAMED clauses."""
        default: list[Token] = []
        named: list[Token] = []
        body = iter(self.body)
        for token in body:
            if token.keyword == "FROM":
                graph = next(body, token)
                if graph.keyword == "NAMED":
                    named.append(next(body, graph))
                else:
                    default.append(graph)
        return default, named

    @property
    def star(self) -> Token | None:
        """The ``*`` of ``SELECT *``; ``None`` where the query is another one."""
        names = (token for token in self.body[1:] if token.keyword not in ("DISTINCT", "REDUCED"))
        token = next(names, None) if self.form == "SELECT" else None
        return token if token is not None and token.text == "*" else None

    def in_order(self, variables: Iterable[str]) -> tuple[str, ...]:
        """Return some variables in the order in which they come in the text.

        Args:
            variables: Their names, without question mark.
        """
        places = {token.text[1:]: -token.start for token in reversed(self.body) if token.kind == "variable"}
        return tuple(sorted(variables, key=lambda name: -places.get(name, 0)))

    def with_columns(self, variables: Iterable[str]) -> str:
        """Write some variables in the place of the ``*``.

        Args:
            variables: Their names, without question mark.
        """
        star = self.star
        return f"{self.text[: star.start]} ?{' ?'.join(variables)} {self.text[star.end :]}" if star else self.text

    def resources_query(self) -> str:
        """Rewrite a DESCRIBE query as the SELECT query for the resources that it describes.

        The rewritten query has every token of the original unchanged, so that the store's parser reads both alike.
        """
        resources: list[str] = []
        rest = self.body[1:]
        while rest and rest[0].keyword not in _AFTER_RESOURCES and rest[0].text != "{":
            token = rest.pop(0)
            plain = token.kind == "variable" or token.text == "*"
            resources.append(token.text if plain else f"({token.text} AS ?described_{len(resources)}_)")
        start = rest[0].start if rest else len(self.text)
        default, named = self.dataset()
        dataset_end = max([start, *(token.end for token in default + named)])
        where = "" if any(token.text == "{" for token in rest) else " {} "
        selection = f"SELECT {' '.join(resources)} "
        return self.prologue + selection + self.text[start:dataset_end] + where + self.text[dataset_end:]


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind not in ("space", "comment"):
            yield Token(kind, match.group(), match.start(), match.end())
