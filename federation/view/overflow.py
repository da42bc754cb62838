"""A store of a view that is in memory up to a bound, and on disk beyond."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection

from federation.view.messages import Change
from federation.view.template import DiskTemplate, ForkedProcess, StoreProcesses, Template


class OverflowTemplate:
    """The processes of such a store: see :class:`StoreProcesses`.

    The store moves once. It is empty there, as after the end of a process.

    Args:
        in_memory: Hold the store at first.
        on_disk: Hold it from then on.
        max_bytes: The most memory that it may take.
        on_overflow: Called with the reason when it moves.
    """

    def __init__(
        self, in_memory: Template, on_disk: DiskTemplate, max_bytes: int, on_overflow: Callable[[str], None]
    ) -> None:
        self._processes: StoreProcesses = in_memory
        self._on_disk = on_disk
        self._max_bytes = max_bytes
        self._on_overflow = on_overflow

    def resume(self) -> dict[str, str]:
        return self._processes.resume()

    def change(self, change: Change) -> int:
        memory = self._processes.change(change)
        if memory > self._max_bytes:
            self._on_overflow(f"it takes more than GATEWAY_VIEW_BYTES, {self._max_bytes}")
            self._processes.end()
            self._processes = self._on_disk
            raise EOFError("the store in memory has ended")
        return memory

    def fork(self, evaluator: int) -> tuple[ForkedProcess, Connection]:
        return self._processes.fork(evaluator)

    def is_alive(self) -> bool:
        return self._processes.is_alive()

    def kill(self) -> None:
        self._processes.kill()

    def end(self) -> None:
        self._processes.end()
