"""A link as the README shows one; its defaults are for throughput and for latency alike."""

from __future__ import annotations

from catena_core import Electron, Link


class Visits(Link):
    """Counts one visit more."""

    def transform(self, electron: Electron) -> Electron:
        """Return the record with its visits raised by one, under the same key."""
        record = electron.value
        record["visits"] += 1
        return Electron(key=electron.key, value=record)


if __name__ == "__main__":
    Visits().start()
