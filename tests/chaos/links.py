"""The links as processes: killed at random, started again at once, and their memory followed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.nodes import ROOT
from tests.servers.process import free_port

LINKS = ("monitor", "address_generator", "fetcher", "router", "writer", "gateway")
EACH = 2

# Short, so that a killed instance is missed soon.
_PROPERTIES = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
_LOOK_EVERY = 0.2


class Links:
    """Two processes of each link, each started again when it ends.

    Args:
        kafka: Kafka's ``host:port``, several with commas.
        environment: The settings.
        folder: Where they log.

    Attributes:
        gateways: The URLs of the gateways.
        ended: Names and statuses of processes that ended without being killed.
    """

    def __init__(self, kafka: str, environment: Mapping[str, str], folder: Path) -> None:
        self.gateways: list[str] = []
        self.ended: list[str] = []
        self.folder = folder
        self._kafka = kafka
        self._environment = {**os.environ, **environment}
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._stop = threading.Event()
        for link in LINKS:
            for number in range(1, EACH + 1):
                name = f"{link}_{number}"
                self._variables[name] = {}
                if link == "gateway":
                    port = free_port()
                    self._variables[name] = {"HOST_PORT": str(port)}
                    self.gateways.append(f"http://127.0.0.1:{port}")
                self._start(name)
        self._keeper = threading.Thread(target=self._keep, name="keeper of links", daemon=True)
        self._keeper.start()

    def kill(self, rng: random.Random, kind: str = "") -> str:
        """End one process as a crash would, and start it again; return its name.

        Args:
            rng: Chooses it.
            kind: A link; empty for any.
        """
        with self._lock:
            name = rng.choice([name for name in self._running if name.startswith(kind)])
            self._running[name].kill()
            self._running[name].wait()
            self._start(name)
        return name

    def memory(self) -> dict[str, float]:
        """Return the MiB of each process's resident memory."""
        with self._lock:
            pids = {name: process.pid for name, process in self._running.items()}
        return {name: size for name, pid in pids.items() if (size := resident(pid))}

    def close(self) -> None:
        """End all processes."""
        self._stop.set()
        self._keeper.join()
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str) -> None:
        link = name.rpartition("_")[0]
        extra = [item for key, value in _PROPERTIES.items() for item in ("-X", f"{key}={value}")]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                # They end with this process, however it ends.
                [
                    sys.executable,
                    "-m",
                    "topology.runner.child",
                    str(os.getpid()),
                    f"links.{link}",
                    "-k",
                    self._kafka,
                    *extra,
                ],
                cwd=ROOT,
                env={**self._environment, **self._variables[name]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            with self._lock:
                for name, process in list(self._running.items()):
                    if process.poll() is not None:
                        self.ended.append(f"{name} with status {process.returncode} at {time.strftime('%H:%M:%S')}")
                        self._start(name)


def resident(pid: int) -> float:
    """Return the MiB of a process's resident memory; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
