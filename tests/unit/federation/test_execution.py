"""One query over one selection of nodes: whom it asks, what it asks again, and when some of the rows are enough."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pyoxigraph
import pytest

from federation import execution as module
from federation.analysis.analyse import analyse
from federation.analysis.plan import Dataset, Plan
from federation.budget import Budget, Limits
from federation.errors import SourceFailedError
from federation.evaluation import process
from federation.evaluation.messages import Analyse, Evaluate, Evaluated, Failed, Planned
from federation.evaluation.pool import Result
from federation.execution import Backend, QueryExecution
from federation.fetching import staleness
from federation.fetching.hedging import Reselected
from federation.fetching.merge import MergedQuads
from federation.fetching.semi_join import WidePatterns
from federation.fetching.subquery import Subquery
from federation.source_selection import Snapshot, Source
from tests.helpers.evaluation import JSON

RESELECTED = Reselected()
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"


class Workers:
    """Does the jobs of workers in this process."""

    def analyse(self, text: str, budget: Budget) -> Plan:
        reply = self._done(Analyse(text))
        assert isinstance(reply, Planned)
        return reply.plan

    def evaluate(self, job: Evaluate, budget: Budget) -> Result:
        reply = self._done(job)
        assert isinstance(reply, Evaluated)
        return Result(reply.body)

    def _done(self, job: Analyse | Evaluate) -> Any:
        reply = process._do(job, None, lambda part: None)
        if isinstance(reply, Failed):
            raise reply.error()
        return reply


class Nodes:
    """Nodes with graphs, and the requests of a query to them.

    Attributes:
        snapshot: Where each graph is read from now.
        asked: Each request: the nodes, and the subquery.
        after_ask: Called once, after the first request.
        reselects: The steps that say to start again, ``"ask"`` or ``"moved"``.
        spoils: Changes the rows of a node's answer.
    """

    def __init__(self, *names: str) -> None:
        self.stores = {name: pyoxigraph.Store() for name in names}
        self.snapshot = Snapshot(tuple(Source(name, f"http://{name}.invalid") for name in names), revision=1)
        self.asked: list[tuple[list[str], Subquery]] = []
        self.after_ask: Callable[[], object] = lambda: None
        self.reselects: set[str] = set()
        self.spoils: Callable[[str, bytes], bytes] = lambda _node, rows: rows

    def put(self, graph: str, triples: str, *nodes: str) -> None:
        """Put a graph on nodes; it is read from the first one."""
        for node in nodes:
            name = pyoxigraph.NamedNode(graph)
            self.stores[node].load(triples.encode(), format=pyoxigraph.RdfFormat.TURTLE, to_graph=name)
        self.snapshot = replace(self.snapshot, source_of={**self.snapshot.source_of, graph: nodes[0]})

    def move(self, graph: str, node: str) -> None:
        """Read a graph from another node from now on; the former one has lost it."""
        former = self.snapshot.source_of[graph]
        self.stores[former].remove_graph(pyoxigraph.NamedNode(graph))
        revision = self.snapshot.revision + 1
        self.snapshot = replace(
            self.snapshot,
            source_of={**self.snapshot.source_of, graph: node},
            revision=revision,
            moved_at={**self.snapshot.moved_at, graph: revision},
            version=f"v{revision}",
        )

    def ask(self, snapshot: Snapshot, sources: Iterable[Source], asked: Subquery) -> Any:
        sources = list(sources)
        self.asked.append(([source.id for source in sources], asked))
        if "ask" in self.reselects:
            return RESELECTED
        answers = [(source, self.spoils(source.id, self._rows(source, asked))) for source in sources]
        act, self.after_ask = self.after_ask, lambda: None
        act()
        return answers

    def moved(self, before: Snapshot, graphs: frozenset[str] | None = None) -> Any:
        if "moved" in self.reselects:
            return RESELECTED
        return self.snapshot, staleness.moved(before, self.snapshot, graphs)

    def _rows(self, source: Source, asked: Subquery) -> bytes:
        solutions = self.stores[source.id].query(asked.text)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        table = solutions.serialize(format=pyoxigraph.QueryResultsFormat.TSV)
        assert table is not None
        return table.partition(b"\n")[2]


@pytest.fixture
def nodes() -> Nodes:
    """Two nodes; of three graphs one is on each, and one on both."""
    nodes = Nodes("a", "b")
    nodes.put("urn:g0", "<urn:s0> <urn:p> 1, 2 .", "a")
    nodes.put("urn:g1", "<urn:s1> <urn:p> 1, 2 .", "b")
    nodes.put("urn:both", "<urn:s2> <urn:p> 1, 2 .", "b", "a")
    return nodes


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def executing(nodes: Nodes, threads: ThreadPoolExecutor) -> Callable[..., QueryExecution]:
    def make(text: str, **given: Any) -> QueryExecution:
        plan = analyse(text)
        dataset = (
            Dataset(frozenset(plan.from_default), frozenset(plan.from_named), given=True)
            if plan.has_dataset
            else Dataset(None, None)
        )
        unused: Any = None
        workers: Any = Workers()
        requests: Any = nodes
        backend = Backend(unused, threads, workers, WidePatterns(), "urn:skolem:")
        return QueryExecution(backend, plan, dataset, nodes.snapshot, Budget(300, Limits()), requests, **given)

    return make


def value(result: Result | Reselected | None) -> str:
    assert isinstance(result, Result)
    ((term,),) = [row.values() for row in json.loads(result.body)["results"]["bindings"]]
    return str(term["value"])


def answer(execution: QueryExecution, text: str) -> str:
    merged = execution.fetch_for_query()
    assert isinstance(merged, MergedQuads)
    return value(execution.evaluate(text, merged, JSON))


def test_each_graph_is_read_from_its_node(nodes: Nodes, executing: Callable[..., QueryExecution]) -> None:
    nodes.stores["a"].update("INSERT DATA { GRAPH <urn:both> { <urn:s2> <urn:p> 9 } }")  # a stale copy
    assert answer(executing(COUNT), COUNT) == "6"
    assert [asked for asked, _ in nodes.asked] == [["a", "b"]]


@pytest.mark.parametrize(
    ("graph", "asked"), [("urn:g0", ["a"]), ("urn:both", ["b"]), ("urn:unknown", ["a", "b"]), ("urn:deleted", [])]
)
def test_only_nodes_that_a_wanted_graph_is_read_from_are_asked(
    nodes: Nodes, executing: Callable[..., QueryExecution], graph: str, asked: list[str]
) -> None:
    nodes.snapshot = replace(nodes.snapshot, tombstoned=frozenset({"urn:deleted"}))
    text = f"SELECT (COUNT(*) AS ?n) FROM <{graph}> {{ ?s ?p ?o }}"
    answer(executing(text), text)
    assert [sources for sources, _ in nodes.asked] == [asked]


def test_a_graph_that_moves_meanwhile_is_asked_for_again_and_counts_once(
    nodes: Nodes, executing: Callable[..., QueryExecution]
) -> None:
    nodes.put("urn:g0", "<urn:s0> <urn:p> 1, 2, 3 .", "b")
    nodes.snapshot = replace(nodes.snapshot, source_of={**nodes.snapshot.source_of, "urn:g0": "a"})
    nodes.after_ask = lambda: nodes.move("urn:g0", "b")
    execution = executing(COUNT)
    assert answer(execution, COUNT) == "7"
    assert [(sources, asked.graphs) for sources, asked in nodes.asked] == [
        (["a", "b"], None),
        (["b"], frozenset({"urn:g0"})),
    ]
    assert not execution.is_of_one_version()


def test_a_catalogue_that_stays_as_it_is_has_one_version(
    nodes: Nodes, executing: Callable[..., QueryExecution]
) -> None:
    execution = executing(COUNT)
    execution.fetch_for_query()
    assert execution.is_of_one_version()


@pytest.mark.parametrize("step", ["ask", "moved"])
@pytest.mark.parametrize("text", [COUNT, "SELECT * { <urn:s0> <urn:knows> ?x . ?x <urn:p> ?y }"], ids=["plain", "join"])
def test_a_query_that_needs_other_nodes_stops_at_once(
    nodes: Nodes, executing: Callable[..., QueryExecution], step: str, text: str
) -> None:
    nodes.reselects = {step}
    assert executing(text).fetch_for_query() is RESELECTED
    assert len(nodes.asked) == 1
    assert executing("SELECT * { ?s ?p ?o } LIMIT 1").answer_from_some("", JSON, 1) is RESELECTED


def test_a_join_fetches_what_the_first_pattern_leaves(nodes: Nodes, executing: Callable[..., QueryExecution]) -> None:
    """Of a pattern that matches much, nodes send what can join with what another one has found."""
    many = " ".join(f"<urn:n{n}> <urn:name> 'name {n}' ." for n in range(300))
    nodes.put("urn:names", many, "a")
    nodes.put("urn:one", "<urn:s0> <urn:knows> <urn:n7> .", "b")
    text = "SELECT ?name { <urn:s0> <urn:knows> ?x . ?x <urn:name> ?name }"
    execution = executing(text)
    merged = execution.fetch_for_query()
    assert isinstance(merged, MergedQuads) and len(merged) < 300
    assert value(execution.evaluate(text, merged, JSON)) == "name 7"
    assert "<urn:n7>" in nodes.asked[-1][1].text


def rows(result: Result | Reselected | None) -> int:
    assert isinstance(result, Result)
    return len(json.loads(result.body)["results"]["bindings"])


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are enough to stop a node."""
    monkeypatch.setattr(module, "_FIRST_ROWS", 1)
    monkeypatch.setattr(module, "_MORE_TIMES", 3)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize(
    ("text", "wanted", "limits"),
    [
        ("SELECT * { ?s <urn:q> ?o } LIMIT 2", 2, [" LIMIT 5 "]),
        ("SELECT * { ?s <urn:q> ?o } LIMIT 100", 20, [" LIMIT 201 "]),
        ("SELECT * { ?s <urn:none> ?o } LIMIT 3", 0, [" LIMIT 7 "]),
    ],
    ids=["enough", "all there are", "none"],
)
def test_a_limit_is_answered_from_the_first_rows(
    nodes: Nodes, executing: Callable[..., QueryExecution], text: str, wanted: int, limits: list[str]
) -> None:
    nodes.put("urn:many", "<urn:s> <urn:q> " + ", ".join(map(str, range(20))) + " .", "a")
    limit = int(text.rpartition(" ")[2])
    assert rows(executing(text).answer_from_some(text, JSON, limit)) == wanted
    assert [limit for _, asked in nodes.asked for limit in limits if limit in asked.text] == limits


