"""The metrics of the gateway's queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from prometheus_client import CollectorRegistry

from federation.budget import Limits
from federation.engine import Engine
from federation.errors import TooLargeError
from tests.helpers.documents import ROOT
from tests.helpers.gateway import Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.gateway.api.app import create_app
from topology.gateway.api.metrics import QueryMetrics

SELECT = "SELECT * { GRAPH ?g { ?s ?p ?o } }"


class Observed:
    """A gateway over two nodes, and its metrics."""

    def __init__(self, engine: Engine, nodes: tuple[Sandbox, Sandbox], *, partial_answers: bool = True) -> None:
        self.serving = Serving.over(engine, nodes)
        self.registry = CollectorRegistry()
        app = create_app(engine, self.serving.directory, lambda: self.serving.view, partial_answers=partial_answers)
        QueryMetrics(self.registry).observe(app)
        self.client = app.test_client()

    def ask(self, query: str) -> int:
        return self.client.post("/sparql", data={"query": query}).status_code

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the values of a metric by its labels, but for the bounds of buckets."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def observed(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Iterator[Observed]:
    yield Observed(engine, nodes)


def test_queries_are_counted_by_form_way_and_outcome(observed: Observed) -> None:
    for query in (SELECT, SELECT, "ASK { GRAPH ?g { ?s ?p ?o } }", "SELECT * WHERE {"):
        observed.ask(query)

    counted = observed.values("catena_queries_total")
    assert counted["none", "none", "invalid"] == 1
    assert sum(value for labels, value in counted.items() if labels[0] == "SELECT" and labels[2] == "complete") == 2
    assert sum(value for labels, value in counted.items() if labels[0] == "ASK") == 1
    assert sum(observed.values("catena_query_seconds_count").values()) == 4


def test_partial_answers_and_refused_ones_are_told_apart(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> None:
    for partial_answers, outcome in ((True, "partial"), (False, "unavailable")):
        observed = Observed(engine, nodes, partial_answers=partial_answers)
        observed.serving.has("c", "http://c.invalid/catalogue", "down")
        observed.serving.note("c", described("https://p.example/2"))
        observed.serving.list("0xb", described("https://p.example/2"))
        observed.ask(SELECT)
        ((_form, _way, found),) = observed.values("catena_queries_total")
        assert found == outcome


LARGE = (
    f"SELECT * {{ VALUES ?a {{ {' '.join(map(str, range(500)))} }} VALUES ?b {{ {' '.join(map(str, range(200)))} }} }}"
)


@pytest.mark.parametrize("outcome", ["complete", "broken_off", "client_gone"])
def test_a_streamed_answer_is_counted_as_it_ends(nodes: tuple[Sandbox, Sandbox], outcome: str) -> None:
    limits = Limits(max_result_bytes=2**21 if outcome == "broken_off" else 2**30)
    engine = Engine(timeout=300, source_timeout=300, workers=1, limits=limits)
    try:
        observed = Observed(engine, nodes)
        response = observed.client.post("/sparql", data={"query": LARGE})
        parts = response.iter_encoded()
        assert response.status_code == 200 and next(parts)
        assert not any("SELECT" in labels for labels in observed.values("catena_queries_total"))
        with pytest.raises(TooLargeError) if outcome == "broken_off" else nullcontext():
            for _ in () if outcome == "client_gone" else parts:
                pass
        response.close()
        counted = observed.values("catena_queries_total")
    finally:
        engine.close()

    assert [labels[2] for labels, value in counted.items() if labels[0] == "SELECT" and value] == [outcome]


def test_bytes_of_nodes_are_counted(observed: Observed) -> None:
    observed.ask(SELECT)

    sent = observed.values("catena_query_node_bytes_total")
    assert set(sent) <= {("a",), ("b",)}
    assert sum(sent.values()) > 0


def test_queries_in_progress_return_to_none(observed: Observed) -> None:
    for query in (SELECT, "SELECT * WHERE {"):
        observed.ask(query)

    assert observed.values("catena_queries_in_progress") == {(): 0}


def test_requests_without_a_query_are_not_counted(observed: Observed) -> None:
    for path in ("/", "/health", "/nodes", "/sparql", "/offerings"):
        assert observed.client.get(path).status_code == 200

    assert observed.values("catena_queries_total") == {}


def test_the_manual_shows_every_metric() -> None:
    registry = CollectorRegistry()
    QueryMetrics(registry)
    manual = (ROOT / "docs/operating.md").read_text()

    for family in registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` |" in manual


def test_counters_start_at_zero(observed: Observed) -> None:
    QueryMetrics(registry := CollectorRegistry()).start_at_zero()
    observed.registry = registry

    counted = observed.values("catena_queries_total")
    assert set(counted.values()) == {0}
    assert {("SELECT", "view", "complete"), ("ASK", "none", "timed_out"), ("none", "none", "invalid")} <= counted.keys()
    assert ("none",) in observed.values("catena_query_seconds_count")
