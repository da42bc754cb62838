"""The files that a query runs through in the server process, so that its path stays short enough to follow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import flask
import pyoxigraph
import pytest

from federation.engine import Engine
from federation.protocol.sparql import sparql_blueprint
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node, running_nodes

ROOT = Path(__file__).parents[3]
PRODUCT = ("federation", "topology")
IN_ONE_GRAPH = "SELECT ?s ?t { GRAPH ?g { ?s a <urn:C> ; <urn:title> ?t FILTER(CONTAINS(?t, 'word')) } }"
ACROSS_GRAPHS = "SELECT ?s ?t { ?s a <urn:C> ; <urn:title> ?t FILTER(CONTAINS(?t, 'word')) }"


class Store(dict[str, str]):
    """Keeps answers."""

    def get(self, key: str) -> str | None:  # type: ignore[override]
        return super().get(key)

    def put(self, key: str, text: str, seconds: float) -> None:
        self[key] = text


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    with running_nodes(2) as nodes:
        turtle = "<urn:s> a <urn:C> ; <urn:title> 'a word' ."
        for node in nodes:
            node.put("urn:g", [quad.triple for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE)])
        yield nodes


@contextmanager
def engine(caches: bool) -> Iterator[Engine]:
    engine = Engine(workers=1, cache_ttl=60, store=Store()) if caches else Engine(workers=1)
    try:
        yield engine
    finally:
        engine.close()


def snapshots(nodes: list[Node]) -> Callable[[frozenset[str]], Snapshot]:
    def snapshot_for(avoided: frozenset[str]) -> Snapshot:
        sources = [Source(f"node{n}", node.url) for n, node in enumerate(nodes)]
        live = tuple(source for source in sources if source.id not in avoided)
        return Snapshot(live, {"urn:g": live[0].id}, version="1", fingerprints={"urn:g": 1}, untracked=frozenset())

    return snapshot_for


@contextmanager
def traced() -> Iterator[tuple[set[str], set[tuple[str, str]]]]:
    """Collect the product's files whose functions are called, and the calls from one file to another."""
    files: set[str] = set()
    calls: set[tuple[str, str]] = set()

    def of(frame: FrameType | None) -> str:
        path = Path(frame.f_code.co_filename) if frame else ROOT
        inside = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else ()
        return "/".join(inside) if inside and inside[0] in PRODUCT else ""

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (file := of(frame)):
            files.add(file)
            if (caller := of(frame.f_back)) not in ("", file):
                calls.add((caller, file))

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield files, calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.parametrize(
    ("query", "caches", "most_files", "most_calls"),
    [
        pytest.param(IN_ONE_GRAPH, False, 22, 32, id="in one graph, nothing is cached"),
        pytest.param(ACROSS_GRAPHS, True, 24, 34, id="across graphs, answers and quads are cached"),
    ],
)
def test_a_cold_query_runs_through_few_files(
    nodes: list[Node], query: str, caches: bool, most_files: int, most_calls: int
) -> None:
    with engine(caches) as engine_:
        app = flask.Flask(__name__)
        app.register_blueprint(sparql_blueprint(engine_, snapshots(nodes)))
        client = app.test_client()
        with traced() as (files, calls):
            answer = client.get("/sparql", query_string={"query": query})
    assert b"a word" in answer.data
    listed = "\n".join([*sorted(files), *(f"{caller} -> {called}" for caller, called in sorted(calls))])
    assert len(files) <= most_files, f"{len(files)} files:\n{listed}"
    assert len(calls) <= most_calls, f"{len(calls)} calls:\n{listed}"
