"""Catalogue nodes that can be hurt: killed, emptied, frozen, read-only, full, false, or set back to an old backup."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.servers.process import free_port

ROOT = Path(__file__).resolve().parents[2]
VERSION = "urn:chaos:version"

_VERSIONS = f"SELECT ?g ?v WHERE {{ GRAPH ?g {{ ?s <{VERSION}> ?v }} }}"
_WRITES = ("PUT", "POST", "DELETE", "PATCH")
# Queries come by POST as well, so a node's refusals name the paths of its writes.
_WRITE_PATHS = ("/catalogue/manager", "/catalogue/update", "/catalogue/data")


class ChaosNode:
    """A sandbox node as a process; each start is at the same address.

    Args:
        name: Its id in the list of nodes.
        folder: Where it logs, and keeps its data if it is to keep them.
        keeps: Whether its data survive the process, as files.
    """

    def __init__(self, name: str, folder: Path, keeps: bool) -> None:
        self.name = name
        self._port = free_port()
        self._log = folder / f"{name}.log"
        self._data = folder / name if keeps else None
        self._backup = folder / f"{name}.backup"
        self.url = f"http://127.0.0.1:{self._port}/catalogue"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid if self._process else 0

    @property
    def keeps(self) -> bool:
        """Whether its data survive the process."""
        return self._data is not None

    def start(self) -> None:
        """Start it, with the data that it kept."""
        # It ends with this process, however that ends.
        command = [sys.executable, "-m", "topology.runner.child", str(os.getpid()), "sandbox.node"]
        command += ["--port", str(self._port)]
        if self._data:
            command += ["--store", str(self._data)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout
        assert self._process.stdout.readline().startswith(b"node "), self._log.read_text()
        self._process.stdout.close()

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop the process: it accepts connections and answers none."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def fail_writes(self, status: int) -> None:
        """Answer each write with a status, and store nothing; a status below 400 pretends that it was stored."""
        self._faults(error_rate=1, status=status, paths=_WRITE_PATHS, methods=_WRITES)

    def be_well(self) -> None:
        """Answer as it should."""
        self._faults()

    def back_up(self) -> None:
        """Copy its data, as they are on disk after a crash."""
        assert self._data
        self.kill()
        shutil.rmtree(self._backup, ignore_errors=True)
        shutil.copytree(self._data, self._backup)
        self.start()

    def restore(self) -> None:
        """Come back with the data of the backup."""
        assert self._data
        self.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._backup, self._data)
        self.start()

    def versions(self, timeout: float = 60) -> dict[str, list[int]]:
        """Read the versions that stand in each graph, within so many seconds."""
        answer = requests.post(
            f"{self.url}/sparql",
            data={"query": _VERSIONS},
            headers={"Accept": "application/sparql-results+json"},
            timeout=timeout,
        )
        answer.raise_for_status()
        found: dict[str, list[int]] = {}
        for row in answer.json()["results"]["bindings"]:
            found.setdefault(row["g"]["value"], []).append(int(row["v"]["value"]))
        return found

    def quads(self) -> bytes:
        """Read everything that it holds, as N-Quads."""
        answer = requests.get(f"{self.url}/data", headers={"Accept": "application/n-quads"}, timeout=120)
        answer.raise_for_status()
        return answer.content

    def _faults(self, **faults: Any) -> None:
        answer = requests.put(self.url.replace("/catalogue", "/faults"), json=faults, timeout=30)
        answer.raise_for_status()
