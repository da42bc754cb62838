"""The variables that a query does not look at.

SELECT DISTINCT, and aggregates such as COUNT(DISTINCT …), ignore how often a solution occurs. So only the terms of variables
count that occur outside of the triple patterns: in the projection, in a filter, in GROUP BY. Any other variable may have one
term or a thousand. Nodes then send each combination of the terms that count once (see Lemma 9 in docs/federation.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyparsing import ParseResults
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.term import BNode, Identifier, Variable

_GROUPS = frozenset({"GroupGraphPatternSub", "FakeGroupGraphPatten"})
_PARTS = frozenset({"TriplesBlock", "Filter", "Bind", "InlineData"})
_OF_SETS = frozenset({"Aggregate_Min", "Aggregate_Max", "Aggregate_Sample"})
# Each solution has another one of these.
_NEW_EACH_TIME = frozenset({"Builtin_BNODE", "Builtin_RAND", "Builtin_UUID", "Builtin_STRUUID"})


def unseen(query: CompValue) -> frozenset[Identifier] | None:
    """Return the variables and blank nodes of a query's only basic graph pattern whose terms do not count.

    Args:
        query: Its syntax tree.

    Returns:
        ``None`` for a query with other patterns, or one that counts its solutions.
    """
    nodes = list(_nodes(query, ""))
    groups = [node for node in nodes if node.name in _GROUPS]
    if not groups or not _ignores_repetition(query, nodes):
        return None
    graphs = [part for part in groups[0].part or () if part.name == "GraphGraphPattern"]
    inner = [part for group in groups[len(graphs) :] for part in group.part or ()]
    outer = [part for group in groups[: len(graphs)] for part in group.part if part.name != "GraphGraphPattern"]
    if len(graphs) > 1 or len(groups) != 1 + len(graphs) or query.where.name not in _GROUPS:
        return None
    if not {part.name for part in inner} <= _PARTS or not {part.name for part in outer} <= _PARTS - {"TriplesBlock"}:
        return None
    triples = [part for part in inner if part.name == "TriplesBlock"]
    seen = {term for term in _terms(query, skipped="TriplesBlock") if isinstance(term, Variable)}
    return frozenset(term for term in _terms(triples) if isinstance(term, Variable | BNode)) - seen


def _ignores_repetition(query: CompValue, nodes: Iterable[CompValue]) -> bool:
    aggregates = [node for node in nodes if node.name.startswith("Aggregate_")]
    if any(node.name in _NEW_EACH_TIME for node in nodes) or not query.projection:
        return False  # SELECT * shows every variable
    if aggregates or query.groupby:
        return all(node.name in _OF_SETS or (node.distinct and node.vars != "*") for node in aggregates)
    return bool(query.modifier == "DISTINCT")


def _nodes(part: Any, skipped: str) -> Iterator[CompValue]:
    """Yield the nodes of a tree, outer ones first."""
    if isinstance(part, CompValue):
        if part.name != skipped:
            yield part
            yield from _nodes(list(part.values()), skipped)
    elif isinstance(part, list | tuple | ParseResults):
        for item in part:
            yield from _nodes(item, skipped)


def _terms(part: Any, skipped: str = "") -> Iterator[Identifier]:
    """Yield the terms of a tree."""
    if isinstance(part, Identifier):
        yield part
    elif isinstance(part, CompValue):
        if part.name != skipped:
            yield from _terms(list(part.values()), skipped)
    elif isinstance(part, list | tuple | ParseResults):
        for item in part:
            yield from _terms(item, skipped)
