"""Runs `catena up` against a ledger and nodes, as an operator would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import requests

from tests.helpers.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
REAL_OFFERINGS = ROOT.parent / "shared" / "data" / "offerings_100.jsonld"


@contextlib.contextmanager
def server(module, prefix, *arguments):
    """Run a sandbox server as a process; yield its URL and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", "0", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert line.startswith(prefix), line
        yield line.removeprefix(prefix).strip(), process
    finally:
        process.kill()
        process.wait()


class Up:
    """A running `catena up`."""

    def __init__(self, arguments=(), directory=ROOT, **variables):
        environment = {name: value for name, value in os.environ.items() if name != "KAFKA_ENDPOINT"}
        environment.update(
            HOST_ADDRESS="127.0.0.1",
            HOST_PORT="0",
            OFFERING_FETCH_INTERVAL="0.5",
            NODE_HEALTH_CHECK_INTERVAL="0.5",
            NODE_TIMEOUT="2",
            NODE_GRACE_PERIOD="2.5",
            SUBPROCESS_HEALTH_CHECK_INTERVAL="0.5",
            **variables,
        )
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "topology.cli", "up", *arguments],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def output(self):
        return "\n".join(self.lines)

    def found(self, pattern, timeout=600.0):
        """Wait for a line that matches, and return its first group."""

        def look():
            for line in list(self.lines):
                if match := re.search(pattern, line):
                    return match.group(match.lastindex or 0)
            assert self.process.poll() is None, f"catena up ended:\n{self.output()}"
            return None

        return eventually(look, timeout, lambda: f"no line like {pattern}:\n{self.output()}")

    @property
    def gateway(self):
        return self.found(r"^gateway: (\S+)")

    def pid_of(self, module):
        """Find the process id of a link or server that this runner started."""
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and module in (folder / "cmdline").read_text().split("\0"):
                    return int(folder.name)
        return None

    def ask(self, query, accept="application/sparql-results+json", **parameters):
        return requests.post(
            f"{self.gateway}/sparql", data={"query": query, **parameters}, headers={"Accept": accept}, timeout=60
        )

    def stop(self, number=signal.SIGINT):
        """Stop it as Ctrl-C does; returns its status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def catalogue_list(path: Path, urls: list[str]) -> str:
    """Write a list of nodes; returns the file's name."""
    entries = {
        f"node_{number}": {"id": f"node_{number}", "base_url": url.rpartition("/")[0], "catalogue_url": url}
        for number, url in enumerate(urls, 1)
    }
    path.write_text(json.dumps(entries))
    return str(path)


def graphs_of(node):
    """Ask a node for the names of the graphs that it holds."""
    query = "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }"
    answer = requests.post(
        f"{node}/sparql", data={"query": query}, headers={"Accept": "application/sparql-results+json"}, timeout=30
    )
    answer.raise_for_status()
    return {binding["g"]["value"] for binding in answer.json()["results"]["bindings"]}


def graph_of(node, iri):
    """Ask a node for the content of one graph, as N-Triples."""
    query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{iri}> {{ ?s ?p ?o }} }}"
    answer = requests.get(
        f"{node}/sparql?query={quote(query)}", headers={"Accept": "application/n-triples"}, timeout=30
    )
    answer.raise_for_status()
    return answer.content
