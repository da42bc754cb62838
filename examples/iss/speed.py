"""Tells speed and quadrant from positions. ``python speed.py -k localhost:9092 -i positions -o speeds``"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from catena_core import Electron, Link

EARTH_RADIUS = 6371.0088  # kilometres, the mean of the WGS 84 ellipsoid


class Speed(Link):
    """Adds to each position the speed over ground since the one before, in kilometres per second, and the quadrant.

    All positions have one key, so they stand in one partition, in order, and one instance has them all.
    """

    inputs = ("positions",)
    outputs = ("speeds",)

    def assigned(self, _partitions: Sequence[tuple[str, int]]) -> None:
        """Begin anew: what another instance saw is not known here."""
        self._last: dict[str, Any] | None = None

    def transform(self, electron: Electron) -> Electron | None:
        """Compare one position with the one before; a position that is not newer says nothing."""
        here, last = electron.value, self._last
        if last is not None and here["time"] <= last["time"]:
            return None
        self._last = here
        speed = None if last is None else distance(last, here) / (here["time"] - last["time"])
        return Electron(electron.key, {**here, "speed": speed, "quadrant": quadrant(here)})


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Kilometres along the great circle between two points.

    The haversine formula (Sinnott, *Virtues of the Haversine*, Sky and Telescope 68, 1984), exact also for small distances.
    """
    north_1, north_2 = math.radians(one["latitude"]), math.radians(other["latitude"])
    east = math.radians(other["longitude"] - one["longitude"])
    haversine = math.sin((north_2 - north_1) / 2) ** 2 + math.cos(north_1) * math.cos(north_2) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(min(1.0, math.sqrt(haversine)))


def quadrant(place: dict[str, Any]) -> str:
    """On which side of the equator and of Greenwich a point lies."""
    return f"{'north' if place['latitude'] >= 0 else 'south'}-{'east' if place['longitude'] >= 0 else 'west'}"


if __name__ == "__main__":
    Speed().start()
