"""A ledger, a provider and a fetcher whose entries, descriptions and requests a test decides."""

from __future__ import annotations

import itertools
from typing import Any

from catena_core import Electron
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.odd_server import Handler, OddServer, saying_json
from tests.helpers.records import values
from topology import records, topics
from topology.records import AddressEvent, AddressStatus, Offering

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
