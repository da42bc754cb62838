"""What the nodes are asked: one SELECT query of our own making for all the quads that a query can see.

One request per node, whatever the number of patterns: a node answers it from one state of its data, so that no graph is seen
half before and half after a change, and blank nodes keep their labels within it. UNION of the patterns was also as fast as any
other form on pyoxigraph and Fuseki, and faster than a request for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from topology.federation.plan import Dataset, Pattern

COLUMNS = ("s", "p", "o", "g")
_MOST_BRANCHES = 200
# Servers bound what they read of a form; Jetty, below Fuseki, at 200,000 bytes unless told otherwise.
_MOST_TEXT = 100_000

Terms = frozenset[str] | None
"""The N-Triples forms of the terms that can stand somewhere; ``None``: any."""


class _Branch(NamedTuple):
    subject: Terms
    predicate: Terms
    object: Terms
    graph: Terms

    def covers(self, other: _Branch) -> bool:
        return all(mine is None or (its is not None and its <= mine) for mine, its in zip(self, other, strict=True))


class Request(NamedTuple):
    """A query for quads.

    Attributes:
        text: A SELECT query with the columns ``COLUMNS``. A row that only has a graph says that the graph exists.
        graphs: The graphs that it looks into; ``None``: all.
    """

    text: str
    graphs: frozenset[str] | None


def request(patterns: Iterable[Pattern], graph_names: Iterable[str], dataset: Dataset) -> Request | None:
    """The request for the quads of a dataset that match any of some patterns.

    Args:
        patterns: As in ``Plan.patterns``.
        graph_names: As in ``Plan.graph_names``.
        dataset: Where the patterns look.

    Returns:
        The request, or ``None`` when nothing can be seen.
    """
    branches = _merged(
        branch for pattern in patterns if (branch := _branch(pattern, dataset)).graph is None or branch.graph
    )
    names = _united([dataset.reachable(name) for name in graph_names])
    graphs = _united([*(_iris(branch.graph) for branch in branches), names])
    if not branches and names == frozenset():
        return None
    text = _query(branches, names)
    if len(text) > _MOST_TEXT:
        text = _query([_Branch(None, None, None, None)], names if names == frozenset() else None)
    return Request(text, graphs)


def _query(branches: Iterable[_Branch], names: frozenset[str] | None) -> str:
    texts = [_text(branch) for branch in branches]
    if names is None or names:
        texts.append(f"{{ {_values('g', _terms(names))}GRAPH ?g {{}} }}")
    return f"SELECT {' '.join('?' + c for c in COLUMNS)} WHERE {{ {' UNION '.join(texts)} }}"


def _branch(pattern: Pattern, dataset: Dataset) -> _Branch:
    return _Branch(
        _one(pattern.subject), _one(pattern.predicate), _one(pattern.object), _terms(dataset.graphs_of(pattern))
    )


def _merged(branches: Iterable[_Branch]) -> list[_Branch]:
    """The same quads in fewer branches: those that differ in one place only become one, those within another go."""
    merged = list(dict.fromkeys(branches))
    for place in range(len(_Branch._fields)):
        groups: dict[tuple[Terms, ...], list[Terms]] = {}
        for branch in merged:
            groups.setdefault(branch[:place] + branch[place + 1 :], []).append(branch[place])
        merged = [_Branch._make((*others[:place], _united(terms), *others[place:])) for others, terms in groups.items()]
    if len(merged) > _MOST_BRANCHES:
        return [_Branch(None, None, None, _united([branch.graph for branch in merged]))]
    return [branch for branch in merged if not any(other.covers(branch) for other in merged if other is not branch)]


def _text(branch: _Branch) -> str:
    values = "".join(_values(column, terms) for column, terms in zip(COLUMNS, branch, strict=True))
    return f"{{ {values}GRAPH ?g {{ ?s ?p ?o }} }}"


def _values(column: str, terms: Terms) -> str:
    return "" if terms is None else f"VALUES ?{column} {{ {' '.join(sorted(terms))} }} "


def _one(term: str | None) -> Terms:
    return None if term is None else frozenset({term})


def _terms(iris: frozenset[str] | None) -> Terms:
    return None if iris is None else frozenset(f"<{iri}>" for iri in iris)


def _iris(terms: Terms) -> frozenset[str] | None:
    return None if terms is None else frozenset(term[1:-1] for term in terms)


def _united(sets: Iterable[Terms]) -> Terms:
    united: set[str] = set()
    for terms in sets:
        if terms is None:
            return None
        united |= terms
    return frozenset(united)
