"""Waiting for what comes about by itself."""

import time


def eventually(condition, timeout=30.0, message="it did not come about"):
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
