"""Looks at the nodes, shared by all that wait for something to heal."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import requests

from tests.chaos.nodes import ChaosNode

Versions = dict[str, dict[str, list[int]]]

# A look may take this part of the time at most, so that watching does not slow what is watched.
_SHARE = 0.25
_SHORTEST_PAUSE = 0.3
_NODE_TIMEOUT = 5.0


class Looks:
    """Reads the versions on all nodes again and again, in a thread of its own.

    Args:
        nodes: The nodes; those that do not answer are left out of a look.
    """

    def __init__(self, nodes: Sequence[ChaosNode]) -> None:
        self._nodes = nodes
        self._condition = threading.Condition()
        self._began = 0.0
        self._versions: Versions = {}
        self._wanted = 0
        self._stop = False
        self._thread = threading.Thread(target=self._look, name="looks", daemon=True)
        self._thread.start()

    def after(self, moment: float) -> Versions:
        """Return a look that began after a moment of the monotonic clock, by the nodes' names."""
        with self._condition:
            self._wanted += 1
            self._condition.notify_all()
            try:
                while self._began < moment and not self._stop:
                    self._condition.wait(1)
            finally:
                self._wanted -= 1
            return self._versions

    def close(self) -> None:
        """Stop looking."""
        with self._condition:
            self._stop = True
            self._condition.notify_all()
        self._thread.join(30)

    def _look(self) -> None:
        while not self._stop:
            with self._condition:
                while not self._wanted and not self._stop:
                    self._condition.wait(1)
            began = time.monotonic()
            found = {}
            for node in self._nodes:
                try:
                    found[node.name] = node.versions(_NODE_TIMEOUT)
                except requests.RequestException:
                    continue  # hurt at this moment
            with self._condition:
                self._began, self._versions = began, found
                self._condition.notify_all()
            time.sleep(max(_SHORTEST_PAUSE, (time.monotonic() - began) * (1 / _SHARE - 1)))
