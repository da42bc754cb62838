"""The containers of one Compose project, and what is done to them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

from tests.helpers.documents import ROOT

NAME = "catena-test"
PORT = 3970
OFFERINGS = 60
_PATIENCE = 600.0
_COMPOSE = ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")


def call(*command: str, check: bool = True, said: str | None = None, **settings: str) -> str:
    """Run a command in the project's root and return what it printed.

    Args:
        command: Its words.
        check: Whether a status other than 0 ends the tests.
        said: What it reads from its input.
        settings: Variables of its environment, beside those of the tests.

    Raises:
        SystemExit: The command failed; the message holds its output.
    """
    own = {
        "COMPOSE_PROJECT_NAME": NAME,
        "HOST_ADDRESS": "127.0.0.1",
        "HOST_PORT": str(PORT),
        "SANDBOX_OFFERINGS": str(OFFERINGS),
        "DOCKER_BUILDKIT": "0",
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **own, **settings},
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


class Project:
    """One way to run Catena by Compose.

    Args:
        files: The Compose files, where it is not the two that Compose takes by itself.
        settings: What ``.env`` would say.
    """

    def __init__(self, *files: str, **settings: str) -> None:
        self._files = [word for file in files for word in ("-f", file)]
        self._settings = settings

    def compose(self, *arguments: str, check: bool = True, said: str | None = None) -> str:
        """Run ``docker-compose`` with these arguments, and return what it printed."""
        return call(*_COMPOSE, *self._files, *arguments, check=check, said=said, **self._settings)

    def up(self, **scale: int) -> None:
        """Start what does not run, with these numbers of containers by service."""
        self.compose("up", "-d", *(word for name, number in scale.items() for word in ("--scale", f"{name}={number}")))

    def down(self) -> None:
        """Remove all containers and volumes."""
        self.compose("down", "-v", "--remove-orphans", check=False)

    def container(self, service: str) -> str:
        """Return the id of the service's first container."""
        return self.compose("ps", "-q", service).split()[0]

    def kill(self, service: str) -> None:
        """End the first container's program as the kernel would, so that its restart policy acts; wait until it has."""
        state = (
            "docker",
            "inspect",
            "-f",
            "{{.RestartCount}} {{.State.Running}} {{.State.Pid}}",
            self.container(service),
        )
        restarts, _, pid = call(*state).split()
        os.kill(int(pid), signal.SIGKILL)
        while call(*state).split()[:2] != [str(int(restarts) + 1), "true"]:
            time.sleep(0.2)

    def step(self, said: str, hurt: Callable[[], object], holds: Callable[[], bool]) -> None:
        """Do something to the containers, wait until a condition holds, and print how long both took.

        Raises:
            SystemExit: It does not hold in time; the message shows the containers and their last log lines.
        """
        started = time.monotonic()
        hurt()
        while not holds():
            if time.monotonic() - started > _PATIENCE:
                raise SystemExit(
                    f"{said}: not well after {_PATIENCE:g} s\n{self.compose('ps')}\n{self.compose('logs', '--tail=20')}"
                )
            time.sleep(1)
        print(f"{time.monotonic() - started:6.1f} s  {said}", flush=True)


def all_healthy() -> bool:
    """Return whether Docker calls every container healthy."""
    states = call(
        "docker", "ps", "-a", "--filter", f"label=com.docker.compose.project={NAME}", "--format", "{{.Status}}"
    )
    return bool(states) and all("(healthy)" in state for state in states.splitlines())


def copies() -> list[list[str]]:
    """Return the nodes of each placed offering, as the gateway tells; nothing while it does not answer."""
    with (
        suppress(OSError, URLError, ValueError),
        urlopen(f"{gateway()}/offerings?state=placed&limit=1000", timeout=10) as answer,
    ):
        return [one["nodes"] for one in json.load(answer)["offerings"]]
    return []


def is_whole(replicas: int = 2) -> bool:
    """Return whether the gateway is healthy, and each offering stands on so many nodes."""
    try:
        with urlopen(f"{gateway()}/health", timeout=10) as answer:
            healthy: bool = json.load(answer)["status"] == "healthy"
    except (OSError, URLError, ValueError):
        return False
    return healthy and [len(nodes) for nodes in copies()] == [replicas] * OFFERINGS


def gateway() -> str:
    """Return the URL at which this machine reaches the gateway."""
    return f"http://127.0.0.1:{PORT}"
