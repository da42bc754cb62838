"""A link that does what the hand-written loop does: JSON in, JSON out. Its defaults are for throughput and latency alike."""

from __future__ import annotations

from catena_core import Electron, Link


class Visits(Link):
    """Counts one visit more."""

    input_format = "json"
    output_format = "json"

    def transform(self, electron: Electron) -> Electron:
        """Return the record with its visits raised by one, under the same key."""
        record = electron.value
        record["visits"] += 1
        return Electron(key=electron.key, value=record)


if __name__ == "__main__":
    Visits().start()
