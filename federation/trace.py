"""The steps of answering one query, for the explanation of where its time went."""

from __future__ import annotations

import time
from dataclasses import dataclass

PUSH_DOWN = "A"
"""The tier of answers for which nodes joined or filtered patterns."""
PULL = "B"
"""The tier of answers for which nodes sent the triples that match the patterns."""
CACHE = "kept"
"""The tier of answers from quads that earlier queries fetched."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        what: ``ask`` a node, ``sift`` its rows, ``keep`` quads for other queries, or ``evaluate``.
        source: The node's id; empty where there is none.
        text: The query that ran.
        rows: The number of rows or quads; -1 where none are counted.
        size: The number of bytes that came or went in.
        seconds: How long the step took.
    """

    what: str
    source: str
    text: str
    rows: int
    size: int
    seconds: float


class Trace:
    """The steps of one query. May be used by many threads.

    Attributes:
        steps: The steps, in the order in which they ended.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def record(self, what: str, source: str, text: str, rows: int, size: int, start: float) -> None:
        """Record a step that ends now; see ``Step``.

        Args:
            what: The kind of step.
            source: The node's id.
            text: The query that ran.
            rows: The number of rows or quads.
            size: The number of bytes.
            start: When it began, by ``time.perf_counter()``.
        """
        self.steps.append(Step(what, source, text, rows, size, time.perf_counter() - start))
