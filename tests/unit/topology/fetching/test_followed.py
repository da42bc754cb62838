"""A fetcher follows addresses, and takes the end of a fetch for theirs only while they wait for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from topology.clients.ledger import LedgerEntry
from topology.fetching.followed import Followed, FollowedAddresses, digest
from topology.fetching.queue import Fetch
from topology.records import AddressEvent

ENTRY = LedgerEntry("https://ada:secret@p.example/1", owner="P", name="N", description_hash="h")


def followed(partition: int = 0, entry: LedgerEntry = ENTRY, order: int = 1) -> Followed:
    return Followed(partition, AddressEvent("listed", 1, order=order), entry=entry)


@pytest.mark.parametrize(
    ("entry", "order", "reader"),
    [
        (replace(ENTRY, description_uri="https://p.example/2"), 1, "r"),
        (replace(ENTRY, owner="Q"), 1, "r"),
        (replace(ENTRY, name="M"), 1, "r"),
        (replace(ENTRY, description_hash="g"), 1, "r"),
        (ENTRY, 2, "r"),
        (ENTRY, 1, "another program"),
    ],
)
def test_judged_changes_with_all_that_decides_the_outcome(entry: LedgerEntry, order: int, reader: str) -> None:
    assert followed().judged("r") == followed(partition=7).judged("r")
    assert followed(entry=entry, order=order).judged(reader) != followed().judged("r")


def test_shown_entry_shows_no_password() -> None:
    shown = followed().shown_entry()

    assert (shown["owner"], shown["name"]) == ("P", "N")
    assert "secret" not in shown["source"]


def test_digest_of_a_text_that_runs_into_the_next_is_another() -> None:
    assert digest("a", "b") != digest("a\0b")
    assert digest("a\0b", "c") != digest("a", "b\0c")
    assert digest("a", "b") == digest(b"a", b"b")


def test_fetch_is_current_only_while_its_address_waits_for_it() -> None:
    addresses, fetch = FollowedAddresses(), Fetch("a", "host")
    one = addresses["a"] = followed()
    assert not addresses.is_current(fetch, one)
    one.fetch = fetch
    assert addresses.is_current(fetch, one)

    assert not addresses.is_current(Fetch("a", "host"), one), "another fetch of it"
    again = addresses["a"] = followed()
    again.fetch = fetch
    assert not addresses.is_current(fetch, one), "left, and followed again since"
    del addresses["a"]
    assert not addresses.is_current(fetch, again)


def test_leave_takes_the_addresses_of_those_partitions_alone_and_remembers_what_was_answered() -> None:
    addresses = FollowedAddresses()
    addresses |= {name: followed(partition) for partition, name in enumerate("abc")}
    addresses.answered_at["a"] = 5
    addresses.leave([0, 2])

    assert set(addresses) == {"b"}
    assert addresses.answered_at == {"a": 5}
