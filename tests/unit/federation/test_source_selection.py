"""The nodes that a query reads from: each graph from one, and what is known of it."""

from __future__ import annotations

import pytest

from federation.source_selection import Snapshot, Source

A, B = Source("a", "http://a.example/sparql"), Source("b", "http://b.example/sparql")
SNAPSHOT = Snapshot(
    (A, B),
    source_of={"urn:on-a": "a", "urn:lost": "c", "urn:deleted": "a", "urn:doubted": "b"},
    tombstoned=frozenset({"urn:deleted", "urn:deleted-by-all"}),
    unconfirmed=frozenset({"urn:doubted"}),
)


@pytest.mark.parametrize(
    ("graph", "readers"),
    [
        ("urn:on-a", ["a"]),
        ("urn:lost", []),
        ("urn:deleted", []),
        ("urn:deleted-by-all", []),
        ("urn:a-providers-own", ["a", "b"]),
    ],
)
def test_a_graph_is_read_from_its_node_and_an_unknown_one_wherever_it_is(graph: str, readers: list[str]) -> None:
    assert [source.id for source in SNAPSHOT.sources if SNAPSHOT.reads(graph, source.id)] == readers


@pytest.mark.parametrize(
    ("graph", "confirmed"),
    [("urn:on-a", True), ("urn:lost", False), ("urn:doubted", False), ("urn:a-providers-own", False)],
)
def test_a_graph_is_confirmed_where_a_live_node_is_known_to_have_it(graph: str, confirmed: bool) -> None:
    assert SNAPSHOT.is_confirmed(graph) is confirmed


def test_nodes_without_an_id_are_no_live_node() -> None:
    assert [SNAPSHOT.is_live(node) for node in ("a", "b", "c", "")] == [True, True, False, False]


def test_snapshots_that_read_alike_are_equal_though_one_is_later() -> None:
    """Answers are kept from one to the next."""
    earlier, later = Snapshot((A,), {"urn:g": "a"}, revision=1), Snapshot((A,), {"urn:g": "a"}, revision=2)
    assert earlier.is_live("a")  # what is computed once does not tell them apart
    assert earlier == later
    assert earlier != Snapshot((A,), {"urn:g": "b"}, revision=1)
    assert earlier != Snapshot((A,), {"urn:g": "a"}, fingerprints={"urn:g": 1})
