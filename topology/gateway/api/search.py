"""Finds offerings by words in their descriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from pyoxigraph import Literal

from federation.engine import Answer, Engine
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.offering_list import ListedOffering

MOST_WORDS = 8
_LONGEST = 200
_QUERY = (
    "SELECT DISTINCT ?g WHERE {{ GRAPH ?g {{ ?s ?p ?o . FILTER(isLiteral(?o) && CONTAINS(LCASE(STR(?o)), {word})) }} }}"
)


class Found(NamedTuple):
    """Offerings that have all words.

    Attributes:
        offerings: The offerings, in their order.
        answer: What the engine says of the word for which most nodes are missing; ``None`` without a word.
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
    *,
    fresh: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> Found:
    """Find the offerings that have each word of a text somewhere, in upper or lower case.

    Args:
        engine: Searches the descriptions.
        view: Tells the node to read each graph from.
        listed: The offerings to search.
        text: The words, with blanks between them.
        fresh: Whether to bypass all caches.
        cancelled: Tells that the client has gone.

    Raises:
        ValueError: These are too many words, or too long ones.
        FederationError: See ``Engine.answer``.
    """
    words = list(dict.fromkeys(text.lower().split()))
    if len(words) > MOST_WORDS or len(text) > _LONGEST:
        raise ValueError(f"q has at most {MOST_WORDS} words and {_LONGEST} characters")
    found, answers = list(listed), []
    for word in words:
        answer = engine.query_with_failover(
            _QUERY.format(word=str(Literal(word))),
            view.snapshot,
            media_type="application/sparql-results+json",
            fresh=fresh,
            cancelled=cancelled,
        )
        graphs = {row.g.value for row in msgspec.json.decode(answer.body, type=_Body).results.bindings}
        answers.append(answer)
        found = [one for one in found if one.graph in graphs or _is_in_entry(word, one)]
    return Found(found, max(answers, key=lambda answer: len(answer.missing), default=None))


def _is_in_entry(word: str, one: ListedOffering) -> bool:
    return any(word in text.lower() for text in (one.graph, one.address, one.name, one.owner, one.source))
