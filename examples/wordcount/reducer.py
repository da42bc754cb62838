"""Counts words, each occurrence once, whatever crashes. ``python reducer.py -k localhost:9092 -i words -o counts``"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from catena_core import Electron, Link
from catena_core.errors import UsageError


class Reducer(Link):
    """Counts by word, and keeps its state in its own output, a compacted topic.

    A word's row is ``{"count": …, "seen": {partition: offset}}``: how often it occurred, and up to which sentence of each
    partition that is counted. A mapper or a reducer that crashed repeats itself; what a row has seen is not counted again.
    Row and bookkeeping are one message, so no crash can part them.
    """

    inputs = ("words",)
    outputs = ("counts",)
    lanes = 1

    def setup(self) -> None:
        """Begin to read the counts that were made so far."""
        (words,), (counts,) = self.input_topics, self.output_topics
        if self.partition_count(words) != self.partition_count(counts):
            raise UsageError(f"{words} and {counts} must have equally many partitions")
        self._markers: dict[int, str] = {}
        self._passed: set[str] = set()
        self._stored = self.table(counts, on_change=self._note_marker)
        self._rows: dict[int, dict[str, Any]] = {}

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Put a marker into each partition of the counts: all that came before it is what other reducers have counted."""
        for _, partition in partitions:
            self._rows[partition] = {}
            self._markers[partition] = uuid.uuid4().hex
            self.send(Electron(_marker_key(partition), self._markers[partition], partition=partition))

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Forget the words of these partitions: others count them from now on."""
        for _, partition in partitions:
            self._passed.discard(self._markers[partition])
            del self._rows[partition], self._markers[partition]

    def transform(self, electron: Electron) -> Electron | None:
        """Count one word of one sentence."""
        assert electron.partition is not None
        rows = self._rows[electron.partition]
        self._read_up_to_the_marker(electron.partition)
        row = rows.get(electron.key) or self._stored.get(electron.key) or {"count": 0, "seen": {}}
        partition, offset = electron.value["sentence"]
        if offset <= row["seen"].get(str(partition), -1):
            return None
        row = {"count": row["count"] + electron.value["times"], "seen": {**row["seen"], str(partition): offset}}
        rows[electron.key] = row
        # Where the word stands, its count stands, too: the marker of a partition vouches for all of its words.
        return Electron(electron.key, row, partition=electron.partition)

    def _note_marker(self, key: str, _old: Any, row: Any) -> None:
        # Remembered, since another reducer, which was given the partition next, may have replaced it a moment later.
        if row in self._markers.values():
            self._passed.add(row)

    def _read_up_to_the_marker(self, partition: int) -> None:
        while self._markers[partition] not in self._passed:
            self.wait(0.01)


def _marker_key(partition: int) -> str:
    """A key that no word has, since words have no digits."""
    return f"marker {partition}"


if __name__ == "__main__":
    Reducer().start()
