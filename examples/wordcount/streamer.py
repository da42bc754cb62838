"""Makes up sentences. ``python streamer.py -k localhost:9092 -o sentences``"""

from __future__ import annotations

import os
import random

from catena_core import Link

_ADJECTIVES = ("small", "old", "green", "sleepy", "brave", "hungry", "quiet")
_ANIMALS = ("fox", "heron", "otter", "badger", "owl", "hedgehog", "salmon")
_VERBS = ("follows", "greets", "watches", "feeds", "avoids")
_PLACES = ("by the river", "under the bridge", "behind the mill", "in the rain", "at night")


class Streamer(Link):
    """Sends made-up sentences.

    Settings: SENTENCES_PER_SECOND (10).
    """

    outputs = ("sentences",)

    def setup(self) -> None:
        """Read the settings."""
        self._interval = 1 / float(os.environ.get("SENTENCES_PER_SECOND", "10"))

    def generator(self) -> None:
        """Send one sentence."""
        subject, other = (f"the {random.choice(_ADJECTIVES)} {random.choice(_ANIMALS)}" for _ in range(2))
        self.send(f"{subject} {random.choice(_VERBS)} {other} {random.choice(_PLACES)}".capitalize() + ".")
        self.wait(self._interval)


if __name__ == "__main__":
    Streamer().start()
