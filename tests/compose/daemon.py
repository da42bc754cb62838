"""A Docker daemon for the tests: the one that runs, or one of their own that ends with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS_TO_START = 60.0


def answers() -> bool:
    """Return whether a Docker daemon answers the client of this machine."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextmanager
def docker_daemon() -> Iterator[None]:
    """Have a daemon that answers: nothing is started where one does; else ``dockerd``, with its data in a temporary folder.

    Raises:
        SystemExit: There is none, and none can be started; the message says what to do.
    """
    if answers():
        yield
        return
    if not shutil.which("docker") or not shutil.which("dockerd") or os.geteuid() != 0:
        raise SystemExit(
            "no Docker daemon answers: start one; or install it (apt-get install docker.io) and run this as root"
        )
    with tempfile.TemporaryDirectory(prefix="catena-docker-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [
                    "dockerd",
                    "--data-root",
                    folder / "data",
                    "--exec-root",
                    folder / "exec",
                    "--pidfile",
                    folder / "pid",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(daemon, folder / "log")
            yield
        finally:
            daemon.terminate()
            daemon.wait()


def _wait_for(daemon: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while not answers():
        if daemon.poll() is not None or time.monotonic() > until:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise SystemExit(f"dockerd does not answer; its last lines:\n{last}")
        time.sleep(0.5)
