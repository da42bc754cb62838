"""The order of requests: a host that is slow, or never answers, delays only itself."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from urllib.parse import urlsplit

# The time-out of a first request, in seconds. Three times as long after each time-out, up to the setting.
_FIRST_TIMEOUT = 3.0
_TIMEOUT_FACTOR = 3.0

# The time-outs in a row that a host may have before it gets pauses; few would let broken pages of a host delay its good ones.
_TIMEOUTS_BEFORE_PAUSE = 16
_LONGEST_PAUSE = 300.0


# Stands for the ledger's booth, which is asked before a provider is known.
LEDGER_HOST = "ledger"


class Standing(IntEnum):
    """How likely a request is to be answered soon."""

    GOOD = 0
    """The host answered last time, or was never asked."""
    SUSPECT = 1
    """The host's last request timed out."""
    FAILED = 2
    """The last request for the address itself failed."""


# Of ten requests at a time, the most that may stand so badly or worse. Any number of suspects leave room for good ones, and
# any number of failures leave room for the good addresses of suspects.
_SHARES = {Standing.GOOD: 10, Standing.SUSPECT: 8, Standing.FAILED: 5}


@dataclass(slots=True, eq=False)
class Fetch:
    """The next request for an address.

    Attributes:
        address: The address on the ledger.
        host: The host that the request goes to.
        failures: The number of failures in a row.
        timeouts: The number of time-outs in a row.
        afresh: Whether it asks for the whole description, even of one that was refused before.
        standing: Its standing when it was started.
        is_probing: Whether it was a probe when it was started.
        is_put_off: Whether it waits because it has been made already, most likely.
    """

    address: str
    host: str
    failures: int = 0
    timeouts: int = 0
    afresh: bool = False
    standing: Standing = Standing.GOOD
    is_probing: bool = False
    is_put_off: bool = False

    @property
    def is_probe(self) -> bool:
        """Whether the last request for the address timed out, so that this one may take long, too."""
        return self.timeouts > 0


@dataclass(slots=True)
class _Host:
    """The requests to one host.

    Attributes:
        first: Waiting requests for addresses that did not fail last time.
        again: Waiting requests for addresses that failed, without a time-out.
        probes: Waiting requests for addresses that timed out.
        running: The number of other requests than probes under way.
        probing: The number of probes under way.
        timeouts: The number of time-outs in a row.
        patience: The number of times that the first time-out is lengthened for this host.
        paused_until: Seconds since the Unix epoch.
    """

    first: deque[Fetch] = field(default_factory=deque)
    again: deque[Fetch] = field(default_factory=deque)
    probes: deque[Fetch] = field(default_factory=deque)
    running: int = 0
    probing: int = 0
    timeouts: int = 0
    patience: int = 0
    paused_until: float = 0.0

    def waiting(self, fetch: Fetch) -> deque[Fetch]:
        return self.probes if fetch.is_probe else self.again if fetch.failures else self.first

    def standing(self, fetch: Fetch) -> Standing:
        return Standing.FAILED if fetch.failures else Standing.SUSPECT if self.timeouts else Standing.GOOD

    def is_waited_for(self) -> bool:
        return bool(self.first or self.again or self.probes)

    def is_idle(self) -> bool:
        busy = self.running or self.probing or self.timeouts or self.patience or self.paused_until
        return not (busy or self.is_waited_for())


