"""Query templates, so that queries that differ in their parameters only are analysed once.

Analysing a query takes longer than most answers: rdflib's parser needs 10 to 40 ms for the queries of web pages. But pages send
the same queries again and again, with another search word, another offering, another page. So a template has a placeholder for
each plain word and address of the text; its plan is cached, and the parameters are put into a copy.

An analysis depends on a parameter only by properties that the placeholder shares: whether the word could be a regular
expression, and which letters it has, since not all have just two cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from federation.analysis.lexer import QueryText, Token
from federation.analysis.plan import Plan
from federation.skolem import PREFIX

# All parsers read these words as they are written; shorter ones may be flags.
_WORDS = re.compile(r"[^\x00-\x1f\x7f\"'\\]{3,1000}")
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?/[A-Za-z0-9/._~#-]*|urn:[A-Za-z0-9]+:[A-Za-z0-9:._-]+"
)
_LETTERS_OF_TWO_CASES = re.compile(r"[A-JL-RT-Za-jl-rt-z0-9 ]{3,200}")
_LETTERS = re.compile(r"[A-Za-z0-9 ]{3,200}")
# After these, an address decides about the kind of the query, and about whether the engine answers it.
_BEFORE_FIXED = frozenset({"FROM", "NAMED", "SERVICE", "SILENT"})
_NUMBER = re.compile(r"\s*\d{1,18}(?!\d)")  # the evaluator refuses longer ones
_STAND_IN = re.compile(r"(?:urn:standin:|tandin |stand in |\(st[aå]nd\)\[in\] )q\d+q")
_W3C = "http://www.w3.org/"  # the analysis knows names that begin so


class QueryTemplate(NamedTuple):
    """A query with placeholders for its parameters.

    Attributes:
        text: The query with placeholders.
        parameters: The parameter for each placeholder.
    """

    text: str
    parameters: Mapping[str, str]


def template_of(text: str) -> QueryTemplate:
    """Take the parameters out of a query.

    Args:
        text: A query, valid or not.
    """
    query = QueryText(text)
    tokens = query.body
    prologue = query.tokens[: len(query.tokens) - len(tokens)]
    if "\\" in text or any(token.keyword == "BASE" for token in prologue):
        return QueryTemplate(text, {})  # they may write the same word in another way, which placeholders would hide
    namespaces = tuple(token.text[1:-1] for token in prologue if token.kind == "iri")
    stand_ins: dict[str, str] = {}
    parts: list[str] = []
    done = 0
    has_pages = query.form != "DESCRIBE"
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
        elif has_pages and token.keyword in ("LIMIT", "OFFSET") and (number := _NUMBER.match(text, token.end)):
            parts.append(text[done : token.end] + " 1")
            done = number.end()
        if replacement:
            parts += [text[done : token.start], replacement]
            done = token.end
    if _STAND_IN.search(text):
        return QueryTemplate(text, {})  # the query itself has such a placeholder
    return QueryTemplate("".join([*parts, text[done:]]), {stand_in: word for word, stand_in in stand_ins.items()})


def _is_fixed(tokens: Sequence[Token], n: int) -> bool:
    """Return whether an IRI must stay: it names a graph of the dataset, a service, a datatype or a function."""
    before = tokens[n - 1] if n else None
    begins_a_triple = before is not None and before.text in ("{", "}", ".")
    is_called = n + 1 < len(tokens) and tokens[n + 1].text == "(" and not begins_a_triple
    return is_called or (before is not None and (before.keyword in _BEFORE_FIXED or before.text == "^"))


def with_parameters(plan: Plan, parameters: Mapping[str, str]) -> Plan:
    """Put the parameters of a query into the plan of its template.

    Args:
        plan: The plan of the template.
        parameters: As in ``QueryTemplate.parameters``.
    """
    if not parameters:
        return plan
    encoded = msgspec.json.encode(plan).decode()
    return msgspec.json.decode(_STAND_IN.sub(lambda found: parameters[found[0]], encoded), type=Plan)


def _stand_in(word: str, number: int) -> str:
    """Return a placeholder that filters may use in the same ways, and that is no prefix of another one."""
    if _LETTERS_OF_TWO_CASES.fullmatch(word):
        return f"tandin q{number}q"
    if _LETTERS.fullmatch(word):
        return f"stand in q{number}q"
    return f"(stand)[in] q{number}q" if word.isascii() else f"(stånd)[in] q{number}q"
