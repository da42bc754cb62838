"""Prints where the International Space Station is. ``python printer.py -k localhost:9092 -i speeds``"""

from __future__ import annotations

from datetime import datetime, timezone

from catena_core import Electron, Link


class Printer(Link):
    """Prints a line for each position."""

    inputs = ("speeds",)

    def transform(self, electron: Electron) -> None:
        """Print one."""
        place = electron.value
        at = datetime.fromtimestamp(place["time"], timezone.utc)
        speed = "speed not yet known" if place["speed"] is None else f"{place['speed']:.2f} km/s over ground"
        where = f"{place['latitude']:8.4f}° {place['longitude']:9.4f}°"
        print(f"{at:%Y-%m-%d %H:%M:%S} UTC  {where}  {place['quadrant']}  {speed}", flush=True)


if __name__ == "__main__":
    Printer().start()
