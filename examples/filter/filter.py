"""Sorts lines by a pattern. ``PATTERN='cart|mail' python filter.py -k localhost:9092 -i lines -o matches,rest``"""

from __future__ import annotations

import os
import re

from catena_core import Electron, Link
from catena_core.errors import RejectedError, UsageError


class Filter(Link):
    """Passes on lines that match a pattern to the first output topic, and all others to the second.

    Settings: PATTERN (WARNING|ERROR), a regular expression in Python's notation.
    """

    inputs = ("lines",)
    outputs = ("matches", "rest")

    def setup(self) -> None:
        """Read the settings."""
        pattern = os.environ.get("PATTERN", "WARNING|ERROR")
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise UsageError(f"PATTERN is no regular expression: {error}") from error
        if len(self.output_topics) != 2:
            raise UsageError("a filter writes two topics, name both: -o MATCHES,REST")

    def transform(self, electron: Electron) -> Electron:
        """Choose the topic of one line; its key stays, so the lines of a service stay in order."""
        if not isinstance(electron.value, str):
            raise RejectedError("this is not a line of text")
        matches, rest = self.output_topics
        return Electron(electron.key, electron.value, matches if self._pattern.search(electron.value) else rest)


if __name__ == "__main__":
    Filter().start()
