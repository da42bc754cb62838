"""The list of offerings: each graph once, with its nodes, and made no more often than it costs."""

from __future__ import annotations

import time

import pytest

from federation.source_selection import Snapshot
from topology.gateway.offering_list import ListedOffering, OfferingList, list_offerings
from topology.gateway.replicas.ranking import Replica
from topology.records import OfferingHead, placement_key


def test_offering_list_that_took_long_to_make_is_reused_for_ten_times_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    snapshots = [Snapshot(())]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def make() -> list[ListedOffering]:
        clock[0] += 2
        return [ListedOffering("urn:g", ())]

    lists = OfferingList(lambda: snapshots[-1], make)
    first = lists()
    snapshots.append(Snapshot(()))

    assert lists() is first
    clock[0] += 19
    assert lists() is first
    clock[0] += 2
    assert lists() is not first
    unchanged = lists()
    clock[0] += 100
    assert lists() is unchanged


def test_list_offerings_of_several_claims_to_a_graph_names_the_first() -> None:
    def head(graph: str, at: int, owner: str = "") -> OfferingHead:
        return OfferingHead(graph=graph, digest="d", claimed_at=at, owner=owner, name=f"{owner} thing")

    claims = {"0x2": head("urn:b", 2, "late"), "0x1": head("urn:b", 1, "early"), "0x3": head("urn:a", 5, "o")}
    copies = {placement_key("n", "urn:b"): Replica("d", 1), placement_key("m", "urn:b"): Replica("", 1)}

    assert list_offerings(claims, copies) == [
        ListedOffering("urn:a", (), "0x3", "o", "o thing"),
        ListedOffering("urn:b", ("n",), "0x1", "early", "early thing"),
    ]
