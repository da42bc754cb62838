"""Waiting for what comes about by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(
    condition: Callable[..., Any], timeout: float = 30.0, message: str | Callable[[], str] = "it did not come about"
) -> Any:
    """Wait until something holds, and return what it returned.

    Args:
        condition: Called again and again until it returns something true.
        timeout: Seconds after which the test fails.
        message: What it says then, or a function that tells.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(message() if callable(message) else message)
