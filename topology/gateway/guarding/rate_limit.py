"""A limit to the requests of each client, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MINUTE = 60.0
_MOST_CLIENTS = 10_000


class RateLimit:
    """Lets each client send some requests a minute, all at once or one by one. May be used by many threads.

    The generic cell rate algorithm (ITU-T I.371, annex A): one time for each client says when its bucket is full again.

    Args:
        per_minute: The requests that a client may send in a minute, above 0.
        most_clients: The clients to remember; beyond that, those that were silent longest are forgotten.
        now: The clock, in seconds.
    """

    def __init__(
        self, per_minute: int, most_clients: int = _MOST_CLIENTS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = _MINUTE / per_minute
        self._most_clients = most_clients
        self._now = now
        self._lock = threading.Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str) -> float:
        """Count a request.

        Returns:
            0 if the client may send it, else the seconds until it may; such a request does not count.
        """
        with self._lock:
            now = self._now()
            full_at = max(self._full_at.pop(client, now), now) + self._interval
            # A little more than a minute, since sums of intervals are rounded.
            early = full_at - now - _MINUTE - self._interval / 1000
            self._full_at[client] = full_at if early <= 0 else full_at - self._interval
            if len(self._full_at) > self._most_clients:
                self._full_at.popitem(last=False)
            return max(early, 0.0)
