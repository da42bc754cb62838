"""Splits sentences into words. ``python mapper.py -k localhost:9092 -i sentences -o words``"""

from __future__ import annotations

import re
from collections import Counter

from catena_core import Electron, Link
from catena_core.errors import RejectedError

_WORD = re.compile(r"[^\W\d_]+")
_LONGEST_SENTENCE = 100_000


class Mapper(Link):
    """Sends each word of a sentence once, with how often it stands there, keyed by the word.

    Every word says of which sentence it is, so that the reducer knows a repetition when it sees one.
    """

    inputs = ("sentences",)
    outputs = ("words",)
    # The reducer counts on the order of sentences: those of a partition must pass one after the other.
    lanes = 1

    def transform(self, electron: Electron) -> list[Electron]:
        """Split one sentence."""
        if not isinstance(electron.value, str) or len(electron.value) > _LONGEST_SENTENCE:
            raise RejectedError(f"a sentence is text of at most {_LONGEST_SENTENCE} characters")
        sentence = [electron.partition, electron.offset]
        words = Counter(_WORD.findall(electron.value.lower()))
        return [Electron(word, {"times": times, "sentence": sentence}) for word, times in words.items()]


if __name__ == "__main__":
    # A word that is given up after a time while later ones pass would be lost to the reducer: never give up.
    Mapper(properties={"message.timeout.ms": "0"}).start()
