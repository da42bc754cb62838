"""Finds offerings by words in their descriptions, and by provider, theme, keyword and licence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from pyoxigraph import Literal

from federation.engine import Answer, Engine
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.harvesting.datasets import DCAT, DCT, PREFERRED_LABEL, RDFS_LABEL, SCHEMA, SEDIMARK
from topology.gateway.offering_list import ListedOffering

MOST_WORDS = 8
_LONGEST = 200
_LONGEST_VALUE = 2000
_WORD = (
    "SELECT DISTINCT ?g WHERE {{ GRAPH ?g {{ ?s ?p ?o . FILTER(isLiteral(?o) && CONTAINS(LCASE(STR(?o)), {word})) }} }}"
)
_PARTICIPANT = f"<{SEDIMARK}isListedBy>/<{SEDIMARK}belongsTo>/(<{SCHEMA}alternateName>|<{SCHEMA}name>)"
FACETS = {
    "provider": f"<{DCT}publisher>|<{DCT}creator>|({_PARTICIPANT})",
    "theme": f"<{DCAT}theme>|<{DCT}theme>",
    "keyword": f"<{DCAT}keyword>",
    "licence": f"<{DCT}license>",
}
"""The ways from an offering, or its asset, to what it can be filtered by."""
_FACET = f"""SELECT DISTINCT ?g WHERE {{{{ GRAPH ?g {{{{
  ?s {{path}} ?o . OPTIONAL {{{{ ?o <{RDFS_LABEL}>|<{PREFERRED_LABEL}> ?label }}}}
  BIND(REPLACE(STR(?o), "^.*[/#]([^/#]+)[/#]?$", "$1") AS ?last)
  FILTER(LCASE(STR(?o)) = {{value}} || LCASE(STR(?label)) = {{value}} || LCASE(?last) = {{value}})
}}}} }}}}"""


class Found(NamedTuple):
    """Offerings that have all that was asked for.

    Attributes:
        offerings: The offerings, in their order.
        answer: What the engine says of the part for which most nodes are missing; ``None`` where nothing was asked for.
    """

    offerings: list[ListedOffering]
    answer: Answer | None


class _Name(msgspec.Struct):
    value: str


class _Row(msgspec.Struct):
    g: _Name


class _Results(msgspec.Struct):
    bindings: list[_Row]


class _Body(msgspec.Struct):
    results: _Results


def search(
    engine: Engine,
    view: CatalogueView,
    listed: Sequence[ListedOffering],
    text: str,
    facets: Sequence[tuple[str, str]] = (),
    *,
    fresh: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> Found:
    """Find the offerings that have each word of a text somewhere, and each of some values, in upper or lower case.

    Args:
        engine: Searches the descriptions.
        view: Tells the node to read each graph from.
        listed: The offerings to search.
        text: The words, with blanks between them.
        facets: Pairs of a name in ``FACETS`` and a value: an IRI, the last part of one, a label, or a text.
        fresh: Whether to bypass all caches.
        cancelled: Tells that the client has gone.

    Raises:
        ValueError: These are too many words or values, or too long ones.
        FederationError: See ``Engine.answer``.
    """
    words = list(dict.fromkeys(text.lower().split()))
    if len(words) > MOST_WORDS or len(text) > _LONGEST:
        raise ValueError(f"q has at most {MOST_WORDS} words and {_LONGEST} characters")
    if len(facets) > MOST_WORDS or any(len(value) > _LONGEST_VALUE for _, value in facets):
        raise ValueError(f"{', '.join(FACETS)} have at most {MOST_WORDS} values of {_LONGEST_VALUE} characters")
    parts: list[tuple[str, Callable[[ListedOffering], bool]]] = []
    parts += [(_WORD.format(word=str(Literal(word))), partial(_is_in_entry, word)) for word in words]
    for name, value in ((name, value.strip().lower()) for name, value in facets):
        query = _FACET.format(path=FACETS[name], value=str(Literal(value)))
        parts.append((query, partial(_is_owner, value) if name == "provider" else _is_never))
    found, answers = list(listed), []
    for query, is_in_entry in parts:
        answer = engine.query_with_failover(
            query,
            view.snapshot,
            media_type="application/sparql-results+json",
            fresh=fresh,
            cancelled=cancelled,
        )
        graphs = {row.g.value for row in msgspec.json.decode(answer.body, type=_Body).results.bindings}
        answers.append(answer)
        found = [one for one in found if one.graph in graphs or is_in_entry(one)]
    return Found(found, max(answers, key=lambda answer: len(answer.missing), default=None))


def _is_in_entry(word: str, one: ListedOffering) -> bool:
    return any(word in text.lower() for text in (one.graph, one.address, one.name, one.owner, one.source))


def _is_owner(value: str, one: ListedOffering) -> bool:
    return bool(value) and value == one.owner.lower()


def _is_never(_: ListedOffering) -> bool:
    return False
