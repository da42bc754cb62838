"""The same link with outputs that are marked, so that any value comes back as it was sent: the library's default.

What that costs is the look whether JSON can carry a value, and a header on each message.
"""

from __future__ import annotations

from tests.bench.links.contenders.link import Visits


class MarkedVisits(Visits):
    """Counts one visit more, and marks what it sends."""

    output_format = "auto"


if __name__ == "__main__":
    MarkedVisits().start()
