"""The offerings that a fetcher emits: what they drop of a description, and when they are withdrawn or moved."""

from __future__ import annotations

import pytest

from catena_core.testing import LinkDriver
from tests.helpers.fetcher import ONE, OTHER, PARTITIONS, Ledger, fetch, offerings, read_back
from tests.helpers.records import document
from topology.fetching import emitted
from topology.topics import graph_partition


class TestGone:
    def test_a_tombstone_stands_where_the_offering_stood_and_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))

        (electron,) = fetch(driver, kind="delisted")

        assert (electron.key, electron.value) == ("a", None)
        assert electron.partition == graph_partition(ONE, PARTITIONS)
        assert fetch(driver, kind="delisted") == []
        read_back(driver, [electron])
        assert fetch(driver, kind="delisted") == []

    def test_it_is_told_without_asking_anybody(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.server.stop()

        assert len(fetch(driver, kind="delisted")) == 1

    def test_what_never_came_needs_no_tombstone(self, driver: LinkDriver) -> None:
        assert fetch(driver, kind="delisted") == []

    def test_what_comes_back_claims_anew(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        (first,) = offerings(fetch(driver))
        fetch(driver, kind="delisted")

        (again,) = offerings(fetch(driver))

        assert first is not None
        assert again is not None
        assert again.claimed_at >= first.claimed_at

    def test_another_iri_moves_the_offering(self, driver: LinkDriver, ledger: Ledger) -> None:
        assert graph_partition(ONE, PARTITIONS) != graph_partition(OTHER, PARTITIONS)
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has("a", document(OTHER))

        moved = fetch(driver, kind="refresh")

        assert [(electron.key, electron.partition) for electron in moved] == [
            ("a", graph_partition(ONE, PARTITIONS)),
            ("a", graph_partition(OTHER, PARTITIONS)),
        ]
        gone, told = offerings(moved)
        assert gone is None
        assert told is not None
        assert told.graph == OTHER

    @pytest.mark.parametrize("order", [1, -1])
    def test_in_whatever_order_the_move_is_read_back(self, driver: LinkDriver, ledger: Ledger, order: int) -> None:
        """Nothing orders two partitions."""
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has("a", document(OTHER))
        read_back(driver, fetch(driver, kind="refresh")[::order])

        assert fetch(driver, kind="refresh") == []
        (gone,) = fetch(driver, kind="delisted")
        assert gone.partition == graph_partition(OTHER, PARTITIONS)

    def test_move_counts_though_the_clock_has_gone_back(
        self, driver: LinkDriver, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has("a", document(OTHER))
        monkeypatch.setattr(emitted, "now_in_milliseconds", lambda: 1)

        read_back(driver, fetch(driver, kind="refresh")[::-1])

        assert fetch(driver, kind="refresh") == []
        (gone,) = fetch(driver, kind="delisted")
        assert gone.partition == graph_partition(OTHER, PARTITIONS)

    def test_there_and_back_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        for iri in (ONE, OTHER, ONE):
            ledger.has("a", document(iri))
            moved = fetch(driver, kind="refresh")
            read_back(driver, moved)

        assert [electron.partition for electron in moved] == [graph_partition(iri, PARTITIONS) for iri in (OTHER, ONE)]
        assert fetch(driver, kind="refresh") == []


class TestMalformedTerms:
    def test_fetcher_counts_statements_that_it_drops_and_says_why(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE, [{"@id": "https://p.example/a b"}, {"@value": "x", "@language": "?"}, "kept"]))

        (offering,) = offerings(fetch(driver))

        assert offering is not None
        assert offering.dropped == 2
        assert offering.triples.count("\n") == 2
        (warning,) = [one for one in caplog.messages if "malformed terms" in one]
        assert "/descriptions/a of a has 2 statements" in warning
        assert "'https://p.example/a b' is not an absolute IRI" in warning
        assert "'?' is not a language tag" in warning

    def test_fetcher_names_iris_that_some_nodes_change(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE, {"@id": "https://p.example/x/../y"}))

        assert len(fetch(driver)) == 1
        (warning,) = [one for one in caplog.messages if "some nodes change" in one]
        assert "/descriptions/a of a has IRIs" in warning
        assert "<https://p.example/x/../y>: its path has the segment . or .." in warning

    def test_fetcher_of_a_sound_description_counts_none(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))

        (electron,) = fetch(driver)

        assert "dropped" not in str(electron.value)
