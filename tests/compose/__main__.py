"""Runs the Compose files for real, hurts what runs, and checks after each step that every offering stands on two nodes.

It needs a Docker daemon, and ``docker-compose`` or Docker Compose v2. Where no registry can be reached, it builds stand-ins of
the images (``stand_ins.sh``), for which it needs root and debootstrap.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import urlopen

from tests.helpers.documents import ROOT
from tests.servers.kafka import IMAGE, kafka_jars

_PROJECT = "catena-test"
_OFFERINGS = 60
_PATIENCE = 600.0


def _call(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "COMPOSE_PROJECT_NAME": _PROJECT,
        "HOST_ADDRESS": "127.0.0.1",
        "HOST_PORT": "3970",
        "SANDBOX_OFFERINGS": str(_OFFERINGS),
        "DOCKER_BUILDKIT": "0",
    }


_COMPOSE = ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")


def _compose(*arguments: str, check: bool = True) -> str:
    return _call(*_COMPOSE, *arguments, check=check)


def _up(**scale: int) -> None:
    _compose("up", "-d", *(word for name, number in scale.items() for word in ("--scale", f"{name}={number}")))


def _is_whole() -> bool:
    """Tell whether the gateway is healthy, all offerings are placed, and a query over them answers completely."""
    try:
        with urlopen("http://127.0.0.1:3970/health", timeout=10) as answer:
            healthy = json.load(answer)["status"] == "healthy"
        with urlopen("http://127.0.0.1:3970/offerings?state=placed&limit=1000", timeout=10) as answer:
            copies = [len(one["nodes"]) for one in json.load(answer)["offerings"]]
    except (OSError, URLError, ValueError):
        return False
    return healthy and copies == [2] * _OFFERINGS


def _step(said: str, hurt: Callable[[], object], holds: Callable[[], bool] = _is_whole) -> None:
    started = time.monotonic()
    hurt()
    while not holds():
        if time.monotonic() - started > _PATIENCE:
            raise SystemExit(
                f"{said}: not well after {_PATIENCE:g} s\n{_compose('ps')}\n{_compose('logs', '--tail=20')}"
            )
        time.sleep(1)
    print(f"{time.monotonic() - started:6.1f} s  {said}", flush=True)


def _kill(service: str) -> None:
    """End the first container's program as the kernel would, so that its restart policy acts; wait until it has."""
    container = _compose("ps", "-q", service).split()[0]
    state = ("docker", "inspect", "-f", "{{.RestartCount}} {{.State.Running}} {{.State.Pid}}", container)
    restarts, _, pid = _call(*state).split()
    os.kill(int(pid), signal.SIGKILL)
    while _call(*state).split()[:2] != [str(int(restarts) + 1), "true"]:
        time.sleep(0.2)


def _down_and_up() -> None:
    _compose("down")
    _up()


def _all_healthy() -> bool:
    states = _call(
        "docker", "ps", "-a", "--filter", f"label=com.docker.compose.project={_PROJECT}", "--format", "{{.Status}}"
    )
    return all("(healthy)" in state for state in states.splitlines())


def _second_kafka_refuses() -> bool:
    return "another Kafka container has this data" in _compose("logs", "kafka")


def main() -> int:
    """Run all steps; the status is 0 if everything held."""
    _call("docker", "info")
    if not _call("docker", "images", "-q", IMAGE) and subprocess.run(["docker", "pull", IMAGE], check=False).returncode:
        subprocess.run([ROOT / "tests/compose/stand_ins.sh", kafka_jars()], cwd=ROOT, check=True)
    try:
        _compose("build")
        _step("from nothing to all offerings on two nodes", lambda: _up(fetcher=2, writer=2))
        _step("every container healthy", lambda: None, _all_healthy)
        _step("fetcher, writer and router scaled up", lambda: _up(fetcher=4, writer=3, router=2))
        _step("and down", lambda: _up(fetcher=1, writer=1, router=1))
        for service in ("writer", "router", "fetcher", "monitor", "gateway", "node-1", "redis", "kafka"):
            _step(f"kill -9 in {service}", lambda service=service: _kill(service))  # type: ignore[misc]
        for service in ("redis", "node-2", "kafka"):
            _step(f"{service} restarted", lambda service=service: _compose("restart", service))  # type: ignore[misc]
        second = ("up", "-d", "--scale", "kafka=2")
        _step("a second Kafka is refused", lambda: _compose(*second, check=False), _second_kafka_refuses)
        _step("without it all is as before", lambda: _up(kafka=1))
        _step("down, and up again with the volumes", _down_and_up)
        lines = len(_compose("logs", "--no-color").splitlines())
        print(f"{lines} lines in all logs since")
    finally:
        _compose("down", "-v", "--remove-orphans", check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
