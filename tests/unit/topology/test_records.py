"""Records: they survive the wire, earlier versions are read, and the one that counts wins."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.records import offering
from topology import records
from topology.records import (
    AddressEvent,
    AddressStatus,
    Drain,
    Endpoints,
    Inspection,
    Intent,
    Loss,
    Node,
    NodeCondition,
    NodeState,
    Offering,
    OfferingHead,
    Placement,
    Ring,
    Write,
    WriteHead,
    first_claim,
)


@pytest.mark.parametrize(
    "record",
    [
        AddressEvent("listed", 5),
        AddressEvent("refresh", 5, order=7),
        AddressStatus(state="failing", event_at=1, since=2, error="no answer", next_try=3),
        Offering(graph="urn:g", triples='<urn:s> <urn:p> "é\u2028" .\n', digest="d", claimed_at=1, owner="me"),
        Ring(3, (Node("a b", "http://a/catalogue", "suspect", 2, "graph-store"),), 150, 2, (Node("c", "http://c"),)),
        Write("put", "a", "urn:g", "addr", 7, 3, 1, "d", "t"),
        Write("delete", "a", "urn:g", "addr", 7, 3, 1),
        Placement("a", "urn:g", "addr", 7, 3, 1, "d"),
        Node("a", "http://a", endpoints=Endpoints("http://a/q", "http://a/d", "http://a/u"), problem="read-only"),
        Drain("a", 5),
        Intent("a b", ("urn:g", "urn:h")),
        Inspection("a", 5, lost=1, repair_at=9),
        Loss("a", 5, 3),
    ],
)
def test_records_survive_the_wire(record: msgspec.Struct) -> None:
    assert records.from_text(records.to_text(record), type(record)) == record


def test_a_head_is_read_from_a_whole_offering() -> None:
    whole = Offering(graph="urn:g", triples="t", digest="d", claimed_at=1, owner="me", name="n", source="s", etag="e")

    head = records.from_text(records.to_text(whole), OfferingHead)

    assert msgspec.structs.asdict(head) == {k: v for k, v in msgspec.structs.asdict(whole).items() if k != "triples"}


@pytest.mark.parametrize("text", ["", "null", "[]", '{"kind": "unheard-of", "at": 1}', '{"kind": "listed"}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        records.from_text(text, AddressEvent)


@given(node=st.text(), graph=st.text(alphabet=st.characters(exclude_characters=" ")))
def test_a_placement_s_key_says_node_and_graph_whatever_the_node_is_called(node: str, graph: str) -> None:
    assert records.split_placement_key(records.placement_key(node, graph)) == (node, graph)


COPY = {"node": "a", "graph": "urn:g", "address": "x", "version": 1, "epoch": 1, "partition": 0}


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (AddressEvent, {"kind": "listed", "at": 1}),
        (AddressStatus, {"state": "fetched", "event_at": 1, "since": 1}),
        (Offering, {"graph": "urn:g", "digest": "d", "claimed_at": 1, "triples": ""}),
        (Node, {"id": "a", "url": "http://a"}),
        (Ring, {"epoch": 1, "nodes": [], "virtual_nodes": 50, "replicas": 2}),
        (WriteHead, {"kind": "put", **COPY}),
        (Placement, COPY),
        (Inspection, {"node": "a", "at": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_records_of_earlier_versions_and_of_later_ones_are_read(kind: Any, least: dict[str, Any]) -> None:
    """Old records stay in the topics, and a link that is updated last reads those of the others."""
    earlier = records.from_text(json.dumps(least), kind)
    later = records.from_text(json.dumps({**least, "of_a_later_version": [1]}), kind)
    assert earlier == later
    assert json.loads(records.to_text(earlier)) == least


def test_what_is_the_default_takes_no_room_in_a_topic() -> None:
    assert records.to_text(Placement("a", "urn:g", "x", 7, 3, 1)).count(",") == 5


def test_an_offering_is_held_compressed_with_all_that_it_says() -> None:
    whole = offering("urn:g", '<urn:s> <urn:p> "é" .\n' * 1000, claimed_at=3, owner="me", order=2, dropped=1)
    held = records.read_compressed("0xa", records.to_text(whole))
    assert isinstance(held, records.CompressedOffering)
    assert held.triples() == whole.triples
    assert len(held.compressed) < len(whole.triples) / 10
    rest = {name: value for name, value in msgspec.structs.asdict(whole).items() if name != "triples"}
    assert {name: value for name, value in msgspec.structs.asdict(held).items() if name != "compressed"} == rest


@pytest.mark.parametrize(("old", "new", "counts"), [(None, 1, True), (1, 2, True), (2, 2, True), (3, 2, False)])
def test_the_later_claim_of_an_address_counts_whichever_record_comes_first(
    old: int | None, new: int, counts: bool
) -> None:
    earlier = None if old is None else offering("urn:old", claimed_at=old)
    assert records.is_newer_claim("0xa", earlier, offering("urn:new", claimed_at=new)) is counts


@pytest.mark.parametrize(("old", "new", "counts"), [(None, 1, True), (1, 2, True), (2, 2, False), (3, 2, False)])
def test_the_first_ring_of_each_epoch_counts(old: int | None, new: int, counts: bool) -> None:
    earlier = None if old is None else Ring(old, (), 50, 2)
    assert records.is_newer_ring("ring", earlier, Ring(new, (), 50, 2)) is counts


@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ({}, None),
        ({"0xb": (2, 1), "0xa": (1, 9)}, "0xa"),
        ({"0xb": (0, 9), "0xa": (1, 1)}, "0xa"),
        ({"0xb": (0, 5), "0xa": (0, 5)}, "0xa"),
        ({"0xb": (3, 5), "0xa": (3, 7)}, "0xb"),
    ],
    ids=["none", "rank", "one without rank: time", "same time: address", "same rank: time"],
)
def test_a_graph_belongs_to_the_first_in_the_listing(claims: dict[str, tuple[int, int]], owner: str | None) -> None:
    """By whatever way the claims come to a link."""
    made = {address: offering("urn:g", order=rank, claimed_at=at) for address, (rank, at) in claims.items()}
    for order in itertools.permutations(made.items()):
        assert first_claim(dict(order)) == owner


def test_passwords_in_addresses_of_nodes_go_no_further() -> None:
    text = '{"id": "a", "url": "http://me:secret@a.example:3030/catalogue"}'
    assert records.from_text(text, Node).url == Node("a", "http://a.example:3030/catalogue").url
    assert "secret" not in records.to_text(Node("a", "http://me:secret@a.example"))


@pytest.mark.parametrize(("found", "asked"), [("", "http://a/catalogue/sparql"), ("http://a/ds/q", "http://a/ds/q")])
def test_queries_go_to_the_endpoint_that_was_found_or_else_to_the_usual_one(found: str, asked: str) -> None:
    assert Node("a", "http://a/catalogue", endpoints=Endpoints(sparql=found)).sparql_url == asked


@pytest.mark.parametrize(
    ("state", "draining", "condition"),
    [("up", False, "up"), ("up", True, "draining"), ("suspect", True, "suspect"), ("down", True, "down")],
)
def test_condition_of_a_node_is_draining_only_while_it_answers(
    state: NodeState, draining: bool, condition: NodeCondition
) -> None:
    assert Node("a", "http://a", state, draining=draining).condition == condition
