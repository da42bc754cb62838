"""Many clients at once, in a process of their own.

    python -m tests.bench.federation.load < JSON

All clients live in one thread, each with a connection of its own: the process shares the machine with those whom it measures,
so it must cost little.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pycurl

from tests.bench.federation.client import ACCEPT

ROOT = Path(__file__).resolve().parents[3]
_REQUEST_TIMEOUT = 120  # seconds


class Task(msgspec.Struct):
    """What is to be done.

    Attributes:
        url: The SPARQL endpoint.
        clients: How many ask at the same time.
        seconds: For how long.
        queries: What is asked, in this order; from the beginning again when all have been.
        headers: Sent with each query.
    """

    url: str
    clients: int
    seconds: float
    queries: list[str]
    headers: list[str] = []


class Load(msgspec.Struct):
    """What came of it.

    Attributes:
        seconds: How long it took.
        answers: How many answers came in that time.
        errors: How many requests failed, those that ended after that time among them.
        error: The first error.
        latencies: Seconds of each answer, in ascending order.
    """

    seconds: float
    answers: int
    errors: int
    error: str
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds

    def quantile(self, part: float) -> float:
        """Seconds within which this part of the answers came."""
        return self.latencies[min(int(part * len(self.latencies)), len(self.latencies) - 1)] if self.latencies else 0.0


def run(task: Task) -> Load:
    """Do it in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.federation.load"],
        cwd=ROOT,
        input=msgspec.json.encode(task),
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Load)


class _Client:
    """One of the clients: a connection, and what came over it last."""

    def __init__(self, task: Task) -> None:
        self.curl = curl = pycurl.Curl()
        self._body = bytearray()
        self._completeness = b""
        curl.setopt(pycurl.URL, task.url)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HTTPHEADER, [f"Accept: {ACCEPT}", "Expect:", *task.headers])
        curl.setopt(pycurl.WRITEFUNCTION, self._body.extend)
        curl.setopt(pycurl.HEADERFUNCTION, self._header)
        curl.setopt(pycurl.TIMEOUT, _REQUEST_TIMEOUT)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.NOPROXY, "*")

    def begin(self, query: str) -> None:
        self._body.clear()
        self._completeness = b""
        self.curl.setopt(pycurl.POSTFIELDS, urlencode({"query": query}))

    def error(self) -> str:
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status != 200:
            return f"status {status}: {self._body[:300].decode(errors='replace')}"
        if self._completeness not in (b"", b"complete"):
            return f"the answer is {self._completeness.decode(errors='replace')}"
        return "" if self._body else "the answer is empty"

    def _header(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name.lower() == b"catena-completeness":
            self._completeness = value.strip()


def ask(task: Task) -> Load:
    """Ask until the time is over."""
    multi = pycurl.CurlMulti()
    load = Load(0.0, 0, 0, "", [])
    texts = itertools.cycle(task.queries)
    clients = {client.curl: client for client in (_Client(task) for _ in range(task.clients))}
    started = time.perf_counter()
    until = started + task.seconds
    for client in clients.values():
        client.begin(next(texts))
        multi.add_handle(client.curl)
    busy = len(clients)
    while busy:
        multi.perform()
        ended = list(_ended(multi))
        for curl, failure in ended:
            now = time.perf_counter()
            error = failure or clients[curl].error()
            if error:
                load.errors += 1
                load.error = load.error or error
            elif now <= until:
                load.answers += 1
                load.latencies.append(curl.getinfo(pycurl.TOTAL_TIME))
            multi.remove_handle(curl)
            if now < until:
                clients[curl].begin(next(texts))
                multi.add_handle(curl)
            else:
                busy -= 1
        if not ended:  # else new requests are to be sent first
            multi.select(0.1)
    load.seconds = task.seconds
    load.latencies.sort()
    return load


def _ended(multi: pycurl.CurlMulti) -> Iterator[tuple[pycurl.Curl, str]]:
    left = 1
    while left:
        left, good, bad = multi.info_read()
        yield from ((curl, "") for curl in good)
        yield from ((curl, message) for curl, _, message in bad)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(ask(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))))
