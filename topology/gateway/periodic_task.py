"""Something done again and again, in a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Turns:
    """A thread that takes one turn after another.

    Args:
        turn: What to do. It returns the seconds until the next turn.
        name: The thread's name.
    """

    def __init__(self, turn: Callable[[], float], name: str) -> None:
        self._turn = turn
        self._woken = threading.Event()
        self._ended = False
        # A node that hangs must not hold up the end of the program.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Take the first turn, if none was taken yet."""
        if not self._thread.ident:
            self._thread.start()

    def wake(self) -> None:
        """Take a turn at once; when one is under way, another one after it."""
        self._woken.set()

    def end(self) -> None:
        """Take no further turn. One that is under way is not waited for."""
        self._ended = True
        self._woken.set()

    @property
    def ended(self) -> bool:
        """Whether what a turn finds out is of no use any more."""
        return self._ended

    def _run(self) -> None:
        while not self._ended:
            self._woken.wait(self._turn())
            self._woken.clear()
