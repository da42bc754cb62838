"""A lexer for SPARQL that knows the place of each token.

It serves the few tasks that need the text itself: the kind of a request, the servers that it would make the evaluator call,
and a DESCRIBE query's WHERE clause as a SELECT query. The store's parser alone decides which texts are valid queries, and
which terms their IRIs mean. The grammar's terminals: https://www.w3.org/TR/sparql11-query/#rQueryUnit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_VOLATILE = frozenset({"NOW", "RAND", "UUID", "STRUUID"})
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


class QueryText:
    """The tokens of a query, and the places that matter.

    Args:
        text: The text that a client sent, valid or not.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self._form = next((n for n, token in enumerate(self.tokens) if token.keyword in _FORMS | _UPDATES), None)

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
