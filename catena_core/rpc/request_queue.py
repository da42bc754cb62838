"""The queue of requests that wait to be run."""

from __future__ import annotations

import queue
from collections import deque

from catena_core.rpc.messages import Request, Wire

MOST_REQUESTS = 1000
MOST_BYTES = 64 * 1024 * 1024

_BYTES_PER_PLACE = MOST_BYTES // MOST_REQUESTS

Item = tuple[Request, Wire] | None


class RequestQueue(queue.Queue[Item]):
    """A queue that is full at so many requests or at so many bytes, whichever comes first.

    It has :data:`MOST_REQUESTS` places, of which a large request takes several. ``None`` tells a thread to end.
    """

    def __init__(self) -> None:
        super().__init__(MOST_REQUESTS)

    # The hooks of queue.Queue for other orders than its own; it calls them with its lock held.

    def _init(self, maxsize: int) -> None:
        self._items: deque[Item] = deque()
        self._places = 0

    def _qsize(self) -> int:
        return self._places

    def _put(self, item: Item) -> None:
        self._items.append(item)
        self._places += _places(item)

    def _get(self) -> Item:
        item = self._items.popleft()
        self._places -= _places(item)
        return item


def _places(item: Item) -> int:
    return 1 if item is None else 1 + len(item[1].value or b"") // _BYTES_PER_PLACE
