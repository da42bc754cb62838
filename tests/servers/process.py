"""A server as a local process, which lives no longer than the tests do."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers import keeper

LOG_LINES = 40


class Process:
    """An `Engine` that runs a command in a session of its own, under the watch of `keeper.py`.

    Args:
        command: the program and its arguments.
        folder: where it runs and logs; without one, a temporary folder that goes when the server is closed.
        environment: variables that it gets on top of ours.
    """

    def __init__(
        self, command: Sequence[str], folder: Path | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self._command = command
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="catena-", ignore_cleanup_errors=True)
            folder = Path(self._temporary.name)
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0

    def start(self) -> None:
        """Run the command; its output goes to `log` in its folder, after what stands there."""
        with self._log_file().open("a") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, str(os.getpid()), *self._command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._keeper.stdout
        with self._keeper.stdout as answer:
            self.pid = int(answer.readline() or 0)

    def kill(self) -> None:
        """End the process at once; nothing happens if it is not running."""
        self._signal(signal.SIGKILL)
        if self._keeper:
            self._keeper.wait()

    def stop(self) -> None:
        """Ask the process to end (SIGTERM), and wait until it has."""
        self._signal(signal.SIGTERM)
        if self._keeper:
            self._keeper.wait()

    def pause(self) -> None:
        """Freeze the process."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Tell whether the process runs or is frozen."""
        return self._keeper is not None and self._keeper.poll() is None

    def log(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log_file().read_text(errors="replace").splitlines()[-LOG_LINES:])

    def close(self) -> None:
        """End the process; remove its folder if that was temporary."""
        self.kill()
        if self._temporary:
            self._temporary.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        if self.alive() and self.pid:
            os.kill(self.pid, number)

    def _log_file(self) -> Path:
        return self._folder / "log"


_ports_given: set[int] = set()
_PORTS_OF_A_WORKER = 1000


def free_port(count: int = 1) -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on, another one each time, and no other worker's of pytest.

    It lies below the range from which systems draw the ports of outgoing connections (from 32768 on Linux, 49152
    elsewhere): a server that is down for a while must find its port free again, and a client that keeps calling it must
    not get its own number for the call, since TCP would then connect it with itself.

    Args:
        count: So many ports are free, from the one that is returned on.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
    first = 15_000 + worker * _PORTS_OF_A_WORKER
    while True:
        # Not from `random` itself: tests that seed it must not all meet at one port.
        port = random.SystemRandom().randrange(first, first + _PORTS_OF_A_WORKER - count)
        ports = range(port, port + count)
        if _ports_given.isdisjoint(ports) and all(map(_is_free, ports)):
            _ports_given.update(ports)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
