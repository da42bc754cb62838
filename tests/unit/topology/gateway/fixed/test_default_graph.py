"""Triples in the default graphs of fixed nodes."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pyoxigraph
import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import Answer, Handler, OddServer, saying, saying_json
from topology.clients.http import WebClient
from topology.gateway.fixed.default_graph import DefaultGraphCheck


@pytest.fixture
def check() -> DefaultGraphCheck:
    return DefaultGraphCheck("n1", WebClient(2), LinkLogger("test"))


def store_answer(store: pyoxigraph.Store, union: bool = False) -> Answer:
    def answer(request: Handler) -> None:
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        result = store.query(query, use_default_graph_as_union=union)
        request.say_json({"head": {}, "boolean": bool(result)})

    return answer


def make_store(quads: str) -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    store.load(quads.encode(), pyoxigraph.RdfFormat.N_QUADS)
    return store


@pytest.mark.parametrize(
    ("quads", "union", "found"),
    [
        ("", False, False),
        ("<urn:s> <urn:p> <urn:o> .", False, True),
        ("<urn:s> <urn:p> <urn:o> <urn:g> .", False, False),
        ("<urn:s> <urn:p> <urn:o> <urn:g> .\n<urn:s> <urn:p> <urn:x> .", False, True),
        ("<urn:s> <urn:p> <urn:o> <urn:g> .", True, False),
    ],
    ids=["empty", "default graph only", "named graphs only", "both", "the default graph is the union"],
)
def test_triples_in_the_default_graph_are_found_unless_named_graphs_have_them(
    server: OddServer, check: DefaultGraphCheck, quads: str, union: bool, found: bool
) -> None:
    server.answers["/sparql"] = store_answer(make_store(quads), union)
    check.check(f"{server.url}/sparql")
    assert ("default graph" in check.problem) is found


def test_they_are_logged_once_and_forgotten_when_they_go(
    server: OddServer, check: DefaultGraphCheck, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/sparql"] = saying_json({"head": {}, "boolean": True})
    check.check(f"{server.url}/sparql")
    check.check(f"{server.url}/sparql")
    assert [record.message for record in caplog.records] == [f"n1: {check.problem}"]
    server.answers["/sparql"] = saying_json({"head": {}, "boolean": False})
    check.check(f"{server.url}/sparql")
    assert check.problem == ""


@pytest.mark.parametrize(
    "answer",
    [
        saying(b"<html>", 200, Content_Type="text/html"),
        saying(b'{"head":{"vars":[]},"results":{"bindings":[]}}'),
        saying(b'{"boolean":' + b"[" * 1_000_000),
        saying(b'{"boolean":"yes"}'),
    ],
)
def test_an_unclear_answer_changes_nothing(
    server: OddServer, check: DefaultGraphCheck, answer: Callable[..., object]
) -> None:
    server.answers["/sparql"] = saying_json({"boolean": True})
    check.check(f"{server.url}/sparql")
    before = check.problem
    server.answers["/sparql"] = answer
    check.check(f"{server.url}/sparql")
    assert before
    assert check.problem == before
