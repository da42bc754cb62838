"""The offset tracker: the offset of a partition that may be committed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class OffsetTracker:
    """Follows the electrons of one assigned partition from dispatch to completion.

    The lowest unfinished offset may be committed: all electrons before it have had their effect. The tracker holds one byte
    for each electron in flight, so that native code marks whole runs and finds the next unfinished one. Offsets that a
    compacted topic left out cost nothing.

    Not thread-safe: only the thread that owns the consumer touches it.
    """

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._pending = bytearray()
        self._next = -1

    def dispatched(self, offsets: Sequence[int]) -> None:
        """Note that the electrons at these offsets, in ascending order, go to lanes."""
        if offsets[0] < self._next:
            # The partition starts again: its old log is gone, and so are its electrons in flight.
            self._offsets.clear()
            self._pending.clear()
        self._offsets.extend(offsets)
        self._pending.extend(b"\x01" * len(offsets))
        self._next = offsets[-1] + 1

    def reached(self, offset: int) -> None:
        """Note that there is no message before this offset but those dispatched: marks of transactions may follow the last."""
        self._next = max(self._next, offset)

    def finished(self, offsets: Sequence[int]) -> None:
        """Note that the electrons at these offsets, in ascending order, have had their effect."""
        if not offsets:
            return
        at = bisect_left(self._offsets, offsets[0])
        if self._offsets[at : at + len(offsets)] == offsets:
            self._pending[at : at + len(offsets)] = bytes(len(offsets))
            return
        for offset in offsets:
            at = bisect_left(self._offsets, offset, at)
            if at < len(self._offsets) and self._offsets[at] == offset:
                self._pending[at] = 0

    @property
    def next_offset(self) -> int:
        """The offset from which a successor would have to read on; -1 before anything was dispatched."""
        self._forget_finished()
        return self._offsets[0] if self._offsets else self._next

    @property
    def next_dispatch(self) -> int:
        """The least offset that the next message can have; -1 before anything was dispatched."""
        return self._next

    @property
    def span(self) -> int:
        """The number of electrons from the lowest unfinished one to the newest dispatched."""
        self._forget_finished()
        return len(self._offsets)

    @property
    def in_flight(self) -> int:
        """The number of electrons that were dispatched and are not finished."""
        return self._pending.count(1)

    def _forget_finished(self) -> None:
        first_pending = self._pending.find(1)
        done = len(self._pending) if first_pending < 0 else first_pending
        if done:
            del self._pending[:done]
            del self._offsets[:done]
