"""Prints what arrives, and in which topic. ``python show.py -k localhost:9092 -i matches,rest,Filter.dead-letters``"""

from __future__ import annotations

from catena_core import Electron, Link


class Show(Link):
    """Prints electrons; of those in the dead letters it also says why they are there."""

    inputs = ("matches", "rest", "Filter.dead-letters")

    def transform(self, electron: Electron) -> None:
        """Print one."""
        reason = f"  ({electron.headers['error']})" if "error" in electron.headers else ""
        print(f"{electron.previous_topic:<20} {electron.value}{reason}", flush=True)


if __name__ == "__main__":
    Show().start()
