"""The fetcher tells a change once, to the topic where it belongs, and asks no more than it must."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import ONE, PARTITIONS, Ledger, _moments, failure_of, fetch, offerings, read_back, work
from tests.helpers.odd_server import saying
from tests.helpers.records import OFFERING, described, document
from tests.helpers.sandbox_servers import Sandbox
from topology import records, topics
from topology.rdf.offering_graph import read_description
from topology.records import AddressEvent
from topology.topics import graph_partition


class TestWhatIsTold:
    def test_an_offering_as_its_provider_describes_it(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE), '"1"')

        (electron,) = fetch(driver)

        assert (electron.topic, electron.key) == (topics.OFFERINGS, "a")
        assert electron.partition == graph_partition(ONE, PARTITIONS)
        (told,) = offerings([electron])
        assert told is not None
        expected = described(ONE)
        assert (told.graph, told.triples, told.digest) == (ONE, expected.triples, expected.digest)
        assert (told.owner, told.name, told.etag) == ("P", "N", '"1"')
        assert told.source == f"{ledger.server.url}/descriptions/a"

    def test_every_offering_of_a_booth(self, environment: Environment, booth: Sandbox) -> None:
        environment(DLT_BASE_URL=booth.url)
        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)

        for address in json.loads(booth.ask("GET", "/api/offerings"))["addresses"]:
            (told,) = offerings(fetch(driver, address))
            assert told is not None
            served = booth.ask("GET", f"/descriptions/{address}")
            assert told.triples == read_description(served, told.source).triples

    def test_unchanged_is_told_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))

        assert fetch(driver, kind="refresh") == []
        assert fetch(driver, kind="listed") == []

    def test_unchanged_is_told_once_even_before_it_is_read_back(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))

        assert len(fetch(driver)) == 1
        assert fetch(driver) == []

    def test_another_instance_that_takes_over_does_not_tell_it_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        (electron,) = fetch(driver)

        successor = LinkDriver(Fetcher(), tables={topics.OFFERINGS: {"a": electron.value}}, partitions=PARTITIONS)

        assert fetch(successor, kind="refresh") == []

    def test_the_same_graph_written_otherwise_is_unchanged(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has(
            "a",
            json.dumps(
                [{"@context": {"note": "https://p.example/note"}, "note": "a note", "@id": ONE, "@type": OFFERING}]
            ).encode(),
        )

        assert fetch(driver, kind="refresh") == []

    def test_a_changed_description_is_told(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE, "old"))
        (old,) = offerings(fetch(driver))
        ledger.has("a", document(ONE, "new"))

        (new,) = offerings(fetch(driver, kind="refresh"))

        assert old is not None
        assert new is not None
        assert new.digest == described(ONE, "new").digest
        assert new.claimed_at == old.claimed_at, "the claim is the old one"

    @pytest.mark.parametrize("change", [{"owner": "Q"}, {"name": "M"}, {"owner": None}])
    def test_what_the_ledger_says_of_it_is_told_when_it_changes(
        self, driver: LinkDriver, ledger: Ledger, change: dict[str, Any]
    ) -> None:
        ledger.has("a", document(ONE), '"1"')
        read_back(driver, fetch(driver))
        ledger.has("a", document(ONE), '"1"', **change)

        (told,) = offerings(fetch(driver, kind="refresh"))

        assert told is not None
        assert [getattr(told, name) for name in change] == [value or "" for value in change.values()]
        assert fetch(driver, kind="refresh") == []

    def test_a_relative_address_of_a_description_is_told_in_full(self, driver: LinkDriver, ledger: Ledger) -> None:
        """Nodes of owners are found by it."""
        ledger.has("a", document(ONE), descriptionUri="../descriptions/a")

        (told,) = offerings(fetch(driver))

        assert told is not None
        assert told.source == f"{ledger.server.url}/descriptions/a"

    def test_a_description_may_have_moved(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(b"", 302, Location="/elsewhere/b")
        ledger.server.answers["/elsewhere/b"] = saying(document(ONE, {"@id": "c"}))

        (told,) = offerings(fetch(driver))

        assert told is not None
        assert f"<{ledger.server.url}/elsewhere/c>" in told.triples, "relative to where it stands now"


class TestEntityTags:
    def test_what_still_holds_is_not_sent_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE), '"1"')
        read_back(driver, fetch(driver))

        assert fetch(driver, kind="refresh") == []
        assert ledger.asked_with("If-None-Match") == [None, '"1"']

    def test_a_new_one_for_the_same_content_is_remembered_and_not_told(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        for number in (1, 2):
            ledger.has("a", document(ONE), f'"{number}"')
            read_back(driver, fetch(driver, kind="refresh"))

        assert fetch(driver, kind="refresh") == []
        assert ledger.asked_with("If-None-Match") == [None, '"1"', '"2"']

    def test_one_says_nothing_of_what_another_provider_serves(self, driver: LinkDriver, ledger: Ledger) -> None:
        """Many servers simply count versions."""
        ledger.has("a", document(ONE), '"1"')
        ledger.has("b", document(ONE), '"2"')
        for address in "ab":
            read_back(driver, fetch(driver, address))
        ledger.has("a", document(ONE, "new"), '"2"')

        (told,) = offerings(fetch(driver, "a", "refresh"))

        assert told is not None
        assert told.digest == described(ONE, "new").digest

    @pytest.mark.parametrize("etag", ['W/"weak"', '"é"', "without quotes", '"' + "x" * 5000 + '"'])
    def test_any_is_sent_back_as_it_came(self, driver: LinkDriver, ledger: Ledger, etag: str) -> None:
        ledger.has("a", document(ONE), etag)
        read_back(driver, fetch(driver))

        assert fetch(driver, kind="refresh") == []
        assert ledger.asked_with("If-None-Match")[1] == etag

    def test_after_the_ledger_changed_the_description_is_read_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE), '"1"')
        read_back(driver, fetch(driver))
        ledger.has("a", document(ONE), '"1"', name="M")
        fetch(driver, kind="refresh")

        assert ledger.asked_with("If-None-Match") == [None, None]

    def test_not_modified_without_having_asked_is_no_answer(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(b"", 304)

        assert fetch(driver) == []
        assert "status 304" in failure_of(driver).error


def test_fetcher_statuses_of_several_descriptions_follow_their_offerings(driver: LinkDriver, ledger: Ledger) -> None:
    for address in ("a", "b", "c"):
        ledger.has(address, document(f"https://p.example/{address}"))
        driver.transform(Electron(address, records.to_text(AddressEvent("listed", next(_moments)))))
    work(driver)
    sent = [(electron.key, electron.topic) for electron in driver.sent]
    for address in ("a", "b", "c"):
        assert sent.index((address, topics.OFFERINGS)) < sent.index((address, topics.STATUSES))
