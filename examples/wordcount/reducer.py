"""Counts words, each occurrence once, whatever crashes. ``python reducer.py -k localhost:9092 -i words -o counts``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catena_core import Electron, Link


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
        self._stored = self.table(self.output_topics[0])
        self._rows: dict[int, dict[str, Any]] = {}

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Learn what other reducers have counted of these partitions before they became this one's."""
        self._stored.catch_up()
        for _, partition in partitions:
            self._rows[partition] = {}

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Forget the words of these partitions: others count them from now on."""
        for _, partition in partitions:
            del self._rows[partition]

    def transform(self, electron: Electron) -> Electron | None:
        """Count one word of one sentence."""
        assert electron.partition is not None
        rows = self._rows[electron.partition]
        row = rows.get(electron.key) or self._stored.get(electron.key) or {"count": 0, "seen": {}}
        partition, offset = electron.value["sentence"]
        if offset <= row["seen"].get(str(partition), -1):
            return None
        row = {"count": row["count"] + electron.value["times"], "seen": {**row["seen"], str(partition): offset}}
        rows[electron.key] = row
        return Electron(electron.key, row)


if __name__ == "__main__":
    Reducer().start()