@pytest.mark.usefixtures("few_rows")
def test_first_rows_that_are_too_few_are_followed_by_more(
    nodes: Nodes, executing: Callable[..., QueryExecution]
) -> None:
    nodes.put("urn:many", "<urn:s> <urn:q> " + ", ".join(map(str, range(20))) + " .", "a")
    found = nodes.stores["a"].query("SELECT ?o { GRAPH ?g { ?s <urn:q> ?o } }")
    assert isinstance(found, pyoxigraph.QuerySolutions)
    last = [str(solution["o"].value) for solution in found][-4:]  # in the node's own order
    text = f"SELECT * {{ ?s <urn:q> ?o FILTER(?o IN ({', '.join(last)})) }} LIMIT 4"
    execution = executing(text)
    # As where a test is none that nodes can be trusted with.
    samples = tuple(msgspec.structs.replace(bgp, filters=(), values=()) for bgp in execution.plan.samples)
    execution.plan = msgspec.structs.replace(execution.plan, samples=samples)
    assert rows(execution.answer_from_some(text, JSON, 4)) == 4
    assert [" LIMIT 9 " in asked.text for _, asked in nodes.asked] == [True, False]
    assert [" LIMIT 27 " in asked.text for _, asked in nodes.asked] == [False, True]


@pytest.mark.usefixtures("few_rows")
def test_a_limit_that_needs_matches_across_graphs_needs_more_than_the_first_rows(
    nodes: Nodes, executing: Callable[..., QueryExecution]
) -> None:
    nodes.put("urn:left", "<urn:l> <urn:knows> <urn:r> .", "a")
    nodes.put("urn:right", "<urn:r> <urn:name> 'right' .", "b")
    text = "SELECT ?name { ?x <urn:knows> ?y . ?y <urn:name> ?name } LIMIT 1"
    execution = executing(text)
    assert execution.answer_from_some(text, JSON, 1) is None
    assert answer(execution, text) == "right"


