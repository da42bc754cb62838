"""The same link with values that are JSON and nothing else: without the content-type header, as the hand-written loop sends.

What it saves is the look whether JSON can carry a value, and the handling of the header; the header itself is cheap.
"""

from __future__ import annotations

from tests.bench.links.contenders.link import Visits


class UnmarkedVisits(Visits):
    """Counts one visit more, and leaves values unmarked."""

    input_format = "json"
    output_format = "json"


if __name__ == "__main__":
    UnmarkedVisits().start()
