"""Queries that differ in their words only are read once.

Reading a query takes longer than most answers: rdflib's parser needs 10 to 40 ms for what web pages ask. But they ask the same
again and again with another search word, another offering, another page. So plain words and addresses are taken out of the
text, each replaced by a stand-in; the plan of what is left is kept, and the words are put into it.

Nothing in an analysis depends on these words but what the stand-ins tell as well: whether a word could be a regular expression,
and which letters it has, since not all have just two cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from federation.analysis.lexer import QueryText, Token
from federation.analysis.plan import Plan
from federation.skolem import PREFIX

# Words that no parser reads in another way than they are written; shorter ones may be flags.
_WORDS = re.compile(r"[^\x00-\x1f\x7f\"'\\]{3,1000}")
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?/[A-Za-z0-9/._~#-]*|urn:[A-Za-z0-9]+:[A-Za-z0-9:._-]+"
)
_LETTERS_OF_TWO_CASES = re.compile(r"[A-JL-RT-Za-jl-rt-z0-9 ]{3,200}")
_LETTERS = re.compile(r"[A-Za-z0-9 ]{3,200}")
# After these, an address is part of what the query is, and of whether it is answered.
_BEFORE_FIXED = frozenset({"FROM", "NAMED", "SERVICE", "SILENT"})
_NUMBER = re.compile(r"\s*\d+")


_W3C = "http://www.w3.org/"  # names that mean something to the analysis


class QueryTemplate(NamedTuple):
    """A query without its parameters.

    Attributes:
        text: The query with stand-ins.
        parameters: What each of them stands for.
    """

    text: str
    parameters: Mapping[str, str]


def template_of(text: str) -> QueryTemplate:
    """Take the words out of a query.

    Args:
        text: A query, valid or not.
    """
    query = QueryText(text)
    tokens = query.body
    prologue = query.tokens[: len(query.tokens) - len(tokens)]
    if "\\" in text or any(token.keyword == "BASE" for token in prologue):
        return QueryTemplate(text, {})  # the same may stand there in another way, which stand-ins would hide
    namespaces = tuple(token.text[1:-1] for token in prologue if token.kind == "iri")
    stand_ins: dict[str, str] = {}
    parts: list[str] = []
    done = 0
    for n, token in enumerate(tokens):
        following = tokens[n + 1].text if n + 1 < len(tokens) else ""
        replacement = None
        if token.kind == "string" and following != "^" and _WORDS.fullmatch(token.text[1:-1]):
            word = token.text[1:-1]
            replacement = f'"{stand_ins.setdefault(word, _stand_in(word, len(stand_ins)))}"'
        elif token.kind == "iri" and not _is_fixed(tokens, n):
            address = token.text[1:-1]
            if _ADDRESS.fullmatch(address) and not address.startswith((PREFIX, _W3C, *namespaces)):
                replacement = f"<{stand_ins.setdefault(address, f'urn:standin:q{len(stand_ins)}q')}>"
        elif (
            query.form != "DESCRIBE"
            and token.keyword in ("LIMIT", "OFFSET")
            and (number := _NUMBER.match(text, token.end))
        ):
            parts.append(text[done : token.end] + " 1")
            done = number.end()
        if replacement:
            parts += [text[done : token.start], replacement]
            done = token.end
    if any(stand_in in text for stand_in in stand_ins.values()):
        return QueryTemplate(text, {})  # somebody knows how stand-ins look
    return QueryTemplate("".join([*parts, text[done:]]), {stand_in: word for word, stand_in in stand_ins.items()})


def _is_fixed(tokens: Sequence[Token], n: int) -> bool:
    """Whether an IRI has to stay: it names a graph of the dataset, a service, a datatype or a function."""
    before = tokens[n - 1] if n else None
    begins_a_triple = before is not None and before.text in ("{", "}", ".")
    is_called = n + 1 < len(tokens) and tokens[n + 1].text == "(" and not begins_a_triple
    return is_called or (before is not None and (before.keyword in _BEFORE_FIXED or before.text == "^"))


def with_parameters(plan: Plan, parameters: Mapping[str, str]) -> Plan:
    """Put the words of a query into the plan of its template.

    Args:
        plan: The plan.
        parameters: As in ``QueryTemplate.words``.
    """
    if not parameters:
        return plan
    encoded = msgspec.json.encode(plan).decode()
    for stand_in, word in parameters.items():
        encoded = encoded.replace(stand_in, word)
    return msgspec.json.decode(encoded, type=Plan)


def _stand_in(word: str, number: int) -> str:
    """A word that a filter may use in the same ways, and that no other begins with."""
    if _LETTERS_OF_TWO_CASES.fullmatch(word):
        return f"tandin q{number}q"
    if _LETTERS.fullmatch(word):
        return f"stand in q{number}q"
    return f"(stand)[in] q{number}q" if word.isascii() else f"(stånd)[in] q{number}q"
