"""The sandbox's servers, started as their users start them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

CHECKOUT = Path(__file__).resolve().parents[3]


class Server:
    """A server that runs: its process, the URL that it printed, and HTTP requests relative to that."""

    def __init__(self, process: subprocess.Popen[str], announcement: str) -> None:
        self.process = process
        self.announcement = announcement
        self.url = announcement.split()[1]
        self.origin = self.url.rsplit("/", 1)[0]
        self._session = requests.Session()

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """`path` is relative to the printed URL, or to its origin where it begins with a slash."""
        url = self.origin + path if path.startswith("/") else f"{self.url}/{path}"
        return self._session.request(method, url, **{"timeout": 30, **arguments})

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("POST", path, **arguments)

    def put(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("PUT", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("DELETE", path, **arguments)


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Server]:
    """`python -m sandbox.<module>` on a free port, killed at the end if it has not stopped by then."""
    command = [sys.executable, "-m", f"sandbox.{module}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    try:
        assert process.stdout is not None
        announcement = process.stdout.readline()
        assert announcement, f"{module} did not start"
        yield Server(process, announcement)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def booth() -> Iterator[Server]:
    """Give a booth with 12 made-up offerings; a test that changes something changes what it listed itself."""
    with started("booth", "--count", "12", "--seed", "7") as server:
        yield server


@pytest.fixture(scope="session")
def lenient_booth() -> Iterator[Server]:
    """Give a booth that does what real ones do not: it delists, replaces descriptions, and sends entity tags."""
    with started("booth", "--count", "3", "--seed", "7", "--lenient") as server:
        yield server


@pytest.fixture(scope="session")
def shared_node() -> Iterator[Server]:
    with started("node", "--body-limit", "2000000", "--query-timeout", "3") as server:
        yield server


@pytest.fixture
def node(shared_node: Server) -> Server:
    """Give a catalogue node that is empty and well."""
    assert shared_node.put("/faults", json={}).status_code == 200
    emptied = shared_node.put("data", data=b"", headers={"Content-Type": "application/n-quads"})
    assert emptied.status_code == 204
    return shared_node
