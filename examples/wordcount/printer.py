"""Prints the ten most frequent words now and then. ``python printer.py -k localhost:9092 -i counts``"""

from __future__ import annotations

import heapq
import os
from typing import Any

from catena_core import Link


class Printer(Link):
    """Prints the ten most frequent words, whoever counts them.

    Settings: PRINT_INTERVAL (5), seconds.
    """

    inputs = ("counts",)

    def setup(self) -> None:
        """Begin to read the counts."""
        self._interval = float(os.environ.get("PRINT_INTERVAL", "5"))
        self._counts = self.table(self.input_topics[0], decode=_count)

    def generator(self) -> None:
        """Print one line."""
        top = heapq.nlargest(10, self._counts.items(), key=lambda item: item[1])
        print(", ".join(f"{word} {count}" for word, count in top) or "nothing counted yet", flush=True)
        self.wait(self._interval)


def _count(_word: str, row: Any) -> int:
    return int(row["count"])


if __name__ == "__main__":
    Printer().start()
