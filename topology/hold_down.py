"""Keeps nodes that come and go out of use, for longer each time.

Each return of a node moves or compares its graphs. A node that flaps would cause that again and again, as routes did in the
Internet (RFC 2439, "BGP Route Flap Damping").
"""

from __future__ import annotations

# A hold-down lasts so many intervals at most.
_MOST_INTERVALS = 16
# A node that was up for so many intervals has made up for its past.
_STABLE_INTERVALS = 20


class HoldDown:
    """The hold-down of one node. The first return of a node is never held down.

    Args:
        interval: Seconds between two checks of the node: the length of the first hold-down.
        now: The time, in seconds on any clock that does not go back.
        until: When a hold-down ends that another monitor began; 0: there is none.
    """

    def __init__(self, interval: float, now: float, until: float = 0.0) -> None:
        self._interval = interval
        self._up_since = now
        self._departures = 0
        self._until = min(until, now + _MOST_INTERVALS * interval)  # that monitor's clock may be ahead
        self._failed_meanwhile = False

    @property
    def until(self) -> float:
        """When the hold-down ends; 0 if there is none."""
        return self._until

    def leave(self, now: float) -> None:
        """Note that the node, which was up, has fallen silent."""
        if now - self._up_since >= _STABLE_INTERVALS * self._interval:
            self._departures = 0
        self._departures += 1
        self._until = 0.0

    def fail(self) -> None:
        """Note that the node has failed a check while it was not up."""
        self._failed_meanwhile = True

    def may_return(self, now: float) -> bool:
        """Tell whether a node that passed its last check may be taken up again."""
        if not self._until:
            self._begin(now)
        elif now >= self._until and self._failed_meanwhile:
            self._departures += 1
            self._begin(now)
        if now < self._until:
            return False
        self._up_since, self._until = now, 0.0
        return True

    def _begin(self, now: float) -> None:
        intervals = 0 if self._departures < 2 else min(2 ** (self._departures - 2), _MOST_INTERVALS)
        self._until = now + intervals * self._interval
        self._failed_meanwhile = False
