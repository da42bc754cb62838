"""Fetching descriptions: what has changed is told once, to where it belongs; what fails is tried again or refused for good."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import RejectedError, UsageError
from catena_core.testing import LinkDriver
from links.fetcher import DescriptionMissingError, Fetcher
from tests.helpers.odd_server import Handler, OddServer, saying, saying_json
from tests.helpers.records import OFFERING, described, document, values
from tests.helpers.sandbox_servers import Sandbox
from tests.unit.links.conftest import Environment
from topology import records, topics
from topology.clients.http import WebError
from topology.clients.ledger import NotListedError
from topology.rdf.offering_graph import read_description
from topology.records import AddressEvent, Offering
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
        """That header of every request for a description."""
        return [one.headers.get(header) for one in self.server.asked if one.path.startswith("/descriptions/")]


@pytest.fixture
def ledger(environment: Environment, server: OddServer) -> Ledger:
    environment(DLT_BASE_URL=f"{server.url}/api", OFFERING_DESC_TIMEOUT="1")
    return Ledger(server)


@pytest.fixture
def driver(ledger: Ledger) -> LinkDriver:
    return LinkDriver(Fetcher(), partitions=PARTITIONS)


def fetch(driver: LinkDriver, address: str = "a", kind: Any = "listed") -> list[Electron]:
    return driver.transform(Electron(address, records.to_text(AddressEvent(kind, 1))))


def read_back(driver: LinkDriver, electrons: list[Electron]) -> None:
    """What was emitted arrives in the tables, as it would from Kafka."""
    for electron in electrons:
        assert electron.topic == topics.OFFERINGS
        assert electron.partition is not None
        driver.put(topics.OFFERINGS, electron.key, electron.value, electron.partition)


def offerings(electrons: list[Electron]) -> list[Offering | None]:
    return values(electrons, Offering)


class TestHash:
    """The ledger has the SHA-256 of the bytes that a provider serves."""

    OTHER = hashlib.sha256(b"registered").hexdigest()

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one for one in caplog.messages if "has the hash" in one]

    @pytest.mark.parametrize("field", ["descriptionHash", "description_hash"])
    def test_the_right_one_passes(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture, field: str
    ) -> None:
        ledger.has("a", document(ONE), **{field: hashlib.sha256(document(ONE)).hexdigest().upper()})

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

        with pytest.raises(RejectedError, match="VERIFY_DESCRIPTION_HASH=enforce"):
            fetch(driver)

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

        with pytest.raises(DescriptionMissingError):
            fetch(driver)


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
    """What raises RejectedError goes to the dead letters at once, all else is tried again."""

    def test_an_address_without_an_entry(self, driver: LinkDriver) -> None:
        with pytest.raises(NotListedError):
            fetch(driver)

    @pytest.mark.parametrize("status", [404, 403, 410, 429, 500, 503])
    def test_a_description_that_is_not_served(self, driver: LinkDriver, ledger: Ledger, status: int) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(document(ONE), status)

        with pytest.raises(DescriptionMissingError, match=f"status {status}"):
            fetch(driver)

    @pytest.mark.parametrize("path", ["/api/offerings/a", "/descriptions/a"])
    def test_a_server_that_hangs(self, environment: Environment, ledger: Ledger, path: str) -> None:
        environment(OFFERING_DESC_TIMEOUT="0.2")
        ledger.has("a", document(ONE))
        ledger.server.answers[path] = ledger.server.hang

        with pytest.raises(WebError, match=r"within 0\.2 s"):
            fetch(LinkDriver(Fetcher(), partitions=PARTITIONS))

    @pytest.mark.parametrize("answer", [saying(b"{}"), saying(b"<html>"), saying(b"", 500), saying_json([])])
    def test_a_ledger_that_talks_nonsense(self, driver: LinkDriver, ledger: Ledger, answer: Any) -> None:
        ledger.server.answers["/api/offerings/a"] = answer

        with pytest.raises(WebError):
            fetch(driver)

    @pytest.mark.parametrize(
        "content", [b"", b"<html>", b"{}", b'{"@id": "\xff"}', document(ONE) + b"x", b"[" * 100_000]
    )
    def test_what_cannot_be_read_is_refused(self, driver: LinkDriver, ledger: Ledger, content: bytes) -> None:
        ledger.has("a", content)

        with pytest.raises(RejectedError):
            fetch(driver)

    def test_what_is_too_large_is_refused(self, environment: Environment, ledger: Ledger) -> None:
        environment(OFFERING_MAX_BYTES="2000")
        ledger.has("a", document(ONE, "x" * 2000))

        with pytest.raises(RejectedError, match="more than the 2000 bytes"):
            fetch(LinkDriver(Fetcher(), partitions=PARTITIONS))

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

        with pytest.raises(RejectedError):
            fetch(driver)

    def test_a_redirect_to_where_none_can_be_is_refused(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(b"", 302, Location="http://169.254.169.254/")

        with pytest.raises(RejectedError, match="link-local"):
            fetch(driver)

    def test_after_a_failure_it_is_told_as_ever(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense", '"1"')
        with pytest.raises(RejectedError):
            fetch(driver)
        ledger.has("a", document(ONE), '"1"')

        assert len(fetch(driver)) == 1

    def test_what_stood_before_a_failure_stands_on(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        read_back(driver, fetch(driver))
        ledger.has("a", b"nonsense")
        with pytest.raises(RejectedError):
            fetch(driver, kind="refresh")

        assert [electron.value for electron in fetch(driver, kind="delisted")] == [None]

    def test_an_event_that_is_none(self, driver: LinkDriver) -> None:
        with pytest.raises(ValueError, match="Invalid enum value"):
            driver.transform(Electron("a", '{"kind": "nonsense", "at": 1}'))


def test_as_many_lanes_as_the_pool_has_workers(environment: Environment, ledger: Ledger) -> None:
    environment(WORKER_POOL_SIZE="3")
    fetcher = Fetcher()
    LinkDriver(fetcher, partitions=PARTITIONS)

    assert fetcher.lanes == 3


def test_many_at_a_time(environment: Environment, ledger: Ledger) -> None:
    environment(OFFERING_DESC_TIMEOUT="30")
    driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
    for number in range(30):
        ledger.has(f"{number}", document(f"https://p.example/{number}"))

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda number: fetch(driver, f"{number}"), range(30)))

    assert {electron.key for electron in driver.sent} == {f"{number}" for number in range(30)}
    assert len(driver.sent) == 30


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