class FetchQueue:
    """Gives out requests, so many at a time in all and to each host. May be used by many threads.

    Hosts take turns, and requests come in the order of their standing. Bad standings get a part of the slots only.

    Args:
        slots: The number of requests under way at a time.
        is_own: Tells whether a host may get as many requests at a time as there are slots. Others get one; and a second one
            for an address that timed out before, which would hold up the other addresses of its host.
        now: Returns the time in seconds since the Unix epoch.
    """

    def __init__(self, slots: int, is_own: Callable[[str], bool], now: Callable[[], float] = time.time) -> None:
        self._slots = slots
        self._most = {standing: max(1, slots * share // 10) for standing, share in _SHARES.items()}
        self._is_own = is_own
        self._now = now
        self._running = dict.fromkeys(Standing, 0)  # so many of this standing, or a worse one
        self._hosts: dict[str, _Host] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()  # hosts with waiting requests, the next one first
        self._later: list[tuple[float, int, Fetch]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def put(self, fetch: Fetch, due: float = 0.0) -> None:
        """Add a request.

        Args:
            fetch: The request.
            due: When it is due, in seconds since the Unix epoch.
        """
        with self._changed:
            if due > self._now():
                heapq.heappush(self._later, (due, next(self._numbers), fetch))
            else:
                self._line_up(fetch)
            self._changed.notify()

    def take(self, wait: float = 0.0) -> Fetch | None:
        """Take the next request, which :meth:`done` must give back.

        Args:
            wait: Seconds to wait for one.
        """
        end = time.monotonic() + wait
        with self._changed:
            while True:
                self._line_up_due()
                found = self._next(Standing.GOOD) or self._next(Standing.SUSPECT) or self._next(Standing.FAILED)
                left = end - time.monotonic()
                if found is not None or left <= 0:
                    return found
                due = self._later[0][0] - self._now() if self._later else left
                self._changed.wait(max(0.01, min(left, due)))

    def move(self, fetch: Fetch, host: str) -> bool:
        """Let a request under way go on to another host.

        Returns:
            Whether it may go on at once; if not, it waits there, and :meth:`take` gives it out again.
        """
        with self._changed:
            self._release(fetch)
            fetch.host = host
            if self._may_start(fetch, self._host(host)):
                self._start(fetch, self._host(host))
                return True
            self._line_up(fetch)
            self._changed.notify()
            return False

    def timeout(self, fetch: Fetch, longest: float) -> float:
        """Return the seconds that a request may take.

        A first request gets few, so that a host that never answers costs little. A host that once took longer keeps its time.

        Args:
            fetch: The request.
            longest: The longest time-out.
        """
        with self._changed:
            exponent = min(max(fetch.timeouts, self._host(fetch.host).patience), 20)
            return min(longest, _FIRST_TIMEOUT * _TIMEOUT_FACTOR**exponent)

    def answered(self, fetch: Fetch, seconds: float) -> None:
        """Note that the host of a request under way has answered it, after so many seconds."""
        with self._changed:
            host = self._host(fetch.host)
            host.timeouts = 0
            needed = math.ceil(math.log(max(2 * seconds / _FIRST_TIMEOUT, 1.0), _TIMEOUT_FACTOR))
            host.patience = max(needed, host.patience - 1)

    def timed_out(self, fetch: Fetch) -> None:
        """Note that the host of a request under way has not answered it in time; one that is not own may get a pause."""
        with self._changed:
            fetch.timeouts += 1
            host = self._host(fetch.host)
            host.timeouts += 1
            excess = host.timeouts - _TIMEOUTS_BEFORE_PAUSE
            if excess > 0 and not self._is_own(fetch.host):
                self._pause(fetch.host, 2.0 ** min(excess, 20))

    def pause(self, fetch: Fetch, seconds: float) -> None:
        """Send the host of a request nothing for so many seconds, five minutes at most."""
        with self._changed:
            self._pause(fetch.host, seconds)

    def done(self, fetch: Fetch) -> None:
        """Give a request back that is over."""
        with self._changed:
            self._release(fetch)
            self._changed.notify_all()

    # With the lock held

    def _host(self, name: str) -> _Host:
        return self._hosts.setdefault(name, _Host())

    def _pause(self, name: str, seconds: float) -> None:
        self._host(name).paused_until = self._now() + min(_LONGEST_PAUSE, seconds)

    def _line_up(self, fetch: Fetch) -> None:
        self._host(fetch.host).waiting(fetch).append(fetch)
        self._turns.setdefault(fetch.host)

    def _line_up_due(self) -> None:
        now = self._now()
        while self._later and self._later[0][0] <= now:
            self._line_up(heapq.heappop(self._later)[2])

    def _next(self, standing: Standing) -> Fetch | None:
        if not self._has_slot(standing):
            return None
        for name in self._turns:
            host = self._hosts[name]
            lines = (host.again, host.probes) if standing is Standing.FAILED else (host.first,)
            for waiting in lines:
                if waiting and host.standing(waiting[0]) is standing and self._may_start(waiting[0], host):
                    fetch = waiting.popleft()
                    self._start(fetch, host)
                    del self._turns[name]
                    if host.is_waited_for():
                        self._turns[name] = None
                    return fetch
        return None

    def _has_slot(self, standing: Standing) -> bool:
        return all(self._running[one] < self._most[one] for one in Standing if one <= standing)

    def _may_start(self, fetch: Fetch, host: _Host) -> bool:
        most = self._slots if self._is_own(fetch.host) else 1
        busy = host.probing if fetch.is_probe else host.running
        return busy < most and host.paused_until <= self._now() and self._has_slot(host.standing(fetch))

    def _start(self, fetch: Fetch, host: _Host) -> None:
        host.paused_until = 0.0
        fetch.standing, fetch.is_probing = host.standing(fetch), fetch.is_probe
        self._count(fetch, host, 1)

    def _count(self, fetch: Fetch, host: _Host, change: int) -> None:
        if fetch.is_probing:
            host.probing += change
        else:
            host.running += change
        for standing in Standing:
            if standing <= fetch.standing:
                self._running[standing] += change

    def _release(self, fetch: Fetch) -> None:
        host = self._host(fetch.host)
        self._count(fetch, host, -1)
        if host.is_idle():
            del self._hosts[fetch.host]
            self._turns.pop(fetch.host, None)


def host_of(url: str) -> str:
    """Return the host and, where it is not the scheme's own, the port of an address; empty if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    named = f"[{host}]" if ":" in host else host
    return named if port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f"{named}:{port}"