def test_a_node_that_sends_no_rdf_is_named(nodes: Nodes, executing: Callable[..., QueryExecution]) -> None:
    nodes.spoils = lambda node, rows: rows.replace(b"\t1\t", b'\t"\\q"\t') if node == "b" else rows
    execution = executing(COUNT)
    merged = execution.fetch_for_query()
    assert isinstance(merged, MergedQuads)
    with pytest.raises(SourceFailedError, match="node b sends what is no RDF") as caught:
        execution.evaluate(COUNT, merged, JSON)
    assert caught.value.sources == {"b"}


@pytest.mark.parametrize(("graph", "missing"), [("", ("c",)), ("FROM <urn:g0>", ()), ("FROM <urn:lost>", ("c",))])
def test_nodes_are_missing_where_their_graphs_may_matter(
    nodes: Nodes, executing: Callable[..., QueryExecution], graph: str, missing: tuple[str, ...]
) -> None:
    held = {**nodes.snapshot.source_of, "urn:lost": "c"}
    nodes.snapshot = replace(nodes.snapshot, source_of=held, unavailable=("c",))
    execution = executing(f"SELECT * {graph} {{ ?s ?p ?o }}")
    execution.fetch_for_query()
    assert execution.missing() == missing


def test_blank_nodes_of_two_nodes_stay_apart(nodes: Nodes, executing: Callable[..., QueryExecution]) -> None:
    """They may have the same labels."""
    for graph, node in (("urn:x", "a"), ("urn:y", "b")):
        nodes.stores[node].add(
            pyoxigraph.Quad(
                pyoxigraph.BlankNode("same"),
                pyoxigraph.NamedNode("urn:blank"),
                pyoxigraph.Literal("o"),
                pyoxigraph.NamedNode(graph),
            )
        )
    text = "SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s <urn:blank> ?o }"
    assert answer(executing(text), text) == "2"
