"""Comunica (https://comunica.dev) over the same graphs: what it answers, whether that is right, and how long it takes."""

from __future__ import annotations

import json
import queue
import re
import shutil
import statistics
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from federation import skolem
from tests.bench.federation.checking import read, size
from tests.bench.federation.client import Client, Reply
from tests.bench.federation.queries import Query, Words
from tests.differential.reference import Result
from tests.servers.cache import cached

PACKAGE, VERSION = "@comunica/query-sparql", "5.4.1"
TIMEOUT = 10.0
"""Seconds until it is taken to have given up on a query."""

REPETITIONS = 3

# It depends on undici 8, which does not load on Node.js before 22; undici 7 does, and has all that it uses.
_NODE_WITH_UNDICI_8 = 22
_UNDICI_BEFORE = "7.16.0"
_INSTALL_TIMEOUT = 600
_START_TIMEOUT = 60.0
_RUNNER = Path(__file__).with_name("comunica.mjs")
_SKOLEM_IRI = re.compile(f"^<{re.escape(skolem.PREFIX)}([0-9a-z]+)/([0-9a-z]+)>$")
_WARM_UP = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s a ?type } ?s a ?type }"

Verdict = Literal["right", "wrong", "gave up"]


class UnavailableError(Exception):
    """Comunica cannot be had here; the message says why."""


@dataclass(frozen=True)
class Found:
    """What Comunica did with a query.

    Attributes:
        verdict: Whether its answers were those of one store.
        seconds: The median of its times; ``None`` where it gave up.
        told: What is wrong, or why it gave up.
    """

    verdict: Verdict
    seconds: float | None
    told: str


class Comunica:
    """One process of Comunica, started anew after a query that it was still busy with.

    Args:
        endpoints: The SPARQL endpoints that it puts together.

    Raises:
        UnavailableError: It cannot be had here.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._node = _program("node")
        self._folder = _installed(_major(self._node))
        self._endpoints = endpoints
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    @property
    def version(self) -> str:
        """Its version, and what it runs on."""
        told = subprocess.run([self._node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        undici = f", with undici {_UNDICI_BEFORE} in place of 8" if _major(self._node) < _NODE_WITH_UNDICI_8 else ""
        return f"{PACKAGE} {VERSION}{undici}, Node.js {told}"

    def ask(self, query: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Its answer: ``type`` and ``body``, or ``error``; with ``seconds``.

        Raises:
            TimeoutError: None came in time; what it was doing is stopped.
        """
        if self._process is None:
            self._start()
        return self._ask(query, timeout)

    def close(self) -> None:
        """Stop it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [self._node, str(_RUNNER), str(self._folder), *self._endpoints],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=_read_lines, args=(self._process, self._lines), daemon=True).start()
        self._ask(_WARM_UP, _START_TIMEOUT)

    def _ask(self, query: str, timeout: float) -> dict[str, Any]:
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(json.dumps(query) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.close()
            raise TimeoutError(f"no answer within {timeout:g} s") from None
        except OSError:
            line = ""
        if not line:
            self.close()
            return {"error": "its process ended", "seconds": 0.0}
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def comunica(endpoints: Sequence[str]) -> Iterator[Comunica]:
    """Comunica over these endpoints for the length of a block.

    Raises:
        UnavailableError: It cannot be had here.
    """
    running = Comunica(endpoints)
    try:
        yield running
    finally:
        running.close()


def measure(
    asked: Comunica, single: Client, queries: Sequence[Query], words: Words, told: Callable[[str], None]
) -> dict[str, Found]:
    """Ask Comunica every query in some variants, and compare its answers with the single store's.

    Args:
        asked: Comunica.
        single: The single store.
        queries: What is asked.
        words: What variants are made of.
        told: Called for each query.
    """
    found = {}
    for query in queries:
        one = found[query.name] = _measure(asked, single, query, words)
        seconds = "" if one.seconds is None else f" {one.seconds * 1000:,.0f} ms"
        told(f"Comunica, {query.name}: {one.verdict}{seconds} {one.told}")
    return found


def _measure(asked: Comunica, single: Client, query: Query, words: Words) -> Found:
    times = []
    verdict: Verdict = "right"
    told = ""
    for number in range(REPETITIONS):
        text = query.variant(number, words)
        try:
            answer = asked.ask(text)
        except TimeoutError as error:
            return Found("gave up", None, str(error))
        if "error" in answer:
            return Found("gave up", None, answer["error"])
        times.append(answer["seconds"])
        try:
            reply = Reply(answer["seconds"], 200, answer["type"], _standard(answer["type"], answer["body"]), "")
        except ValueError as error:
            return Found("gave up", None, f"its answer breaks off: {error}")
        differs = difference(read(query, single.ask(text)), read(query, reply), query.ordered)
        if differs:
            verdict, told = "wrong", differs
    return Found(verdict, statistics.median(times), told)


def _standard(content_type: str, body: str) -> bytes:
    """Strip an answer of its number of requests, which Comunica adds to SPARQL's JSON and pyoxigraph does not read.

    Raises:
        ValueError: It is not whole.
    """
    if content_type != "application/sparql-results+json":
        return body.encode()
    told = json.loads(body)
    told.pop("metadata", None)
    return json.dumps(told).encode()


def difference(expected: Result, found: Result, ordered: bool) -> str:
    """How its answer differs; it knows nothing of the IRIs that stand for blank nodes, which is no mistake of its own."""
    found.rows = [tuple(text and _SKOLEM_IRI.sub(r"_:b\1\2", text) for text in row) for row in found.rows]
    if size(expected) == size(found) == 0 or expected.same(found, ordered=ordered):
        return ""
    if size(expected) != size(found):
        return f"{size(found):,} rows in place of {size(expected):,}"
    surplus, lacking = _surplus(found, expected), _surplus(expected, found)
    if not surplus or not lacking:
        return "the right rows, in another order"
    return f"for instance {surplus} in place of {lacking}"


def _surplus(one: Result, other: Result) -> str:
    """Something that one answer has, and the other has not or less often."""
    if one.graph is not None and other.graph is not None:
        return " ".join(map(str, next(iter(one.graph - other.graph), ())))[:150]
    return " ".join(map(str, next(iter(Counter(one.rows) - Counter(other.rows)), ())))[:150]


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UnavailableError(f"there is no program {name} on this machine; Comunica needs Node.js")
    return path


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.strip().lstrip("v").split(".")[0])


def _installed(major: int) -> Path:
    npm = _program("npm")
    overrides = {"undici": _UNDICI_BEFORE} if major < _NODE_WITH_UNDICI_8 else {}

    def fetch(folder: Path) -> None:
        wanted = {"private": True, "dependencies": {PACKAGE: VERSION}, "overrides": overrides}
        (folder / "package.json").write_text(json.dumps(wanted))
        subprocess.run(
            [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT,
            check=True,
        )

    try:
        return cached(f"comunica-{VERSION}-node{major}", f"{PACKAGE} {VERSION} (110 MB)", fetch)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"npm did not install {PACKAGE} {VERSION} within {_INSTALL_TIMEOUT} s") from None
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or error.stdout).strip().splitlines() or ["nothing"]
        raise UnavailableError(f"npm does not install {PACKAGE} {VERSION}; it says: {said[-1][:200]}") from error
