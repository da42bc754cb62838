"""Providers and ledgers in trouble: refused for good or tried again, and no other waits for them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import ONE, PARTITIONS, Ledger, failure_of, fetch, letters, read_back, work
from tests.helpers.odd_server import Handler, OddServer, odd_server, saying, saying_json
from tests.helpers.records import document
from tests.helpers.waiting import eventually
from topology import records, topics
from topology.records import AddressEvent


class TestTrouble:
    """What is refused goes to the dead letters at once, all else is tried again."""

    def test_an_address_without_an_entry(self, driver: LinkDriver) -> None:
        assert fetch(driver) == []
        assert "not known to the ledger" in failure_of(driver).error
        assert failure_of(driver).next_try

    def test_a_description_that_a_proxy_has_changed_is_one(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        ledger.server.answers["/descriptions/a"] = saying(document(ONE), 203)

        assert [one.key for one in fetch(driver)] == ["a"]

    @pytest.mark.parametrize("status", [204, 206, 300, 404, 403, 410, 429, 500, 503])
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
