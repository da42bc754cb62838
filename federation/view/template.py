"""The processes that hold the store of a view and fork its evaluators, as the view sees them."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Protocol

import msgspec

from federation.errors import TooLargeError, UnreadableQuadsError
from federation.evaluation.pool import Process, Worker, spawn
from federation.view.messages import (
    Change,
    Changed,
    Copied,
    Copy,
    Fork,
    Forked,
    Full,
    Open,
    Opened,
    Request,
    Response,
    Unreadable,
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Response] = msgspec.msgpack.Decoder(Response)


class StoreProcesses(Protocol):
    """The processes that hold the store and evaluate over it.

    Their owner holds a lock around each call but ``is_alive`` and ``kill``. Where a process has ended, and its store with it, a
    call raises ``OSError`` or ``EOFError``; the next one starts it again.
    """

    def resume(self) -> dict[str, str]:
        """Return the digests of the graphs that are in the store from the start, by IRI.

        Raises:
            TooLargeError: There is no place for the store.
        """

    def change(self, change: Change) -> int:
        """Change the store.

        Returns:
            The bytes of memory that it takes; 0 for a store on disk.

        Raises:
            UnreadableQuadsError: The quads are invalid; nothing was changed.
            TooLargeError: There is no room for them; nothing was changed.
        """

    def fork(self, evaluator: int) -> tuple[ForkedProcess, Connection]:
        """Fork an evaluator that sees the store as it is now.

        Args:
            evaluator: Its number; the last one of this number has ended.
        """

    def is_alive(self) -> bool:
        """Return whether the processes run; any thread may ask."""

    def kill(self) -> None:
        """End the processes, also during a call by another thread."""

    def end(self) -> None:
        """End the processes; the next call starts others."""


class _StoreProcess:
    """One process, whose end is not passed over: a new one has lost what it knew.

    Args:
        module: Its name.
        arguments: What it is started with.
    """

    def __init__(self, module: str, *arguments: int) -> None:
        self._module, self._arguments = module, arguments
        self._has_started = False
        self._worker = Worker(self._spawn)

    def is_alive(self) -> bool:
        return self._worker.is_alive()

    def kill(self) -> None:
        self._worker.kill()

    def end(self) -> None:
        self._worker.end()
        self._has_started = False

    def ask(self, request: Request, handed: socket.socket | None = None) -> Response:
        """Send a request, and a socket if there is one, and return the response."""
        try:
            connection = self._worker.connection()
            connection.send_bytes(_encoder.encode(request))
            if handed is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as sending:
                    socket.send_fds(sending, [b"\0"], [handed.fileno()])
            response = _decoder.decode(connection.recv_bytes())
        except (EOFError, OSError):
            self.end()
            raise
        if isinstance(response, Unreadable):
            raise UnreadableQuadsError(response.reason)
        if isinstance(response, Full):
            raise TooLargeError(response.reason)
        return response

    def _spawn(self) -> tuple[Process, Connection]:
        if self._has_started:
            raise EOFError("the process has ended, and its store with it")
        self._has_started = True
        return spawn(self._module, *self._arguments)


class Template(_StoreProcess):
    """The process that forks evaluators, and holds the store in memory: see :class:`StoreProcesses`.

    Args:
        memory: Bytes of address space that an evaluator may take besides the store; 0: no bound.
    """

    def __init__(self, memory: int) -> None:
        super().__init__("federation.view.process", memory)

    def resume(self) -> dict[str, str]:
        return {}

    def change(self, change: Change) -> int:
        response = self.ask(change)
        assert isinstance(response, Changed)
        return response.memory

    def fork(self, evaluator: int) -> tuple[ForkedProcess, Connection]:
        return self.fork_over()

    def fork_over(self, store: str = "") -> tuple[ForkedProcess, Connection]:
        """Fork an evaluator over the store in a directory, which it may change; empty: over this process's store."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                response = self.ask(Fork(store), theirs)
            assert isinstance(response, Forked)
            connection = Connection(ours.detach())
            return ForkedProcess(response.pid, connection), connection
        finally:
            ours.close()


class DiskTemplate:
    """The processes of a store on disk: see :class:`StoreProcesses`. One holds it, and the other forks evaluators over copies.

    A copy shares the files of the store, so it takes some milliseconds.

    Args:
        directory: Where the store is kept.
        memory: Bytes of address space that an evaluator may take; 0: no bound.
        form: What the store's content depends on besides the descriptions.
    """

    def __init__(self, directory: str, memory: int, form: str) -> None:
        self._request = Open(directory, form)
        self._store = _StoreProcess("federation.view.disk_process")
        self._template = Template(memory)

    def resume(self) -> dict[str, str]:
        response = self._store.ask(self._request)
        assert isinstance(response, Opened)
        return response.graphs

    def change(self, change: Change) -> int:
        response = self._store.ask(change)
        assert isinstance(response, Changed)
        return response.memory

    def fork(self, evaluator: int) -> tuple[ForkedProcess, Connection]:
        response = self._store.ask(Copy(evaluator))
        assert isinstance(response, Copied)
        try:
            return self._template.fork_over(response.store)
        except (EOFError, OSError):  # it holds nothing, so another one does as well
            return self._template.fork_over(response.store)

    def is_alive(self) -> bool:
        return self._store.is_alive() and self._template.is_alive()

    def kill(self) -> None:
        self._store.kill()
        self._template.kill()

    def end(self) -> None:
        self._store.end()
        self._template.end()


class ForkedProcess:
    """An evaluator that a template forked.

    Args:
        pid: Its process id.
        connection: The connection to it.
    """

    def __init__(self, pid: int, connection: Connection) -> None:
        self._connection = connection
        # It names this process even after its end, when another one has got its id. The template waits for it.
        self._descriptor: int | None = None
        with suppress(ProcessLookupError):
            self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return 0 if it has ended, ``None`` while it runs; it must be idle."""
        return 0 if self._descriptor is None or self._connection.poll(0) else None

    def kill(self) -> None:
        """End it."""
        if self._descriptor is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self) -> int:
        """Forget it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return 0
