"""Fetching descriptions: what has changed is told once, to where it belongs; what fails is tried again or refused for good."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import CodecError, UsageError
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.odd_server import Handler, OddServer, closed_port, odd_server, saying, saying_json
from tests.helpers.records import OFFERING, described, document, offering, values
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from tests.unit.links.conftest import Environment
from topology import records, topics
from topology.rdf.offering_graph import read_description
from topology.records import AddressEvent, AddressStatus, Offering
from topology.topics import graph_partition

PARTITIONS = 12
ONE, OTHER = "https://p.example/1", "https://p.example/other"


class Ledger:
    """A ledger and provider whose entries and descriptions a test changes."""

    def __init__(self, server: OddServer) -> None:
        self.server = server

    def has(self, address: str, content: bytes, etag: str = "", **entry: Any) -> None:
        uri = f"{self.server.url}/descriptions/{address}"
        told = {"descriptionUri": uri, "descriptionHash": "", "owner": "P", "name": "N", **entry}
        self.server.answers[f"/api/offerings/{address}"] = saying_json(told)

        def answer(request: Handler) -> None:
            if etag and request.headers.get("If-None-Match") == etag:
                request.say(b"", 304)
            else:
                headers = {"ETag": etag} if etag else {}
                request.say(content, 200, **headers)

        self.server.answers[f"/descriptions/{address}"] = answer

    def asked_with(self, header: str) -> list[str | None]:
        """Collect that header of every request for a description."""
        return [one.headers.get(header) for one in self.server.asked if one.path.startswith("/descriptions/")]


@pytest.fixture
def ledger(environment: Environment, server: OddServer) -> Ledger:
    environment(DLT_BASE_URL=f"{server.url}/api", OFFERING_DESC_TIMEOUT="1")
    return Ledger(server)


@pytest.fixture
def driver(ledger: Ledger) -> LinkDriver:
    return LinkDriver(Fetcher(), partitions=PARTITIONS)


_moments = itertools.count(1)


def fetch(driver: LinkDriver, address: str = "a", kind: Any = "listed", order: int = 0) -> list[Electron]:
    """Hand over an event, and make the requests that are due; what was sent to the topic of offerings."""
    before = len(driver.sent)
    driver.transform(Electron(address, records.to_text(AddressEvent(kind, next(_moments), order=order))))
    work(driver)
    return [electron for electron in driver.sent[before:] if electron.topic == topics.OFFERINGS]


def work(driver: LinkDriver) -> None:
    """Make the requests that are due now."""
    assert isinstance(driver._link, Fetcher)
    while driver._link._work_once():
        pass


def status_of(driver: LinkDriver, address: str = "a") -> AddressStatus | None:
    """Return the last status that was sent of an address."""
    told = [one for one in driver.sent if (one.topic, one.key) == (topics.STATUSES, address)]
    return None if not told or told[-1].value is None else records.from_text(told[-1].value, AddressStatus)


def failure_of(driver: LinkDriver, address: str = "a") -> AddressStatus:
    status = status_of(driver, address)
    assert status is not None
    assert status.error
    return status


def letters(driver: LinkDriver) -> list[Electron]:
    return [electron for electron in driver.sent if electron.topic == topics.DEAD_LETTERS]


def read_back(driver: LinkDriver, electrons: list[Electron]) -> None:
    """Put the emitted electrons into the tables, as Kafka would."""
    for electron in electrons:
        assert electron.topic == topics.OFFERINGS
        assert electron.partition is not None
        driver.put(topics.OFFERINGS, electron.key, electron.value, electron.partition)


def offerings(electrons: list[Electron]) -> list[Offering | None]:
    return values(electrons, Offering)


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


class TestHash:
    """The ledger has the SHA-256 of the bytes that a provider serves."""

    OTHER = hashlib.sha256(b"registered").hexdigest()

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one for one in caplog.messages if "has the hash" in one]

    @pytest.mark.parametrize(
        ("field", "prefix"), [("descriptionHash", ""), ("description_hash", ""), ("description_hash", "0x")]
    )
    def test_the_right_one_passes(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture, field: str, prefix: str
    ) -> None:
        ledger.has("a", document(ONE), **{field: prefix + hashlib.sha256(document(ONE)).hexdigest().upper()})

        assert len(fetch(driver)) == 1
        assert not self.warnings(caplog)

    def test_another_one_is_logged_with_address_and_url(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert len(fetch(driver)) == 1
        (warning,) = self.warnings(caplog)
        assert warning.startswith(f"{ledger.server.url}/descriptions/a of a has the hash ") and self.OTHER in warning

    def test_another_one_is_refused_where_the_settings_say_so(self, environment: Environment, ledger: Ledger) -> None:
        environment(VERIFY_DESCRIPTION_HASH="enforce")
        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert fetch(driver) == []
        assert "VERIFY_DESCRIPTION_HASH=enforce" in letters(driver)[0].headers["error"]
        assert failure_of(driver).hash_check == "differs"

    def test_nothing_is_compared_where_it_is_off(
        self, environment: Environment, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        environment(VERIFY_DESCRIPTION_HASH="off")
        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert len(fetch(driver)) == 1
        assert not self.warnings(caplog)


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

    def test_there_and_back_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        for iri in (ONE, OTHER, ONE):
            ledger.has("a", document(iri))
            moved = fetch(driver, kind="refresh")
            read_back(driver, moved)

        assert [electron.partition for electron in moved] == [graph_partition(iri, PARTITIONS) for iri in (OTHER, ONE)]
        assert fetch(driver, kind="refresh") == []


class TestTrouble:
    """What is refused goes to the dead letters at once, all else is tried again."""

    def test_an_address_without_an_entry(self, driver: LinkDriver) -> None:
        assert fetch(driver) == []
        assert "not known to the ledger" in failure_of(driver).error
        assert failure_of(driver).next_try

    @pytest.mark.parametrize("status", [404, 403, 410, 429, 500, 503])
    def test_a_description_that_is_not_served(self, driver: LinkDriver, ledger: Ledger, status: int) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(document(ONE), status)

        assert fetch(driver) == []
        assert f"/descriptions/a answers with status {status}" in failure_of(driver).error
        assert failure_of(driver).next_try
        assert not letters(driver)

    @pytest.mark.parametrize("path", ["/api/offerings/a", "/descriptions/a"])
    def test_a_server_that_hangs(self, environment: Environment, ledger: Ledger, path: str) -> None:
        environment(OFFERING_DESC_TIMEOUT="0.2")
        ledger.has("a", document(ONE))
        ledger.server.answers[path] = ledger.server.hang

        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        assert fetch(driver) == []
        assert "within 0.2 s" in failure_of(driver).error
        assert failure_of(driver).next_try

    @pytest.mark.parametrize("answer", [saying(b"{}"), saying(b"<html>"), saying(b"", 500), saying_json([])])
    def test_a_ledger_that_talks_nonsense(self, driver: LinkDriver, ledger: Ledger, answer: Any) -> None:
        ledger.server.answers["/api/offerings/a"] = answer

        assert fetch(driver) == []
        assert "/api/offerings/a answers with" in failure_of(driver).error
        assert failure_of(driver).next_try

    @pytest.mark.parametrize(
        "content", [b"", b"<html>", b"{}", b'{"@id": "\xff"}', document(ONE) + b"x", b"[" * 100_000]
    )
    def test_what_cannot_be_read_is_refused(self, driver: LinkDriver, ledger: Ledger, content: bytes) -> None:
        ledger.has("a", content)

        assert fetch(driver) == []
        (dead,) = letters(driver)
        assert (dead.key, dead.headers["original-topic"]) == ("a", topics.ADDRESSES)
        assert failure_of(driver).rejected

    def test_what_is_too_large_is_refused(self, environment: Environment, ledger: Ledger) -> None:
        environment(OFFERING_MAX_BYTES="2000")
        ledger.has("a", document(ONE, "x" * 2000))

        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        assert fetch(driver) == []
        assert "more than the 2000 bytes" in letters(driver)[0].headers["error"]

    @pytest.mark.parametrize(
        "uri",
        [
            "ftp://p.example/d",
            "file:///etc/passwd",
            "http://169.254.169.254/latest",
            "http://[::1",
            "http://a b/",
            "data:,x",
        ],
    )
    def test_a_description_where_none_can_be_is_refused(self, driver: LinkDriver, ledger: Ledger, uri: str) -> None:
        ledger.has("a", document(ONE), descriptionUri=uri)

        assert fetch(driver) == []
        (dead,) = letters(driver)
        assert (dead.key, dead.headers["original-topic"]) == ("a", topics.ADDRESSES)
        assert failure_of(driver).rejected

    def test_a_redirect_to_where_none_can_be_is_refused(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(b"", 302, Location="http://169.254.169.254/")

        assert fetch(driver) == []
        assert "link-local" in letters(driver)[0].headers["error"]

    def test_after_a_failure_it_is_told_as_ever(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense", '"1"')
        assert fetch(driver) == []
        ledger.has("a", document(ONE), '"1"')

        assert len(fetch(driver)) == 1

    def test_what_stood_before_a_failure_stands_on(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has("a", b"nonsense")
        assert fetch(driver, kind="refresh") == []
        assert len(letters(driver)) == 1

        assert [electron.value for electron in fetch(driver, kind="delisted")] == [None]

    def test_an_event_that_is_none(self, driver: LinkDriver) -> None:
        with pytest.raises(ValueError, match="Invalid enum value"):
            driver.transform(Electron("a", '{"kind": "nonsense", "at": 1}'))


class TestAgain:
    """What fails is tried again after pauses that grow, and survives a restart."""

    NOW = 1_800_000_000.0

    @pytest.fixture
    def driver(self, environment: Environment, ledger: Ledger) -> LinkDriver:
        environment(OFFERING_GONE_AFTER="100")
        return LinkDriver(Fetcher(), partitions=PARTITIONS, now=self.NOW)

    def later(self, driver: LinkDriver, seconds: float) -> list[Electron]:
        """Let time pass; what was sent to the topic of offerings then."""
        before = len(driver.sent)
        driver.advance(seconds)
        work(driver)
        return [electron for electron in driver.sent[before:] if electron.topic == topics.OFFERINGS]

    def pause(self, driver: LinkDriver) -> float:
        return failure_of(driver).next_try / 1000 - driver._link.now()

    def answers(self, ledger: Ledger, status: int, **headers: str) -> None:
        ledger.has("a", document(ONE))
        ledger.server.answers["/descriptions/a"] = saying(b"", status, **headers)

    def test_pauses_grow_up_to_the_refresh_interval(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        pauses = []
        for _ in range(14):
            pauses.append(self.pause(driver))
            self.later(driver, pauses[-1] + 0.001)

        assert 1.5 <= pauses[0] <= 2.5
        assert 3 <= pauses[1] <= 5
        assert pauses[-1] == pytest.approx(3600, abs=0.01)
        assert failure_of(driver).failures == 15

    def test_success_ends_the_failures(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        ledger.has("a", document(ONE))

        assert self.later(driver, 1) == []
        assert len(self.later(driver, 2)) == 1
        status = status_of(driver)
        assert status is not None
        assert (status.state, status.error, status.failures, status.next_try) == ("fetched", "", 0, 0)

    def test_the_fourth_failure_in_a_row_is_a_dead_letter_with_address_and_url(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        for _ in range(8):
            self.later(driver, self.pause(driver) + 0.001)

        (dead,) = letters(driver)
        assert dead.headers["attempts"] == "4"
        assert dead.headers["error"].startswith(f"a: {ledger.server.url}/descriptions/a answers with status 500")

    def test_a_successor_goes_on_with_the_schedule(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        status = failure_of(driver)
        successor = Fetcher()
        other = LinkDriver(
            successor,
            tables={topics.STATUSES: {"a": records.to_text(status)}},
            partitions=PARTITIONS,
            now=status.next_try / 1000 - 1,
        )
        successor.assigned([(topics.ADDRESSES, 0)])
        other.transform(Electron("a", records.to_text(AddressEvent("listed", status.event_at))))
        successor.replayed((topics.ADDRESSES, 0))
        ledger.has("a", document(ONE))
        work(other)

        assert other.sent == []
        assert len(self.later(other, 1.001)) == 1

    def test_a_successor_fetches_what_its_predecessor_did_not_come_to(self, driver: LinkDriver, ledger: Ledger) -> None:
        link = driver._link
        assert isinstance(link, Fetcher)
        ledger.has("a", document(ONE))
        link.assigned([(topics.ADDRESSES, 0)])
        driver.transform(Electron("a", records.to_text(AddressEvent("listed", 5))))
        link.replayed((topics.ADDRESSES, 0))
        work(driver)

        assert [one.key for one in driver.sent if one.topic == topics.OFFERINGS] == ["a"]

    @pytest.mark.parametrize("status", [503, 429, 500, 301])
    def test_retry_after_is_heeded(self, driver: LinkDriver, ledger: Ledger, status: int) -> None:
        self.answers(ledger, status, **{"Retry-After": "120"})
        fetch(driver)

        assert self.pause(driver) == 120
        assert fetch(driver, kind="refresh") == []
        assert len(ledger.asked_with("Accept")) == 1

    def test_retry_after_is_bounded(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 503, **{"Retry-After": "999999999"})
        fetch(driver)

        assert self.pause(driver) == 24 * 3600

    def test_a_page_that_is_gone_for_good_is_withdrawn_at_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        self.answers(ledger, 410)

        (tombstone,) = fetch(driver, kind="refresh")

        assert tombstone.value is None
        assert failure_of(driver).state == "gone"
        ledger.has("a", document(ONE))
        assert [one.value is None for one in self.later(driver, 3601)] == [False]

    @pytest.mark.parametrize("status", [404, 403, 500, 503])
    def test_a_page_that_is_missing_is_stale_at_once_and_withdrawn_in_time(
        self, driver: LinkDriver, ledger: Ledger, status: int
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        self.answers(ledger, status)

        assert fetch(driver, kind="refresh") == []
        assert failure_of(driver).state == "stale"
        withdrawn = []
        for _ in range(10):
            withdrawn = self.later(driver, self.pause(driver) + 0.001)
            if withdrawn:
                break
        assert [one.value for one in withdrawn] == [None]
        assert failure_of(driver).state == "gone"
        assert driver._link.now() - self.NOW == pytest.approx(100, abs=1)

    @pytest.mark.parametrize("place", ["page", "empty", "error", "redirect", "circle", "large"])
    def test_a_page_in_the_place_of_a_description_is_stale_at_once_and_withdrawn_in_time(
        self, driver: LinkDriver, ledger: Ledger, place: str
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        path = "/descriptions/a"
        ledger.server.answers["/login"] = saying(b"<html>log in", Content_Type="text/html")
        ledger.server.answers[path] = {
            "page": saying(b"<html>gone", Content_Type="text/html"),
            "empty": saying(b""),
            "error": saying_json({"error": "not found"}),
            "redirect": saying(b"", 302, Location="/login"),
            "circle": saying(b"", 302, Location=path),
            "large": saying(b" " * 20_000_000),
        }[place]

        assert fetch(driver, kind="refresh") == []
        assert failure_of(driver).state == "stale"
        withdrawn = []
        for _ in range(10):
            withdrawn = self.later(driver, self.pause(driver) + 0.001)
            if withdrawn:
                break
        assert [one.value for one in withdrawn] == [None]
        assert driver._link.now() - self.NOW == pytest.approx(100, abs=1)
        ledger.has("a", document(ONE))
        assert [one.value is None for one in fetch(driver)] == [False]

    def test_nothing_is_withdrawn_while_no_provider_answers_at_all(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE), descriptionUri=f"http://127.0.0.1:{closed_port()}/a")
        driver.put(topics.OFFERINGS, "a", records.to_text(offering(ONE)))
        fetch(driver)
        for _ in range(10):
            assert self.later(driver, self.pause(driver) + 0.001) == []

        assert failure_of(driver).state == "stale"
        ledger.has("b", document(OTHER))
        fetch(driver, "b")
        assert [one.value for one in self.later(driver, self.pause(driver) + 0.001)] == [None]

    def test_a_ledger_that_fails_leaves_offerings_as_they_are(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        ledger.server.answers["/api/offerings/a"] = saying(b"", 500)
        fetch(driver, kind="refresh")
        for _ in range(10):
            assert self.later(driver, self.pause(driver) + 0.001) == []

        assert failure_of(driver).state == "fetched"

    def test_a_rejected_description_is_buried_once_and_fetched_less_and_less_often(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.has("a", b"nonsense")
        fetch(driver)
        for _ in range(20):
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(letters(driver)) == 1
        assert len(ledger.asked_with("Accept")) == 5, "after 1, 2, 4 and 8 refresh intervals"

    def test_a_rejected_description_is_asked_for_changes_only(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense", '"1"')
        fetch(driver)
        driver.advance(3600)
        fetch(driver, kind="refresh")

        assert ledger.asked_with("If-None-Match") == [None, '"1"']
        assert len(letters(driver)) == 1
        ledger.has("a", document(ONE), '"2"')
        driver.advance(7200)
        assert len(fetch(driver, kind="refresh")) == 1

    def test_another_rejected_description_is_another_letter(self, driver: LinkDriver, ledger: Ledger) -> None:
        for content in (b"nonsense", b"other nonsense"):
            ledger.has("a", content)
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(letters(driver)) == 2

    def test_a_failure_between_hides_no_rejection(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        for content in (b"nonsense", b"", b"nonsense"):
            ledger.has("a", content)
            if not content:
                ledger.server.answers["/descriptions/a"] = saying(b"", 500)
            driver.advance(3600 * 24)
            fetch(driver, kind="refresh")

        assert failure_of(driver).rejected

    def test_an_offering_that_cannot_be_sent_is_tried_again(
        self, driver: LinkDriver, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger.has("a", document(ONE))
        link, send = driver._link, driver._link.send

        def refuse(content: Any, **more: Any) -> None:
            if isinstance(content, list):
                raise CodecError("too large")
            send(content, **more)

        monkeypatch.setattr(link, "send", refuse)
        assert fetch(driver) == []
        assert "too large" in failure_of(driver).error
        monkeypatch.undo()

        assert len(self.later(driver, 3)) == 1

    def test_a_refresh_without_news_leaves_no_record(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        before = len(driver.sent)
        fetch(driver, kind="refresh")

        assert driver.sent[before:] == []

    @pytest.mark.parametrize("same", [True, False])
    def test_what_a_rebalance_brings_back_is_fetched_again_only_by_another_instance(
        self, driver: LinkDriver, ledger: Ledger, same: bool
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        fetch(driver, kind="refresh")
        events = [AddressEvent("refresh", next(_moments) - 1)]
        status, told = status_of(driver), driver.sent[0].value
        assert status is not None
        tables = {topics.STATUSES: {"a": records.to_text(status)}, topics.OFFERINGS: {"a": told}}
        if same:
            for topic, rows in tables.items():
                driver.put(topic, "a", rows["a"])
        else:
            driver = LinkDriver(Fetcher(), tables=tables, partitions=PARTITIONS, now=self.NOW)
        link = driver._link
        link.revoked([(topics.ADDRESSES, 0)])
        link.assigned([(topics.ADDRESSES, 0)])
        for event in events:
            driver.transform(Electron("a", records.to_text(event)))
        link.replayed((topics.ADDRESSES, 0))
        asked = len(ledger.asked_with("Accept"))

        assert self.later(driver, 301) == []
        assert len(ledger.asked_with("Accept")) == asked + (not same)

    def test_a_replayed_dead_letter_is_fetched_at_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense")
        fetch(driver)
        (dead,) = letters(driver)
        ledger.has("a", document(ONE))
        before = len(driver.sent)
        driver.transform(Electron("a", dead.value))
        work(driver)

        assert [one.key for one in driver.sent[before:] if one.topic == topics.OFFERINGS] == ["a"]

    def test_a_fresh_description_is_not_asked_for_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        ledger.server.answers["/descriptions/a"] = saying(
            document(ONE), 200, **{"Cache-Control": "public, max-age=9000"}
        )
        fetch(driver)
        for _ in range(3):
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(ledger.asked_with("Accept")) == 2

    def test_a_date_of_change_is_sent_back(self, driver: LinkDriver, ledger: Ledger) -> None:
        changed = "Sat, 28 Nov 2026 12:00:00 GMT"
        ledger.has("a", document(ONE))

        def answer(request: Handler) -> None:
            if request.headers.get("If-Modified-Since") == changed:
                request.say(b"", 304)
            else:
                request.say(document(ONE), 200, **{"Last-Modified": changed})

        ledger.server.answers["/descriptions/a"] = answer
        read_back(driver, fetch(driver))

        assert fetch(driver, kind="refresh") == []
        assert fetch(driver, kind="refresh") == []
        assert ledger.asked_with("If-Modified-Since") == [None, changed, changed]

    def test_a_delisted_address_has_no_status(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        fetch(driver, kind="delisted")

        assert status_of(driver) is None
        assert self.later(driver, 10_000) == []
        assert len(ledger.asked_with("Accept")) == 1

    def test_the_outcome_of_the_hash_check_is_in_the_status(self, driver: LinkDriver, ledger: Ledger) -> None:
        for digest, outcome in ((hashlib.sha256(document(ONE)).hexdigest(), "same"), ("00", "differs"), ("", "")):
            ledger.has("a", document(ONE), description_hash=digest)
            fetch(driver, kind="refresh")
            status = status_of(driver)
            assert status is not None
            assert status.hash_check == outcome

    def test_the_rank_of_the_address_is_in_the_offering(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        (first,) = offerings(fetch(driver, order=3))
        (second,) = offerings(fetch(driver, kind="refresh", order=2))

        assert first is not None
        assert second is not None
        assert (first.order, second.order) == (3, 2)


def test_many_at_a_time(environment: Environment, ledger: Ledger) -> None:
    environment(OFFERING_DESC_TIMEOUT="30")
    driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
    for number in range(30):
        ledger.has(f"{number}", document(f"https://p.example/{number}"))
        driver.transform(Electron(f"{number}", records.to_text(AddressEvent("listed", 1))))

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda _: work(driver), range(10)))

    emitted = [electron.key for electron in driver.sent if electron.topic == topics.OFFERINGS]
    assert sorted(emitted) == sorted(f"{number}" for number in range(30))


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("booth.example:8085", True),
        ("booth.example", False),
        ("a.example", True),
        ("a.example:8080", True),
        ("b.example:81", True),
        ("b.example", False),
        ("aa.example", False),
        ("", False),
    ],
)
def test_own_hosts_are_the_booth_s_and_those_of_the_setting(environment: Environment, host: str, own: bool) -> None:
    environment(DLT_BASE_URL="http://booth.example:8085/api", OFFERING_OWN_HOSTS="A.example, b.example:81")
    fetcher = Fetcher()
    LinkDriver(fetcher, partitions=PARTITIONS)

    assert fetcher._is_own(host) is own


class TestHungProviders:
    """Providers that hang delay no others: bounded requests by host and in all, and short first time-outs."""

    @pytest.mark.parametrize("kind", ["hang", "trickle", "endless_headers", "redirects"])
    def test_good_offerings_do_not_wait_for_them(self, environment: Environment, ledger: Ledger, kind: str) -> None:
        environment(OFFERING_DESC_TIMEOUT="3600", WORKER_POOL_SIZE="4", DLT_BASE_URL=f"{ledger.server.url}/api")
        link = Fetcher()
        driver = LinkDriver(link, partitions=PARTITIONS)
        with odd_server() as bad:
            for number in range(6):
                ledger.has(f"bad{number}", b"", descriptionUri=f"{bad.url}/{number}")
                bad.answers[f"/{number}"] = {
                    "hang": bad.hang,
                    "trickle": bad.trickle,
                    "endless_headers": lambda request: endless_headers(bad, request),
                    "redirects": lambda request: request.say(b"", 302, Location="/1"),
                }[kind]
            for number in range(40):
                ledger.has(f"good{number}", document(f"https://p.example/{number}"))
            for name in [*(f"bad{number}" for number in range(6)), *(f"good{number}" for number in range(40))]:
                driver.transform(Electron(name, records.to_text(AddressEvent("listed", 1))))
            threads = [threading.Thread(target=link._work, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            eventually(lambda: sum(one.topic == topics.OFFERINGS for one in list(driver.sent)) == 40)
            link._catena.stop.set()


def endless_headers(server: OddServer, request: Handler) -> None:
    """Send headers for ever."""
    request.send_response(200)
    while not server.stopping.is_set():
        request.wfile.write(b"X-More: more\r\n")
        request.wfile.flush()
        time.sleep(0.05)


class TestContexts:
    def test_those_that_the_operator_has_at_hand_are_used(
        self, environment: Environment, ledger: Ledger, tmp_path: Path
    ) -> None:
        (tmp_path / "contexts.json").write_text('{"https://c.example/c": "c.jsonld"}')
        (tmp_path / "c.jsonld").write_text('{"@context": {"note": "https://p.example/note"}}')
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))
        ledger.has(
            "a",
            json.dumps({"@context": "https://c.example/c", "@id": ONE, "@type": OFFERING, "note": "a note"}).encode(),
        )

        (told,) = offerings(fetch(LinkDriver(Fetcher(), partitions=PARTITIONS)))

        assert told is not None
        assert told.digest == described(ONE).digest

    @pytest.mark.parametrize(
        ("link", "content_type", "is_used"),
        [
            ('<https://c.example/c>; rel="http://www.w3.org/ns/json-ld#context"', "application/json", True),
            ("</c>; rel=http://www.w3.org/ns/json-ld#context", "text/plain", True),
            ('<x>; rel=next, </c>;type="a";rel="up http://www.w3.org/ns/json-ld#context"', "application/json", True),
            ('</c>; rel="http://www.w3.org/ns/json-ld#context"', "application/ld+json; charset=utf-8", False),
            ("</c>; rel=next", "application/json", False),
        ],
    )
    def test_one_in_a_header_of_plain_json_is_used(
        self, environment: Environment, ledger: Ledger, tmp_path: Path, link: str, content_type: str, is_used: bool
    ) -> None:
        own = f"{ledger.server.url}/c"
        (tmp_path / "contexts.json").write_text(json.dumps({"https://c.example/c": "c.jsonld", own: "c.jsonld"}))
        (tmp_path / "c.jsonld").write_text('{"@context": {"note": "https://p.example/note"}}')
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))
        ledger.has("a", b"")
        body = json.dumps({"@id": ONE, "@type": OFFERING, "note": "a note"}).encode()
        ledger.server.answers["/descriptions/a"] = saying(body, Link=link, Content_Type=content_type)

        (told,) = offerings(fetch(LinkDriver(Fetcher(), partitions=PARTITIONS)))

        assert told is not None
        assert (told.digest == described(ONE).digest) == is_used

    def test_one_in_a_header_that_is_not_at_hand_is_named(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        link = '<https://c.example/c>; rel="http://www.w3.org/ns/json-ld#context"'
        ledger.server.answers["/descriptions/a"] = saying(b"{}", Link=link)

        assert fetch(driver) == []
        assert "the context https://c.example/c, which is not at hand" in failure_of(driver).error

    @pytest.mark.parametrize(
        "content", [None, "", "[]", '{"https://c.example/c": 1}', '{"https://c.example/c": "none"}']
    )
    def test_a_file_of_them_that_cannot_be_read_is_named(
        self, environment: Environment, ledger: Ledger, tmp_path: Path, content: str | None
    ) -> None:
        if content is not None:
            (tmp_path / "contexts.json").write_text(content)
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))

        with pytest.raises(UsageError, match=r"JSONLD_CONTEXTS=.* should be a JSON file"):
            LinkDriver(Fetcher(), partitions=PARTITIONS)


def test_fetcher_statuses_of_several_descriptions_follow_their_offerings(driver: LinkDriver, ledger: Ledger) -> None:
    for address in ("a", "b", "c"):
        ledger.has(address, document(f"https://p.example/{address}"))
        driver.transform(Electron(address, records.to_text(AddressEvent("listed", next(_moments)))))
    work(driver)
    sent = [(electron.key, electron.topic) for electron in driver.sent]
    for address in ("a", "b", "c"):
        assert sent.index((address, topics.OFFERINGS)) < sent.index((address, topics.STATUSES))
