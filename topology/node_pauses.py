"""The pauses that nodes ask for, by ``Retry-After``."""

from __future__ import annotations

import time

from topology.clients.node_status import FailedError


class NodePauses:
    """Notes until when each node wants no request. May be used by many threads."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def note(self, node: str, error: Exception) -> None:
        """Begin the pause that a node's answer asks for, if it asks for one."""
        pause = pause_of(error)
        if pause > 0:
            self._until[node] = max(self._until.get(node, 0.0), time.monotonic() + pause)

    def remaining(self, node: str) -> float:
        """Return the seconds until a node may be asked again; 0 if it may be asked now."""
        return max(0.0, self._until.get(node, 0.0) - time.monotonic())


def pause_of(error: Exception) -> float:
    """Return the seconds for which the server behind an error wants no request; 0 if it does not say."""
    return error.pause if isinstance(error, FailedError) else 0.0
