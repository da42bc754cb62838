"""Queries while graphs come to nodes and go from them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyoxigraph
import pytest

from federation.engine import Answer, Engine
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node, running_nodes

pytestmark = pytest.mark.slow

VALUES = "SELECT ?o { ?s <urn:p> ?o } ORDER BY ?o"
MANY = 1500  # so many graphs cannot be listed in one request


class Nodes:
    """Two nodes, a and b, and what is known of them before and after the first of them has answered."""

    def __init__(self, a: Node, b: Node) -> None:
        self.a, self.b = a, b
        self.sources = Source("a", a.url), Source("b", b.url)
        self.before = self.after = Snapshot(self.sources)
        self._asked_before = 0

    def put(self, node: Node, graph: str, turtle: str) -> None:
        node.put(graph, [quad.triple for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE)])

    def know(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self.before = Snapshot(**{"sources": self.sources, "revision": self.after.revision + 1, **before})
        self.after = Snapshot(**{"sources": self.sources, "revision": self.before.revision + 1, **after})
        self._asked_before = self._asked()

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        known = self.after if self._asked() > self._asked_before else self.before
        return Snapshot((), unavailable=("a", "b"), revision=known.revision) if avoided else known

    def _asked(self) -> int:
        return len(self.a.queries) + len(self.b.queries)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with running_nodes(2) as (a, b):
        yield Nodes(a, b)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=300, source_timeout=300, workers=1)
    yield engine
    engine.close()


def values(answer: Answer) -> list[str]:
    return [term["value"] for row in json.loads(answer.body)["results"]["bindings"] for term in row.values()]


@pytest.mark.parametrize("number", [100, MANY])
def test_a_join_over_the_default_graph_loses_nothing_however_many_graphs_move(
    nodes: Nodes, engine: Engine, number: int
) -> None:
    moving = [f"https://provider.example.org/offerings/{n:060d}" for n in range(number)]
    for n, graph in enumerate(moving):
        nodes.put(nodes.b, graph, f"<urn:x{n}> a <urn:{'K' if n < 10 else 'Other'}> .")
    names = "".join(f"<urn:x{n}> <urn:name> 'x{n}' . " for n in range(1000))
    nodes.put(nodes.a, "urn:names", f"{names} <urn:x900> a <urn:K> .")
    here = {"urn:names": "a"}
    nodes.know(
        {"source_of": {**here, **dict.fromkeys(moving, "a")}}, {"source_of": {**here, **dict.fromkeys(moving, "b")}}
    )

    answer = engine.query_with_failover("SELECT ?name { ?x a <urn:K> ; <urn:name> ?name }", nodes.snapshot, fresh=True)

    assert (sorted(values(answer)), answer.missing) == (sorted([*(f"x{n}" for n in range(10)), "x900"]), ())
    assert max(map(len, nodes.b.queries)) < 50_000


def test_a_graph_that_is_placed_meanwhile_is_seen_in_one_state(nodes: Nodes, engine: Engine) -> None:
    nodes.put(nodes.a, "urn:g", "<urn:s> <urn:p> 'second version' .")
    nodes.put(nodes.b, "urn:g", "<urn:s> <urn:p> 'first version' .")
    nodes.know({}, {"source_of": {"urn:g": "a"}})

    assert values(engine.query_with_failover(VALUES, nodes.snapshot, fresh=True)) == ["second version"]


def test_blank_nodes_of_a_graph_that_a_second_node_lists_meanwhile_count_once(nodes: Nodes, engine: Engine) -> None:
    for node in (nodes.a, nodes.b):
        nodes.put(node, "urn:g", "[] <urn:p> 'one' .")
    nodes.know({}, {"source_of": {"urn:g": "a"}})

    assert values(engine.query_with_failover(VALUES, nodes.snapshot, fresh=True)) == ["one"]


def test_a_graph_that_only_another_node_lists_any_more_is_read_there(nodes: Nodes, engine: Engine) -> None:
    nodes.put(nodes.b, "urn:g", "<urn:s> <urn:p> 'still here' .")
    nodes.know({"source_of": {"urn:g": "a"}}, {})

    assert values(engine.query_with_failover(VALUES, nodes.snapshot, fresh=True)) == ["still here"]


def test_what_a_node_has_sent_before_it_went_is_not_missing(nodes: Nodes, engine: Engine) -> None:
    nodes.put(nodes.a, "urn:g", "<urn:s> <urn:p> 'g' .")
    nodes.put(nodes.b, "urn:h", "<urn:s> <urn:p> 'h' .")
    gone = {"sources": nodes.sources[:1], "source_of": {"urn:g": "a", "urn:h": ""}, "unavailable": ("b",)}
    nodes.know({"source_of": {"urn:g": "a", "urn:h": "b"}}, gone)

    answer = engine.query_with_failover(VALUES, nodes.snapshot, fresh=True)

    assert (values(answer), answer.missing) == (["g", "h"], ())


def test_a_graph_that_is_written_faster_than_nodes_answer_keeps_no_query_going(nodes: Nodes, engine: Engine) -> None:
    """It is on both nodes all the time, whichever has the newer description."""
    for node in (nodes.a, nodes.b):
        nodes.put(node, "urn:g", "<urn:s> <urn:p> 'g' .")
    revision = 0

    def written_again(_: frozenset[str]) -> Snapshot:
        nonlocal revision
        revision += 1
        return Snapshot(
            nodes.sources, {"urn:g": "ab"[revision % 2]}, fingerprints={"urn:g": revision}, revision=revision
        )

    assert values(engine.query_with_failover(VALUES, written_again, fresh=True)) == ["g"]
    assert len(nodes.a.queries) == len(nodes.b.queries) == 1


class Texts(dict[str, str]):
    """Keeps answers."""

    def get(self, key: str) -> str | None:  # type: ignore[override]
        return super().get(key)

    def put(self, key: str, text: str, seconds: float) -> None:
        self[key] = text


class TestWhatIsKept:
    """It is never older than what it is taken for."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        engine = Engine(timeout=300, source_timeout=300, workers=1, cache_ttl=60, store=Texts())
        yield engine
        engine.close()

    def known(
        self, source_of: dict[str, str], fingerprints: dict[str, int], version: str, **others: Any
    ) -> dict[str, Any]:
        return {
            "source_of": source_of,
            "fingerprints": fingerprints,
            "version": version,
            "untracked": frozenset(),
            **others,
        }

    def steady(self, nodes: Nodes, node: str, mark: int, version: str) -> None:
        state = self.known({"urn:g": node, "urn:h": "b"}, {"urn:g": mark, "urn:h": 5}, version)
        nodes.know(state, state)

    def asked(self, engine: Engine, nodes: Nodes, until: Callable[[Answer], bool] = lambda _: True) -> Answer:
        deadline = time.monotonic() + 120
        while not until(answer := engine.query_with_failover(VALUES, nodes.snapshot)):
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer

    @pytest.fixture
    def kept(self, nodes: Nodes, engine: Engine) -> Nodes:
        """Give the two nodes, of which an answer is cached already."""
        for node in (nodes.a, nodes.b):
            nodes.put(node, "urn:g", "<urn:s> <urn:p> 'old' .")
            nodes.put(node, "urn:h", "<urn:s> <urn:p> 'h' .")
        self.steady(nodes, "a", 1, "v1")
        answer = self.asked(engine, nodes, lambda answer: answer.cached)
        assert values(answer) == ["h", "old"]
        return nodes

    def test_an_older_copy_that_is_read_when_a_node_goes_does_not_count_as_the_newer(
        self, kept: Nodes, engine: Engine
    ) -> None:
        kept.put(kept.a, "urn:g", "<urn:s> <urn:p> 'new' .")
        both, without_a = {"urn:h": "b"}, {"sources": kept.sources[1:]}
        kept.know(
            self.known({"urn:g": "a", **both}, {"urn:g": 2, "urn:h": 5}, "v2"),
            self.known({"urn:g": "b", **both}, {"urn:g": 1, "urn:h": 5}, "v1 without a", **without_a),
        )
        assert values(self.asked(engine, kept)) == ["h", "old"]

        self.steady(kept, "a", 2, "v2")

        for _ in range(3):
            assert values(self.asked(engine, kept)) == ["h", "new"]

    def test_a_graph_that_was_read_where_it_had_just_gone_does_not_count_as_read(
        self, kept: Nodes, engine: Engine
    ) -> None:
        kept.a.delete("urn:g")
        kept.put(kept.b, "urn:g", "<urn:s> <urn:p> 'new' .")
        kept.know(
            self.known({"urn:g": "a", "urn:h": "b"}, {"urn:g": 2, "urn:h": 5}, "v2"),
            self.known(
                {"urn:g": "", "urn:h": ""},
                {},
                "v2 without b",
                sources=kept.sources[:1],
                unavailable=("b",),
                moved_at={"urn:g": kept.after.revision + 2},
            ),
        )
        answer = self.asked(engine, kept)
        assert (values(answer), answer.missing) == (["h"], ("b",))

        self.steady(kept, "b", 2, "v2")

        for _ in range(3):
            assert values(self.asked(engine, kept)) == ["h", "new"]

    def test_nor_does_it_when_the_word_comes_when_all_has_been_read(self, nodes: Nodes, engine: Engine) -> None:
        """The graph stands on the other node already, but the gateway does not know yet, nor that it is gone from the first."""
        nodes.put(nodes.b, "urn:g", "<urn:s> <urn:p> 'g' .")
        nodes.put(nodes.b, "urn:h", "<urn:s> <urn:p> 'h' .")
        self.steady(nodes, "a", 1, "v1")
        assert values(self.asked(engine, nodes, lambda answer: answer.cached)) == ["h"]

        word = {"moved_at": {"urn:g": nodes.after.revision + 1}, "removed_at": {"urn:g": nodes.after.revision + 1}}
        known = self.known({"urn:g": "b", "urn:h": "b"}, {"urn:g": 1, "urn:h": 5}, "v1 of another epoch", **word)
        nodes.know(known, known)

        for _ in range(3):
            assert values(self.asked(engine, nodes)) == ["g", "h"]
