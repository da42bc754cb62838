"""The limits of the embedded broker: refused before the start where they are known, noticed at once where they are not.

The broker keeps 5 MiB of a partition, compressed, and then drops the oldest messages. Measured with the sandbox's offerings of
12 KB each: 25,000 fit, one version of each, and none of the changes that come later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from catena_core.errors import CatenaError, UsageError
from catena_core.topics import check_whole
from topology import topics
from topology.clients.http import Access, UnsafeError, WebClient, WebError
from topology.clients.ledger import Ledger

MOST_OFFERINGS = 10_000
_WARN_FROM = MOST_OFFERINGS * 8 // 10
_LEDGER_TIMEOUT = 10.0
_CHECK_EVERY = 2.0


def check_count(listed: int) -> str:
    """Compare a number of listed offerings with those that the embedded broker holds.

    Returns:
        A warning if they are nearly too many, else nothing.

    Raises:
        UsageError: They are too many.
    """
    if listed > MOST_OFFERINGS:
        raise UsageError(
            f"the embedded broker holds the descriptions of {MOST_OFFERINGS} offerings, and there are {listed}; "
            "start Apache Kafka, and name it with -k HOST:PORT"
        )
    return warning(listed)


def warning(listed: int) -> str:
    """Return a warning if so many offerings nearly fill the embedded broker, else nothing."""
    if listed < _WARN_FROM:
        return ""
    return (
        f"WARNING {listed} offerings nearly fill the embedded broker, which holds about {MOST_OFFERINGS}; "
        "for more, start Apache Kafka, and name it with -k HOST:PORT"
    )


def count_listed(booth: str, access: Access | None = None) -> int:
    """Return the length of a ledger's listing; 0 if it does not answer yet.

    Args:
        booth: The booth's API.
        access: The credentials for it.
    """
    try:
        return len(Ledger(booth, WebClient(_LEDGER_TIMEOUT, access=access)).addresses().addresses)
    except (WebError, UnsafeError):
        return 0


class TruncationWatch:
    """Watches in a thread of its own that the embedded broker drops nothing that must last.

    Args:
        endpoint: The broker's ``host:port``.
        on_loss: Called once with the error when it has.
    """

    def __init__(self, endpoint: str, on_loss: Callable[[CatenaError], None]) -> None:
        self._endpoint = endpoint
        self._on_loss = on_loss
        self._stop = threading.Event()
        threading.Thread(target=self._watch, name="truncation watch", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()

    def _watch(self) -> None:
        try:
            while not self._stop.wait(_CHECK_EVERY):
                check_whole(self._endpoint, topics.LASTING)
        except CatenaError as error:
            self._on_loss(error)
