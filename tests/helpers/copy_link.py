"""The link that the chaos tests run as processes: it copies, slowly, and its log says what it took from where."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from catena_core import Electron, Link

_DURATION = float(os.environ.get("COPY_SECONDS", "0"))


class Copy(Link):
    """Copies each electron, adding which process did so."""

    batch_size = 20
    lanes = 2
    drain_timeout = 2.0

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Log it, for whoever looks for what went wrong."""
        self.logger.log(f"assigned {sorted(number for _, number in partitions)}")

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Log it, for whoever looks for what went wrong."""
        self.logger.log(f"revoked {sorted(number for _, number in partitions)}")

    def transform(self, electron: Electron) -> Electron:
        """Copy."""
        time.sleep(_DURATION)
        self.logger.log(f"took {electron.value}")
        return Electron(electron.key, {"number": int(electron.value), "process": os.getpid()})


if __name__ == "__main__":
    sys.stdin.readline()  # everything is loaded: a newcomer need not be waited for
    Copy().start()
