"""Fetches descriptions and turns each into the graph that the nodes store.

Run it alone with ``python links/fetcher.py -k localhost:9092``; start more of it to share the addresses.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from catena_core import Electron
from catena_core.errors import RejectedError, StoppedError
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.clients.advice import retry_after
from topology.clients.http import NoAnswerInTimeError, Response, UnsafeError, WebClient, WebError, shown_url
from topology.clients.ledger import Ledger, StatusError
from topology.fetching.emitted import EmittedOfferings
from topology.fetching.followed import Followed, FollowedAddresses, digest
from topology.fetching.outcomes import Outcomes
from topology.fetching.queue import LEDGER_HOST, Fetch, FetchQueue, host_of
from topology.fetching.reader import DescriptionReader, linked_context
from topology.records import AddressEvent, AddressStatus

Answer = TypeVar("Answer")

_ACCEPT = "application/ld+json, application/json;q=0.9"

# The longest time that a server may ask for, in seconds.
_LONGEST_RETRY_AFTER = 24 * 3600.0
_REPLAY_PAUSE = 300.0
# No setting puts a fetch off for longer than the greater one of these: seconds, and refresh intervals.
_MOST_INTERVALS = 32


class Fetcher(CatalogueLink):
    """Fetches the description of each address, and emits its canonical graph where it has changed.

    It asks the ledger for the address, and the provider for the description, unless the one it has is still current. It parses
    the JSON-LD, takes the graph of its one sedimark:Offering, names blank nodes after their canonical labels, and emits the
    result to the compacted topic. A delisted address gets a tombstone, and so does one whose provider has taken it down.

    Whatever fails is tried again after a pause that grows; the topic of statuses says when and why. An unreadable description,
    and one that failed four times in a row while the booth works, go to the dead letters with the reason.

    Settings: DLT_BASE_URL, OFFERING_DESC_TIMEOUT (60 s), OFFERING_MAX_BYTES, OFFERING_GONE_AFTER (21600 s), OFFERING_OWN_HOSTS,
    OFFERING_REFRESH_INTERVAL (3600 s), VERIFY_DESCRIPTION_HASH (warn), WORKER_POOL_SIZE (10 at a time), JSONLD_CONTEXTS.
    """

    inputs = (topics.ADDRESSES,)
    outputs = (topics.OFFERINGS, topics.STATUSES)
    replay = True

    def setup(self) -> None:
        """Make the clients, and read back the offerings and the statuses emitted before."""
        super().setup()
        settings = self.settings
        seconds, most = settings.offering_desc_timeout, settings.offering_max_bytes
        self._web = WebClient(seconds, most, self.access.providers)
        self._ledger = Ledger(settings.dlt_base_url, WebClient(seconds, most, self.access.ledger))
        self._reader = DescriptionReader(settings.jsonld_contexts, settings.verify_description_hash, self.logger)
        self._queue = FetchQueue(settings.worker_pool_size, self._is_own, self.now)
        self._replaying: dict[int, dict[str, AddressEvent]] = {}
        self._followed = FollowedAddresses()
        self._lock = self._followed.lock
        self._emitted = EmittedOfferings(self, self.output_topics[0])
        self._status_topic = next(iter(self.output_topics[1:]), topics.STATUSES)
        self._statuses = self.table(
            self._status_topic, decode=lambda _address, value: records.from_text(value, AddressStatus)
        )
        self._outcomes = Outcomes(
            self, self._status_topic, self._reader.digest, self._followed, self._emitted, self._plan
        )

    def generator(self) -> None:
        """Fetch, in as many threads as there may be requests at a time."""
        for _ in range(self.settings.worker_pool_size):
            self.launch_thread(self._work)
        while True:
            self.wait(3600)

    # Events of addresses

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Take over the addresses of these partitions, with the statuses that their former owner has written."""
        for _, partition in partitions:
            self._replaying[partition] = {}
        self._emitted.catch_up()
        self._statuses.catch_up()

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the addresses of these partitions to another instance."""
        numbers = {number for _, number in partitions}
        with self._lock:
            for number in numbers:
                self._replaying.pop(number, None)
            self._followed.leave(numbers)

    def replayed(self, partition: tuple[str, int]) -> None:
        """Go on where the last owner of a partition stopped."""
        with self._lock:
            for address, event in self._replaying.pop(partition[1], {}).items():
                status = self._known_status(address)
                if event.kind == "delisted":
                    self._withdraw_delisted(address)
                    continue
                followed = self._followed[address] = Followed(partition[1], event, status)
                if status is None or self._is_lost(address, status):
                    self._plan(address, followed)
                elif status.next_try:
                    self._plan(address, followed, status.next_try)
                elif event.at > max(status.event_at, self._followed.answered_at.get(address, 0)):
                    # A refresh without news leaves no record, so an old one is done already, most likely: not all at once. A
                    # young one may have come while no instance had the partition.
                    age = max(0.0, self.now() - event.at / 1000)
                    pause = random.uniform(0, min(_REPLAY_PAUSE, self.settings.offering_refresh_interval, age))
                    if event.kind == "listed":
                        self._plan(address, followed)
                    else:
                        due = max(status.not_before, self._now() + int(1000 * pause))
                        self._plan(address, followed, due).is_put_off = True

    def transform(self, electron: Electron) -> None:
        """Plan the fetch of an address, or withdraw its offering if it was delisted."""
        event = records.from_text(electron.value, AddressEvent)
        address, partition = str(electron.key), electron.partition or 0
        with self._lock:
            if partition in self._replaying:
                self._replaying[partition][address] = event
            elif event.kind == "delisted":
                self._withdraw_delisted(address)
            else:
                self._heed(address, partition, event)

    def _heed(self, address: str, partition: int, event: AddressEvent) -> None:
        followed = self._followed.setdefault(address, Followed(partition, event, self._known_status(address)))
        status = followed.status
        # A replayed dead letter is older than the status, and wants a fetch at once.
        is_due = event.kind == "listed" or (status is not None and event.at <= status.event_at)
        followed.event = event
        # Rebalances may come faster than what they put off is due.
        is_planned = followed.fetch is not None and not followed.fetch.is_put_off
        if not is_due and (is_planned or (status is not None and self._now() < status.not_before)):
            return
        self._plan(address, followed, afresh=is_due)

    def _plan(self, address: str, followed: Followed, due: int = 0, afresh: bool = False) -> Fetch:
        """Plan the next fetch of an address; one that waits or is under way counts no more."""
        status = followed.status
        failures, timeouts = (status.failures, status.timeouts) if status else (0, 0)
        fetch = Fetch(address, LEDGER_HOST, failures, timeouts, afresh)
        followed.fetch = fetch
        self._queue.put(fetch, due / 1000)
        return fetch

    def _known_status(self, address: str) -> AddressStatus | None:
        """Return the status that an instance has written; times far in the future come from a clock that was wrong."""
        status: AddressStatus | None = self._statuses.get(address)
        if status is None:
            return None
        now = self._now()
        last = now + int(1000 * max(_LONGEST_RETRY_AFTER, _MOST_INTERVALS * self.settings.offering_refresh_interval))
        return msgspec.structs.replace(
            status,
            since=min(status.since, now),
            next_try=status.next_try if status.next_try <= last else now,
            not_before=status.not_before if status.not_before <= last else 0,
        )

    def _is_lost(self, address: str, status: AddressStatus) -> bool:
        return status.state in ("fetched", "stale") and self._emitted.known(address) is None

    def _withdraw_delisted(self, address: str) -> None:
        followed = self._followed.pop(address, None)
        self._followed.answered_at.pop(address, None)
        self._emitted.withdraw(address)
        if (followed is not None and followed.status is not None) or address in self._statuses:
            self.send(Electron(address, None, topic=self._status_topic))

    # Requests

    def _work(self) -> None:
        while not self.stopping:
            self._work_once(wait=0.5)

    def _work_once(self, wait: float = 0.0) -> bool:
        """Make the next request, and return whether there was one."""
        fetch = self._queue.take()
        self._outcomes.confirm_offerings(at_once=fetch is None)
        fetch = fetch or self._queue.take(wait)
        if fetch is None:
            return False
        with self._lock:
            followed = self._followed.get(fetch.address)
        if followed is None or followed.fetch is not fetch or self._fetch(fetch, followed):
            self._queue.done(fetch)
        return True

    def _fetch(self, fetch: Fetch, followed: Followed) -> bool:
        """Ask the ledger, and then the provider; return false if the request has to wait for the provider's turn."""
        try:
            if fetch.host == LEDGER_HOST:
                followed.entry = self._timed(fetch, lambda timeout: self._ledger.entry(fetch.address, timeout))
                if not self._queue.move(fetch, host_of(followed.entry.description_uri)):
                    return False
            self._describe(fetch, followed, self._timed(fetch, lambda timeout: self._ask(fetch, followed, timeout)))
        except (RejectedError, UnsafeError) as error:
            self._outcomes.rejected(fetch, followed, error, digest(str(error)))
        except StatusError as error:
            self._outcomes.failed(fetch, followed, error, self._heed_pause(fetch, error.status, error.headers))
        except StoppedError:
            pass
        except Exception as error:  # whatever it is, it must not end the thread, nor lose the address
            self._outcomes.failed(fetch, followed, error)
        return True

    def _timed(self, fetch: Fetch, request: Callable[[float], Answer]) -> Answer:
        """Make a request, and note whether its host was quick."""
        fetch.is_put_off = False
        started = time.monotonic()
        try:
            return request(self._queue.timeout(fetch, self.settings.offering_desc_timeout))
        except NoAnswerInTimeError:
            self._queue.timed_out(fetch)
            started = 0.0
            raise
        finally:
            if started:
                self._queue.answered(fetch, time.monotonic() - started)

    def _ask(self, fetch: Fetch, followed: Followed, timeout: float) -> Response:
        """Ask the provider for the description, or for a change of it."""
        headers = {"Accept": _ACCEPT}
        status = followed.status
        if status is not None and self._can_stay(fetch, followed, status):
            if status.etag:
                headers["If-None-Match"] = status.etag
            if status.last_modified:
                headers["If-Modified-Since"] = status.last_modified
        try:
            response = self._web.request("GET", followed.entry.description_uri, headers=headers, timeout=timeout)
        except UnsafeError:  # the provider is at fault, and this side is not cut off
            self._outcomes.last_answer = self._now()
            raise
        self._outcomes.last_answer = self._now()
        if response.status == 304 and len(headers) == 1:
            raise DescriptionMissingError(
                f"{shown_url(response.url)} answers with status 304, though without being asked for a change"
            )
        return response

    def _can_stay(self, fetch: Fetch, followed: Followed, status: AddressStatus) -> bool:
        """Tell whether the outcome of the last description holds as long as that description does."""
        if status.judged != followed.judged(self._reader.digest):
            return False
        # A failure after a refusal has hidden the reason of the refusal.
        return (
            not (fetch.afresh or status.next_try) if status.rejected else self._emitted.known(fetch.address) is not None
        )

    # Outcomes

    def _describe(self, fetch: Fetch, followed: Followed, response: Response) -> None:
        """Emit the offering that a provider's answer describes."""
        status, entry = followed.status, followed.entry
        if response.status == 410:
            self._outcomes.failed(
                fetch,
                followed,
                DescriptionMissingError(f"{shown_url(response.url)} answers with status 410"),
                gone=True,
            )
            return
        if response.status not in (200, 203, 304):  # 203: by way of a proxy that has changed it
            error = DescriptionMissingError(f"{shown_url(response.url)} answers with status {response.status}")
            pause = self._heed_pause(fetch, response.status, response.headers)
            self._outcomes.failed(fetch, followed, error, pause)
            return
        content = digest(response.url, response.body, linked_context(response)) if response.status != 304 else ""
        if status is not None and self._can_stay(fetch, followed, status) and content in ("", status.content):
            if status.rejected:
                self._outcomes.rejected(fetch, followed, RejectedError(status.error), status.content, status.hash_check)
            else:
                self._outcomes.succeeded(fetch, followed, response, status.graph, status.content, status.hash_check)
            return
        check = self._reader.compare_hash(entry, response.body)
        try:
            description = self._reader.read(fetch.address, entry, response, check)
        except RejectedError as error:
            self._outcomes.rejected(fetch, followed, error, content, check, response)
            return
        with self._lock:
            if self._followed.is_current(fetch, followed):
                etag = response.headers.get("etag", "")
                electrons = self._emitted.changes(fetch.address, followed, description, etag)
                self._outcomes.succeeded(fetch, followed, response, description.graph, content, check, electrons)

    def _heed_pause(self, fetch: Fetch, status: int, headers: Mapping[str, str]) -> float:
        """Return the seconds for which a server wants no request for an address; a busy one gets no others, either."""
        pause = retry_after(status, headers, self.now(), _LONGEST_RETRY_AFTER)
        if status in (429, 503) and pause:
            self._queue.pause(fetch, pause)
        return pause

    def _is_own(self, host: str) -> bool:
        own = self.settings.offering_own_hosts
        return (
            host in (LEDGER_HOST, host_of(self.settings.dlt_base_url)) or host in own or host.rpartition(":")[0] in own
        )

    def _now(self) -> int:
        return int(1000 * self.now())


class DescriptionMissingError(WebError):
    """The provider does not serve the description now, but may later."""


if __name__ == "__main__":
    Fetcher().start()
