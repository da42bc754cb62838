"""The outcomes of fetches: statuses, further attempts, dead letters, and the end of offerings whose source is gone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from catena_core import Electron
from catena_core.dead_letters import letter
from catena_core.errors import CatenaError
from catena_core.text import printable
from catena_core.wire.message import Message
from topology import records
from topology.catalogue_link import CatalogueLink
from topology.clients.advice import entity_tag, fresh_for, modified_at
from topology.clients.http import Response, UnsafeError, WebError, shown_url
from topology.clients.ledger import EntryError
from topology.fetching.emitted import LONGEST_VALIDATOR, EmittedOfferings
from topology.fetching.followed import Followed, FollowedAddresses
from topology.fetching.queue import LEDGER_HOST, Fetch
from topology.rdf.json_ld import NoDescriptionError
from topology.records import AddressState, AddressStatus, HashCheck

# The first pause after a failure, in seconds; it doubles, up to the refresh interval, and varies so that hosts are not asked
# for all of their offerings at once.
_FIRST_PAUSE = 2.0
_MOST_FAILURES = 30
_OWN_FAILURES_BEFORE_LETTER = 4

# The longest time for which a description may be fresh, in refresh intervals.
_MOST_FRESH_INTERVALS = 24.0
_MOST_DOUBLINGS = 5

# A busy fetcher confirms its offerings together: so many, or after so many seconds.
_MOST_UNCONFIRMED = 50
_CONFIRM_INTERVAL = 0.2

_LONGEST_ERROR = 1000
_KEPT_OVER_FAILURES = ("graph", "rejected", "hash_check", "etag", "last_modified", "content", "judged")


class Outcomes:
    """Records how fetches end. May be used by many threads.

    Args:
        link: The link that fetches.
        status_topic: The topic of statuses.
        reader: The digest of the reader of descriptions.
        followed: The addresses that the link follows.
        emitted: The offerings that it has emitted.
        plan: Plans another fetch of an address, due in milliseconds since the Unix epoch.

    Attributes:
        last_answer: When a provider last answered, in milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        link: CatalogueLink,
        status_topic: str,
        reader: str,
        followed: FollowedAddresses,
        emitted: EmittedOfferings,
        plan: Callable[[str, Followed, int], object],
    ) -> None:
        self._link = link
        self._status_topic = status_topic
        self._reader = reader
        self._followed = followed
        self._emitted = emitted
        self._plan = plan
        self.last_answer = 0
        self._unconfirmed: list[tuple[str, Followed, AddressStatus]] = []
        self._confirmed_at = 0.0

    def succeeded(
        self,
        fetch: Fetch,
        followed: Followed,
        response: Response,
        graph: str,
        content: str,
        check: HashCheck,
        electrons: Sequence[Electron] = (),
    ) -> None:
        """Record that a description is current; its status follows once its offering has arrived."""
        now, headers = self._now(), response.headers
        before = followed.status
        fresh = fresh_for(headers, now / 1000, _MOST_FRESH_INTERVALS * self._link.settings.offering_refresh_interval)
        status = AddressStatus(
            state="fetched",
            event_at=followed.event.at,
            since=before.since if before and before.state == "fetched" else now,
            graph=graph,
            **followed.shown_entry(),
            not_before=now + int(fresh * 1000) if fresh else 0,
            hash_check=check,
            content=content,
            judged=followed.judged(self._reader),
            **_validators(response, before, now / 1000),
        )
        with self._followed.lock:
            if not self._followed.is_current(fetch, followed):
                return
            if before is not None and before.failures:
                self._link.logger.log(f"{printable(fetch.address)} is well again: {printable(status.source)}")
            followed.fetch, followed.status = None, status
            self._followed.answered_at[fetch.address] = status.event_at
            try:
                if electrons:
                    self._link.send(electrons)
                    self._unconfirmed.append((fetch.address, followed, status))
                elif before is None or status != msgspec.structs.replace(before, event_at=status.event_at):
                    # A record for each refresh without news would fill the topic; see replayed().
                    self._put_status(fetch.address, followed, status)
            except CatenaError:
                followed.fetch, followed.status = fetch, before
                self._emitted.forget(fetch.address)
                raise

    def rejected(
        self,
        fetch: Fetch,
        followed: Followed,
        error: Exception,
        content: str,
        check: HashCheck = "",
        response: Response | None = None,
    ) -> None:
        """Record that a description cannot be used: in the dead letters, unless the same one stands there already.

        An offering whose provider serves something else than a description in its place is withdrawn in time.
        """
        now, before, judged = self._now(), followed.status, followed.judged(self._reader)
        again = before is not None and before.rejected and (before.content, before.judged) == (content, judged)
        again = again and not fetch.afresh
        failures, own_failures = (before.failures + 1, before.own_failures) if before is not None and again else (1, 0)
        refresh = self._link.settings.offering_refresh_interval
        is_taken_down = isinstance(error, (NoDescriptionError, UnsafeError)) and (
            self._emitted.known(fetch.address) is not None or (before is not None and before.state == "gone")
        )
        next_try: dict[str, Any] = {"next_try": now + self._growing_pause(failures - 1)} if is_taken_down else {}
        with self._followed.lock:
            if not self._followed.is_current(fetch, followed):
                return
            followed.fetch = None
            status = self._put_failure(
                fetch,
                followed,
                error,
                rejected=True,
                failures=failures,
                own_failures=own_failures,
                # One that stays the same is fetched after 1, 2, 4 … refresh intervals.
                not_before=now + int(1000 * refresh * (2.0 ** min(failures - 1, _MOST_DOUBLINGS) - 0.5)),
                hash_check=check,
                content=content,
                judged=judged,
                **next_try,
                **_validators(response, before if again else None, now / 1000),
            )
            if status.next_try:
                self._plan(fetch.address, followed, status.next_try)
            if not again:
                self._bury(fetch, followed, error, 1)

    def failed(
        self, fetch: Fetch, followed: Followed, error: Exception, pause: float = 0.0, gone: bool = False
    ) -> None:
        """Plan another fetch after a pause that grows; withdraw an offering that its provider has taken down.

        Args:
            fetch: The fetch.
            followed: Its address.
            error: The reason.
            pause: The seconds that the provider asks for.
            gone: Whether it says that the description is gone for good.
        """
        growing = self._growing_pause(_MOST_FAILURES if gone else fetch.failures)
        with self._followed.lock:
            if not self._followed.is_current(fetch, followed):
                return
            before = followed.status
            kept = {} if before is None else {name: getattr(before, name) for name in _KEPT_OVER_FAILURES}
            next_try = self._now() + max(int(1000 * pause), growing)
            # While the booth itself does not work, each address fails, and comes again by itself.
            is_booth_down = (
                fetch.host == LEDGER_HOST and isinstance(error, WebError) and not isinstance(error, EntryError)
            )
            own_failures = (0 if before is None or fetch.afresh else before.own_failures) + (not is_booth_down)
            status = self._put_failure(
                fetch,
                followed,
                error,
                pause,
                gone,
                failures=fetch.failures + 1,
                own_failures=own_failures,
                next_try=next_try,
                **kept,
            )
            self._plan(fetch.address, followed, status.next_try)
            if own_failures == _OWN_FAILURES_BEFORE_LETTER and not is_booth_down:
                self._bury(fetch, followed, error, own_failures)

    def _growing_pause(self, failures: int) -> int:
        """Return the milliseconds until the next try, after so many failures before this one."""
        seconds = _FIRST_PAUSE * 2.0 ** min(failures, _MOST_FAILURES) * random.uniform(0.75, 1.25)
        return int(1000 * min(seconds, self._link.settings.offering_refresh_interval))

    def _put_failure(
        self, fetch: Fetch, followed: Followed, error: Exception, pause: float = 0.0, gone: bool = False, **changes: Any
    ) -> AddressStatus:
        """Record a failure; withdraw the offering if its provider has taken it down, or has failed for too long."""
        now, before = self._now(), followed.status
        state: AddressState = "gone" if before is not None and before.state == "gone" else "failing"
        if self._emitted.known(fetch.address) is not None:
            # A ledger that fails says nothing of the provider.
            state = before.state if before is not None and fetch.host == LEDGER_HOST else "stale"
        since = before.since if before is not None and before.state == state else now
        if state == "stale" and "next_try" in changes and fetch.host != LEDGER_HOST:
            left = since + int(1000 * self._link.settings.offering_gone_after) - now
            # Where no provider at all has answered since, it may be this side that is cut off.
            gone = gone or (left <= 0 and self.last_answer > since)
            if left > 0 and not pause:
                changes["next_try"] = min(changes["next_try"], now + max(left, int(1000 * _FIRST_PAUSE)))
        if gone and state != "gone":
            self._emitted.withdraw(fetch.address)
            state, since = "gone", now
            self._link.logger.log(
                f"{printable(fetch.address)} is withdrawn until it is back: {printable(str(error))}", level="warning"
            )
        status = AddressStatus(
            state=state,
            event_at=followed.event.at,
            since=since,
            error=printable(str(error) or repr(error))[:_LONGEST_ERROR],
            timeouts=fetch.timeouts,
            **{**followed.shown_entry(), **changes},
        )
        if before is None or before.state != state or not before.error:
            at = "" if status.source in status.error else f" at {printable(status.source)}"
            self._link.logger.log(
                f"{printable(fetch.address)} has no current description{at}: {status.error}", level="warning"
            )
        followed.status = status
        self._put_status(fetch.address, followed, status)
        return status

    def _put_status(self, address: str, followed: Followed, status: AddressStatus) -> None:
        with self._followed.lock:
            if self._followed.get(address) is followed and followed.status is status:
                self._link.send(Electron(address, records.to_text(status), topic=self._status_topic))

    def confirm_offerings(self, at_once: bool) -> None:
        """Send the statuses of offerings once these have arrived: many together, since each wait empties the queue."""
        with self._followed.lock:
            sent = self._unconfirmed
            if sent and (
                at_once or len(sent) >= _MOST_UNCONFIRMED or self._link.now() - self._confirmed_at > _CONFIRM_INTERVAL
            ):
                self._unconfirmed, self._confirmed_at = [], self._link.now()
                self._link.send([], callback=self._put_statuses, callback_args=(sent,))

    def _put_statuses(self, sent: Sequence[tuple[str, Followed, AddressStatus]]) -> None:
        for address, followed, status in sent:
            self._put_status(address, followed, status)

    def _bury(self, fetch: Fetch, followed: Followed, error: Exception, attempts: int) -> None:
        """Put the event of an address into the dead letters, with the reason; it can be replayed from there."""
        url = shown_url(followed.entry.description_uri)
        reason = printable(f"{fetch.address}: {error}" if url in str(error) else f"{fetch.address} at {url}: {error}")
        event = Message(self._link.input_topics[0], records.to_text(followed.event).encode(), fetch.address.encode())
        dead = letter.from_output(self._link.dead_letters, event, error, type(self._link).__name__)
        headers = {
            name: (data or b"").decode() for name, data in dead.headers or () if not name.startswith(letter.PREFIX)
        }
        headers |= {letter.ERROR: reason[:_LONGEST_ERROR], letter.ATTEMPTS: str(attempts)}
        self._link.send(Electron(fetch.address, records.to_text(followed.event), topic=dead.topic, headers=headers))
        self._link.logger.log(f"put into {dead.topic}: {reason}", level="error")

    def _now(self) -> int:
        return int(1000 * self._link.now())


def _validators(response: Response | None, before: AddressStatus | None, now: float) -> dict[str, Any]:
    """Return what asks the provider for a change of this description the next time; of an unchanged one, what it had."""
    if response is None or response.status == 304:
        kept = {"etag": before.etag, "last_modified": before.last_modified} if before is not None else {}
        if response is None:
            return kept
    else:
        kept = {}
    found = {
        "etag": entity_tag(response.headers) or kept.get("etag", ""),
        "last_modified": modified_at(response.headers, now) or kept.get("last_modified", ""),
    }
    return {name: text if len(text) <= LONGEST_VALIDATOR else "" for name, text in found.items()}
