"""The steps of answering one query, for the explanation of where its time went."""

from __future__ import annotations

from dataclasses import dataclass

PUSH_DOWN = "A"
"""The tier of answers for which nodes joined or filtered patterns."""
PULL = "B"
"""The tier of answers for which nodes sent the triples that match the patterns."""
VIEW = "view"
"""The tier of answers from the gateway's own store of all graphs."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        what: ``ask`` a node, ``sift`` its rows, or ``evaluate``.
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
