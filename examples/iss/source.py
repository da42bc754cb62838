"""Asks where the International Space Station is. ``python source.py -k localhost:9092 -o positions``"""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from catena_core import Electron, Link
from topology.clients.http import WebClient

_PUBLIC = "http://api.open-notify.org/iss-now.json"


class Place(msgspec.Struct):
    """A point on the Earth, in degrees."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]


class Answer(msgspec.Struct):
    """What the API answers; the timestamp is in seconds."""

    timestamp: int
    iss_position: Place


class Source(Link):
    """Sends the station's position every so often. What goes wrong is logged, and the next question comes as usual.

    Settings: ISS_URL (the public API), ISS_INTERVAL (5), seconds.
    """

    outputs = ("positions",)

    def setup(self) -> None:
        """Read the settings, and begin to ask."""
        self._url = os.environ.get("ISS_URL") or _PUBLIC
        self._web = WebClient(timeout=5, max_bytes=10_000)
        self.loop(self.ask, interval=float(os.environ.get("ISS_INTERVAL", "5")))

    def ask(self) -> None:
        """Ask once."""
        response = self._web.request("GET", self._url)
        if response.status != 200:
            raise RuntimeError(f"{self._url} answers with status {response.status}")
        answer = msgspec.json.decode(response.body, type=Answer, strict=False)  # it writes its numbers as text
        place = answer.iss_position
        self.send(Electron("iss", {"time": answer.timestamp, "latitude": place.latitude, "longitude": place.longitude}))


if __name__ == "__main__":
    Source().start()
