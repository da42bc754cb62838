"""The process that holds the store of a view, as the view sees it."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from federation.errors import UnreadableQuadsError
from federation.evaluation.pool import Process, Worker, spawn
from federation.view.messages import Change, Changed, Fork, Forked, Request, Response, Unreadable

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Response] = msgspec.msgpack.Decoder(Response)


class Template:
    """The process that holds the store and forks evaluators.

    Its owner holds a lock around each call but ``is_alive`` and ``kill``.

    Args:
        memory: Bytes of address space that an evaluator may take besides the store; 0: no bound.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._has_started = False
        self._worker = Worker(self._spawn)

    def change(self, change: Change) -> int:
        """Change the store.

        Args:
            change: Its new content.

        Returns:
            The most bytes of memory that the process has taken.

        Raises:
            UnreadableQuadsError: The quads are invalid; nothing was changed.
            OSError: The process has ended, and the store with it. The next call starts it again, with an empty store.
            EOFError: The same.
        """
        response = self._ask(change)
        if isinstance(response, Unreadable):
            raise UnreadableQuadsError(response.reason)
        assert isinstance(response, Changed)
        return response.memory

    def fork(self) -> tuple[ForkedProcess, Connection]:
        """Fork an evaluator.

        Raises:
            OSError: As for :meth:`change`.
            EOFError: The same.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                response = self._ask(Fork(), theirs)
            assert isinstance(response, Forked)
            connection = Connection(ours.detach())
            return ForkedProcess(response.pid, connection), connection
        finally:
            ours.close()

    def is_alive(self) -> bool:
        """Return whether the process runs; any thread may ask."""
        return self._worker.is_alive()

    def kill(self) -> None:
        """End the process, also during a call by another thread."""
        self._worker.kill()

    def end(self) -> None:
        """End the process; the next call starts another."""
        self._worker.end()
        self._has_started = False

    def _spawn(self) -> tuple[Process, Connection]:
        if self._has_started:
            raise EOFError("the process has ended, and its store with it")
        self._has_started = True
        return spawn("federation.view.process", self._memory)

    def _ask(self, request: Request, handed: socket.socket | None = None) -> Response:
        try:
            connection = self._worker.connection()
            connection.send_bytes(_encoder.encode(request))
            if handed is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as sending:
                    socket.send_fds(sending, [b"\0"], [handed.fileno()])
            return _decoder.decode(connection.recv_bytes())
        except (EOFError, OSError):
            self.end()
            raise


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
