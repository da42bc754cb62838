"""The queue of requests is bounded in number and in bytes."""

from __future__ import annotations

import queue

import pytest

from catena_core.rpc.messages import Request, Wire
from catena_core.rpc.request_queue import MOST_BYTES, MOST_REQUESTS, RequestQueue


def item(size: int = 0) -> tuple[Request, Wire]:
    return Request("id", "me", "method", "you", "g"), Wire([], bytes(size))


def fill(requests: RequestQueue, size: int) -> int:
    """Put requests of a size until none fits any more."""
    count = 0
    try:
        while True:
            requests.put_nowait(item(size))
            count += 1
    except queue.Full:
        return count


def test_small_requests_are_counted() -> None:
    assert fill(RequestQueue(), 10) == MOST_REQUESTS


def test_large_requests_are_weighed() -> None:
    count = fill(RequestQueue(), 900_000)
    assert count * 900_000 <= MOST_BYTES + 900_000
    assert count > 50


def test_requests_come_out_in_their_order_and_make_room() -> None:
    requests, first = RequestQueue(), item(900_000)
    requests.put(first)
    count = fill(requests, 10)
    assert requests.get() is first
    assert fill(requests, 10) >= MOST_REQUESTS - count - 1 > 1


def test_it_can_be_told_to_end() -> None:
    requests = RequestQueue()
    requests.put(None)
    assert requests.get(timeout=1) is None
    with pytest.raises(queue.Empty):
        requests.get_nowait()
