"""Makes up the log lines of a few services. ``python lines.py -k localhost:9092 -o lines``"""

from __future__ import annotations

import os
import random
from datetime import datetime, timezone

from catena_core import Electron, Link

_SERVICES = ("cart", "mail", "payment", "search")
# What they report, and how often.
_EVENTS = {
    "INFO request answered": 10,
    "DEBUG cache refreshed": 5,
    "WARNING the answer is late": 3,
    "ERROR no answer, giving up": 1,
}

# One line in so many is not text, as it happens when a file is cut in the middle of something.
_BROKEN_ONE_IN = 40
_BROKEN = b"\xff\xfe\x00 cut off"


class Lines(Link):
    """Sends made-up log lines, keyed by the service that they are of. Now and then one cannot be read.

    Settings: LINES_PER_SECOND (5).
    """

    outputs = ("lines",)

    def setup(self) -> None:
        """Read the settings."""
        self._interval = 1 / float(os.environ.get("LINES_PER_SECOND", "5"))

    def generator(self) -> None:
        """Send one line."""
        service = random.choice(_SERVICES)
        (event,) = random.choices(list(_EVENTS), list(_EVENTS.values()))
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        broken = random.randrange(_BROKEN_ONE_IN) == 0
        self.send(Electron(service, _BROKEN if broken else f"{now} {service} {event}"))
        self.wait(self._interval)


if __name__ == "__main__":
    Lines().start()
