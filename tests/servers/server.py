"""What all test servers have in common: they start, are waited for, can be hurt in several ways, and end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TypeVar

START_TIMEOUT = 600.0  # seconds: on a slow machine beside others, Java alone takes minutes

Self = TypeVar("Self", bound="Server")


class ServerUnavailable(Exception):
    """The server cannot be had on this machine; the message says what is missing."""


class ServerFailedError(RuntimeError):
    """The server can be had, but it did not start, or is not fit for tests; the message says why."""


class Engine(Protocol):
    """What runs a server: a local process or a container."""

    def start(self) -> None:
        """Run the server, for the first time or again with the same settings, data and port.

        Raises:
            ServerUnavailable: something that this engine needs is missing.
        """

    def kill(self) -> None:
        """End the server at once, as a crash would (SIGKILL); nothing happens if it is not running."""

    def stop(self) -> None:
        """Ask the server to end, and return when it has."""

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): its connections stay open and nobody answers."""

    def resume(self) -> None:
        """Let a paused server go on."""

    def alive(self) -> bool:
        """Tell whether the server runs or is paused."""

    def log(self) -> str:
        """Return the last lines that the server logged."""

    def close(self) -> None:
        """End the server and remove what it left behind."""


class Server(ABC):
    """A server for tests; as a context manager it is ready inside the block and gone after it.

    Args:
        name: what people call it, such as "Apache Kafka".
        address: where it is reached, as its clients write it.
        engine: what runs it, already started; None where someone else does, and then it cannot be hurt.
    """

    def __init__(self, name: str, address: str, engine: Engine | None) -> None:
        self.name = name
        self.address = address
        self._engine = engine

    @property
    def ours(self) -> bool:
        """Whether the tests started this server, and so may kill it and empty it."""
        return self._engine is not None

    @abstractmethod
    def answers(self) -> bool:
        """Ask the server something small, waiting a few seconds at most, and tell whether it answered."""

    def kill(self) -> None:
        """End the server at once, as a crash would (SIGKILL); nothing happens if it is not running."""
        self._controls().kill()

    def stop(self) -> None:
        """Ask the server to end, as an operator would, and return when it has."""
        self._controls().stop()

    def start(self) -> None:
        """Start a server that ended, on the same port, and do not wait until it answers."""
        self._controls().start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): its connections stay open and nobody answers."""
        self._controls().pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        self._controls().resume()

    def restart(self) -> None:
        """Kill the server if it runs, and start it again on the same port; returns when it answers."""
        self._controls().kill()
        self._controls().start()
        self.wait_until_ready()

    def wait_until_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Return when the server answers.

        Args:
            timeout: seconds to wait.

        Raises:
            ServerFailedError: it ended instead, or stayed silent.
        """
        deadline = time.monotonic() + timeout
        while not self.answers():
            if self._engine and not self._engine.alive():
                raise ServerFailedError(f"{self.name} ended while it started; its last words:\n{self._engine.log()}")
            if time.monotonic() > deadline:
                said = f"; its last words:\n{self._engine.log()}" if self._engine else ""
                raise ServerFailedError(f"{self.name} at {self.address} did not answer within {timeout:g} s{said}")
            time.sleep(0.05)

    def _controls(self) -> Engine:
        if self._engine is None:
            raise ServerUnavailable(f"{self.name}: the one at {self.address} was not started here, so it is left alone")
        return self._engine

    def __enter__(self: Self) -> Self:
        try:
            self.wait_until_ready(START_TIMEOUT if self.ours else 10.0)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine:
            self._engine.close()


def first_to_start(name: str, *ways: Callable[[], Engine]) -> Engine:
    """Start a server by the first way that is open.

    Args:
        name: what people call the server.
        ways: each makes an engine, or raises ServerUnavailable.

    Returns:
        The engine, started.

    Raises:
        ServerUnavailable: no way was open; the message gives every reason.
    """
    reasons = []
    for way in ways:
        try:
            engine = way()
            engine.start()
        except ServerUnavailable as reason:
            reasons.append(str(reason))
        else:
            return engine
    raise ServerUnavailable(f"{name}: {'; '.join(reasons)}")
