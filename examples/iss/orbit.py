"""Where a satellite on a circular orbit stands above the Earth.

The ground track of Curtis, *Orbital Mechanics for Engineering Students*, section 4.8, for an orbit without eccentricity and
without precession: the satellite turns evenly in a plane that stands still, and the Earth turns below it.
"""

from __future__ import annotations

import math

INCLINATION = math.radians(51.64)
PERIOD = 92.9 * 60  # seconds
SIDEREAL_DAY = 86_164.1  # seconds in which the Earth turns once against the stars


def position(time: float) -> tuple[float, float]:
    """Compute the point below the satellite.

    Args:
        time: Seconds; at 0 it crosses the equator northwards at the meridian of Greenwich.

    Returns:
        Latitude and longitude, in degrees.
    """
    angle = 2 * math.pi * (time / PERIOD % 1)
    latitude = math.asin(math.sin(INCLINATION) * math.sin(angle))
    in_space = math.atan2(math.cos(INCLINATION) * math.sin(angle), math.cos(angle))
    longitude = in_space - 2 * math.pi * (time / SIDEREAL_DAY % 1)
    return math.degrees(latitude), (math.degrees(longitude) + 180) % 360 - 180
