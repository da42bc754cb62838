"""The processes that evaluate queries over the store of a view, as the view sees them."""

from __future__ import annotations

from multiprocessing.connection import Connection

from federation.evaluation.pool import Worker
from federation.view.template import ForkedProcess, StoreProcesses


class Evaluator(Worker):
    """One of these processes.

    Args:
        processes: Fork it.
        number: Its number.

    Attributes:
        generation: The generation of the store that it shows; -1: none.
    """

    def __init__(self, processes: StoreProcesses, number: int) -> None:
        super().__init__(self._forked)
        self.generation = -1
        self._processes, self._number = processes, number
        self._may_fork = False

    def fork(self, generation: int) -> None:
        """Replace the process by one that shows the store as it is now; the caller holds the view's lock."""
        self.end()
        self._may_fork = True
        try:
            self.connection()
        finally:
            self._may_fork = False
        self.generation = generation

    def end(self) -> None:
        """End the process."""
        self.generation = -1
        super().end()

    def _forked(self) -> tuple[ForkedProcess, Connection]:
        if not self._may_fork:
            raise EOFError("the evaluator has ended")
        return self._processes.fork(self._number)
