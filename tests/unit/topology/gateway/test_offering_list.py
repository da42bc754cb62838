"""The list of offerings: each graph once, with its nodes, and made no more often than it costs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from federation.source_selection import Snapshot
from topology.gateway.offering_list import ListedOffering, OfferingList, list_offerings
from topology.gateway.replicas.ranking import Replica
from topology.records import AddressEvent, AddressState, AddressStatus, OfferingHead, placement_key


def test_offering_list_that_took_long_to_make_is_reused_for_ten_times_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    snapshots = [Snapshot(())]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def make() -> list[ListedOffering]:
        clock[0] += 2
        return [ListedOffering(graph="urn:g", nodes=())]

    lists = OfferingList(lambda: (snapshots[-1],), make)
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
        ListedOffering(graph="urn:a", nodes=(), state="waiting", address="0x3", owner="o", name="o thing"),
        ListedOffering(graph="urn:b", nodes=("n",), state="placed", address="0x1", owner="early", name="early thing"),
        ListedOffering(
            graph="urn:b", nodes=(), state="conflict", address="0x2", owner="late", name="late thing", owned_by="0x1"
        ),
    ]


def test_list_offerings_by_rank_in_the_ledger_not_by_time() -> None:
    claims = {
        "0x2": OfferingHead(graph="urn:b", digest="d", claimed_at=1, order=2),
        "0x1": OfferingHead(graph="urn:b", digest="d", claimed_at=9, order=1),
    }

    assert [(one.address, one.state) for one in list_offerings(claims, {})] == [("0x1", "waiting"), ("0x2", "conflict")]


def test_list_offerings_shows_how_many_statements_were_dropped() -> None:
    claims = {"0x1": OfferingHead(graph="urn:a", digest="d", claimed_at=1, dropped=3)}

    assert [one.dropped for one in list_offerings(claims, {})] == [3]


def test_list_offerings_shows_the_state_of_every_listed_address() -> None:
    def status(state: AddressState, **more: Any) -> AddressStatus:
        return AddressStatus(state=state, event_at=1, since=1_800_000_000_000, source="https://p.example/d", **more)

    claims = {
        name: OfferingHead(graph=f"urn:{name}", digest="d", claimed_at=1) for name in ("placed", "stale", "unplaced")
    }
    copies = {placement_key("n", f"urn:{name}"): Replica("d", 1) for name in ("placed", "stale")}
    statuses = {
        "placed": status("fetched", hash_check="differs"),
        "stale": status("stale", error="404"),
        "failing": status("failing", error="no answer", next_try=1_800_000_060_000),
        "gone": status("gone", error="410", graph="urn:gone"),
    }
    events = {name: AddressEvent("listed", 1) for name in [*statuses, "new"]} | {"left": AddressEvent("delisted", 2)}

    listed = {
        one.address: one for one in list_offerings(claims, copies, statuses | {"left": status("failing")}, events)
    }

    assert {address: one.state for address, one in listed.items()} == {
        "placed": "placed",
        "stale": "stale",
        "unplaced": "waiting",
        "failing": "failing",
        "gone": "gone",
        "new": "waiting",
    }
    failing = listed["failing"]
    assert (failing.error, failing.source) == ("no answer", "https://p.example/d")
    assert (failing.since, failing.next_try) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z")
    assert listed["placed"].hash_check == "differs"
    assert listed["stale"].nodes == ("n",)
