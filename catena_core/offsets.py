"""Which offsets of a partition may be committed."""

from __future__ import annotations

from collections.abc import Iterable


class OffsetTracker:
    """Follows the electrons of one assigned partition from dispatch to completion.

    What may be committed is the lowest offset that is not finished: everything before it has had its effect. One byte
    stands for each offset between the last commit and the newest dispatched electron, so that finding the next
    unfinished one is a search in native code; offsets that a compacted topic left out count as finished.

    Not thread-safe: only the thread that owns the consumer touches it.
    """

    def __init__(self) -> None:
        self._base = -1
        self._pending = bytearray()
        self._committed = -1

    def dispatched(self, offset: int) -> None:
        """Note that the electron at this offset, higher than any before it, is on its way to a lane."""
        if self._base < 0:
            self._base = self._committed = offset
        self._pending.extend(bytes(offset - self._base - len(self._pending)))
        self._pending.append(1)

    def finished(self, offsets: Iterable[int]) -> None:
        """Note that the effects of the electrons at these offsets are acknowledged."""
        for offset in offsets:
            self._pending[offset - self._base] = 0

    @property
    def next_offset(self) -> int:
        """The offset from which a successor would have to read on; -1 before anything was dispatched."""
        if self._base < 0:
            return -1
        first_pending = self._pending.find(1)
        done = len(self._pending) if first_pending < 0 else first_pending
        if done:
            del self._pending[:done]
            self._base += done
        return self._base

    @property
    def in_flight(self) -> int:
        """How many electrons were dispatched and are not finished."""
        return self._pending.count(1)

    def to_commit(self) -> int | None:
        """The next offset, when it moved since the last call; else ``None``."""
        next_offset = self.next_offset
        if next_offset == self._committed:
            return None
        self._committed = next_offset
        return next_offset
