"""Processes that restart when they die."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from catena_core.errors import CatenaError

# Seconds to wait for the last lines of a process that has died, which a child of it may keep from ending.
_LAST_LINES = 1.0
_LONGEST_WAIT = 60.0
# As long as Kubernetes takes: a link that finds its Kafka gone may run for a minute each time.
_STABLE_AFTER = 600.0
_FAILING_AFTER = 3  # deaths in a row
_WRONG_COMMAND_LINE = 2  # the status of a link that refuses its options


class ManagedProcess:
    """A Python module that runs as a process, and restarts when it dies.

    Args:
        name: Marks its lines.
        module: The module to run.
        arguments: Its command line.
        environment: Its environment variables.
        on_line: Called with ``(name, line)`` for each line that it writes, on either stream.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.restarts = 0
        self._command = [sys.executable, "-m", "topology.runner.child", str(os.getpid()), module, *arguments]
        self._environment = dict(environment)
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=50)
        self._started = 0.0
        self._wait = 0.0
        self._deaths = 0
        self._last_death = ""
        self._restart_at: float | None = None
        self._process: subprocess.Popen[str] | None = None
        self._has_line = threading.Condition()
        self._follower = threading.Thread()

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process in a session of its own, so that a terminal's Ctrl-C reaches the runner alone."""
        self._started = time.monotonic()
        self._restart_at = None
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._follower = threading.Thread(target=self._follow, args=(self._process,), daemon=True)
        self._follower.start()

    def wait_for_line(self, prefix: str, timeout: float) -> str:
        """Wait for the line that a server prints when it listens.

        Args:
            prefix: The beginning of that line.
            timeout: Seconds to wait.

        Returns:
            The rest of the first such line.

        Raises:
            CatenaError: The process died, or printed no such line in time.
        """
        deadline = time.monotonic() + timeout
        with self._has_line:
            while True:
                for line in self._lines:
                    if line.startswith(prefix):
                        return line[len(prefix) :].strip()
                if not self.is_running:  # its last lines may not have been read yet
                    deadline = min(deadline, time.monotonic() + _LAST_LINES)
                if not self._follower.is_alive() or time.monotonic() > deadline:
                    raise CatenaError(f"{self.name} did not start:\n" + "\n".join(self._lines))
                self._has_line.wait(0.1)

    @property
    def is_running(self) -> bool:
        """True while the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def failure(self) -> str:
        """What to say of a process that dies again and again; empty for any other."""
        if self._deaths < _FAILING_AFTER or (self._is_stable and self.is_running):
            return ""
        return f"died {self._deaths} times in a row, the last time with {self._last_death}"

    @property
    def _is_stable(self) -> bool:
        return time.monotonic() - self._started > _STABLE_AFTER

    def restart_if_dead(self) -> None:
        """Restart the process if it is dead: at once the first time, then after waits that double.

        Raises:
            CatenaError: It refuses its options, as it would again.
        """
        if self.is_running or self._process is None:
            return
        now = time.monotonic()
        if self._restart_at is None:
            self._follower.join(_LAST_LINES)
            if self._process.returncode == _WRONG_COMMAND_LINE:
                raise CatenaError(f"{self.name} did not start: {self._lines[-1] if self._lines else 'wrong options'}")
            if self._is_stable:
                self._deaths, self._wait = 0, 0.0
            self._deaths += 1
            self._restart_at = now + self._wait
            again = f"again in {self._wait:.0f} s" if self._wait else "starting it again"
            self._wait = min(max(1.0, 2 * self._wait), _LONGEST_WAIT)
            last = f" ({self._lines[-1]})" if self._lines and self._process.returncode > 0 else ""
            self._last_death = f"{_describe_status(self._process.returncode)}{last}"
            level = "ERROR" if self.failure else "WARNING"
            self._on_line(self.name, f"{level} {self.failure or f'died with {self._last_death}'}, {again}")
        if now >= self._restart_at:
            self.restarts += 1
            self.start()

    def signal_stop(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def end(self, timeout: float) -> bool:
        """Wait for the process to end, and kill it if it does not.

        Args:
            timeout: Seconds to wait.

        Returns:
            Whether it ended by itself.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, timeout))
            return True
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return False

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._has_line:
                self._lines.append(line.rstrip("\n"))
                self._has_line.notify_all()
            self._on_line(self.name, line.rstrip("\n"))


def _describe_status(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
