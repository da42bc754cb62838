"""One store that holds every graph once: what the federation is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import pyoxigraph
from pyoxigraph import (
    BlankNode,
    CanonicalizationAlgorithm,
    Dataset,
    DefaultGraph,
    Literal,
    NamedNode,
    Quad,
    QueryBoolean,
    QueryResultsFormat,
    QuerySolutions,
    QueryTriples,
    RdfFormat,
    Store,
)

from federation.analysis.analyse import analyse
from federation.analysis.lexer import QueryText
from federation.evaluation.corrections import graph_by_graph, path_ends
from tests.differential.graphs import shown, triples

Row = tuple[str | None, ...]


class Reference:
    """One pyoxigraph store, its default graph the set-union of all its graphs, or of those that a dataset names.

    Args:
        graphs: Turtle by graph IRI.
    """

    def __init__(self, graphs: Mapping[str, str]) -> None:
        self._quads = [
            shown(Quad(triple.subject, triple.predicate, triple.object, NamedNode(name)))
            for name, turtle in graphs.items()
            for triple in triples(turtle)
        ]
        self.store = lru_cache(self._store)

    def _store(self, default: frozenset[str] | None = None, named: frozenset[str] | None = None) -> Store:
        store = Store()
        for quad in self._quads:
            name = str(quad.graph_name)[1:-1]
            if named is None or name in named:
                store.add(quad)
            if default is None or name in default:
                store.add(Quad(quad.subject, quad.predicate, quad.object, DefaultGraph()))
        return store

    def answer(self, text: str) -> Result:
        """The answer to a query that does not name its dataset."""
        return _result(self.store(), text)

    def answer_over(self, text: str, default: Iterable[str], named: Iterable[str]) -> Result:
        """The answer to a query over a dataset of its own."""
        named = frozenset(named)
        store = self.store(frozenset(default), named)
        return _result(store, text, default_graph=[DefaultGraph()], named_graphs=[NamedNode(graph) for graph in named])


_plan = lru_cache(analyse)
"""Plan a query once for the several stores that are asked it: parsing takes most of the time."""


def _result(store: Store, text: str, **dataset: Any) -> Result:
    """Answer as the specification has it where pyoxigraph does not: `test_second_truth` holds these corrections to Fuseki."""
    store.query(text, **dataset)  # a SyntaxError for what is no query
    plan = _plan(text)
    text = QueryText(text).with_outer_graphs()
    if plan.columns:
        text = QueryText(text).with_columns(plan.columns)
    if plan.graph_by_graph:
        text = graph_by_graph(text, [graph.value for graph in store.named_graphs() if isinstance(graph, NamedNode)])
    with path_ends(store, plan.path_ends, text):
        return Result.of(store.query(text, **dataset))


class Result:
    """An answer that can be compared, whatever its blank nodes are called."""

    def __init__(
        self, variables: tuple[str, ...], rows: list[Row], triples: Iterable[pyoxigraph.Triple] | None
    ) -> None:
        self.variables = variables
        self.rows = rows
        self.graph = None if triples is None else frozenset(triples)

    @classmethod
    def of(cls, found: QuerySolutions | QueryBoolean | QueryTriples) -> Result:
        """What pyoxigraph answers."""
        if isinstance(found, QueryBoolean):
            return cls(("boolean",), [(str(bool(found)),)], None)
        if isinstance(found, QueryTriples):
            return cls((), [], list(found))
        variables = tuple(variable.value for variable in found.variables)
        return cls(variables, [tuple(_text(solution[name]) for name in variables) for solution in found], None)

    @classmethod
    def read(cls, body: bytes, content_type: str) -> Result:
        """What the gateway answers, in JSON or N-Triples."""
        if content_type == "application/n-triples":
            parsed = pyoxigraph.parse(body, RdfFormat.N_TRIPLES, rename_blank_nodes=False)
            return cls((), [], [quad.triple for quad in parsed])
        return cls.of(pyoxigraph.parse_query_results(body, QueryResultsFormat.JSON))

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.rows or self.graph)

    def same(self, other: Result, *, ordered: bool = False) -> bool:
        """Whether both are the same answer."""
        if (self.graph is None) != (other.graph is None) or self.variables != other.variables:
            return False
        if self.graph is not None and other.graph is not None:
            return self.graph == other.graph or _canonical(self._as_graph()) == _canonical(other._as_graph())
        if ordered and self.rows == other.rows:
            return True
        if Counter(self.rows) == Counter(other.rows):
            return not ordered
        return _canonical(self._as_graph(ordered)) == _canonical(other._as_graph(ordered))

    def some_of(self, other: Result, limit: int) -> bool:
        """Whether these are rows of another answer, as many as it has up to a limit; blank nodes look all alike."""
        mine, its = (Counter(_without_labels(row) for row in result.rows) for result in (self, other))
        return self.variables == other.variables and mine <= its and len(self.rows) == min(limit, len(other.rows))

    def _as_graph(self, ordered: bool = False) -> list[Quad]:
        """The rows as RDF, a blank node for each, so that two tables are the same when the graphs are isomorphic."""
        if self.graph is not None:
            return [Quad(triple.subject, triple.predicate, triple.object) for triple in self.graph]
        quads = []
        for n, row in enumerate(sorted(self.rows, key=str) if not ordered else self.rows):
            node = BlankNode(f"row{n}")
            if ordered:
                quads.append(Quad(node, NamedNode("urn:position"), Literal(n)))
            for variable, text in zip(self.variables, row, strict=True):
                if text is not None:
                    value = BlankNode(text[2:]) if text.startswith("_:") else Literal(text)
                    quads.append(Quad(node, NamedNode(f"urn:variable:{variable}"), value))
            quads.append(Quad(node, NamedNode("urn:row"), Literal("")))
        return quads

    def __repr__(self) -> str:
        lines = [" | ".join(map(str, row)) for row in self.rows] or sorted(map(str, self.graph or ()))
        return f"{len(lines)} rows of {self.variables}\n" + "\n".join(sorted(lines)[:60])


def _without_labels(row: Row) -> Row:
    return tuple("_:" if text and text.startswith("_:") else text for text in row)


def _text(term: object) -> str | None:
    return None if term is None else str(term)


def _canonical(quads: list[Quad]) -> Dataset:
    dataset = Dataset(quads)
    dataset.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return dataset
