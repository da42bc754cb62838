"""Real nodes with the graphs of the differential tests on them: two copies of each, and what goes wrong in real life."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

import urllib3

from tests.differential.graphs import EX, PREFIXES, graphs, provided
from topology.federation.sources import Snapshot, Source

STALE = PREFIXES + ":o0 a :Offering ; :title 'an old title' ; :theme :t9 ; :provider :p9 ; :next :o5 ."
DELETED = PREFIXES + ":o99 a :Offering ; :title 'deleted' ; :theme :t0 ; :provider :p0 ; :next :o0 ."
DELETED_GRAPH = f"{EX}graph/deleted"


class Catalogue:
    """Graphs on nodes.

    The first node has a stale copy of one graph, the second a copy of a deleted graph, and the last the graphs that its
    provider put there, which no other node has.

    Args:
        nodes: The nodes' endpoints.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        self.sources = tuple(Source(f"node{n}", f"{url}/sparql") for n, url in enumerate(nodes))
        self.owners: dict[str, tuple[str, ...]] = {}
        self._client = urllib3.PoolManager()
        for n, (name, turtle) in enumerate(graphs().items()):
            owners = (n % len(nodes), (n + 1) % len(nodes))
            self.owners[name] = tuple(f"node{owner}" for owner in owners)
            for owner in owners:
                self._put(nodes[owner], name, turtle)
        self.stale = next(name for name, owners in self.owners.items() if "node0" not in owners)
        self._put(nodes[0], self.stale, STALE)
        self._put(nodes[1], DELETED_GRAPH, DELETED)
        for name, turtle in provided().items():
            self._put(nodes[-1], name, turtle)

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        """Each graph from its first owner that is not avoided."""
        holders = {
            name: next((owner for owner in owners if owner not in avoided), "nobody")
            for name, owners in self.owners.items()
        }
        sources = tuple(source for source in self.sources if source.id not in avoided)
        return Snapshot(sources, holders, frozenset({DELETED_GRAPH}), tuple(sorted(avoided)))

    def _put(self, node: str, name: str, turtle: str) -> None:
        address = f"{node}/data?graph={quote(name, safe='')}"
        answer = self._client.request("PUT", address, body=turtle.encode(), headers={"Content-Type": "text/turtle"})
        assert answer.status in (200, 201, 204), (answer.status, answer.data[:300])


def everything() -> Mapping[str, str]:
    """What one store would hold."""
    return {**graphs(), **provided()}


@contextmanager
def sandbox_nodes(count: int) -> Iterator[list[str]]:
    """Sandbox nodes as processes; their endpoints."""
    with ExitStack() as stack:
        processes = [stack.enter_context(_sandbox_node()) for _ in range(count)]
        yield [_endpoint(process) for process in processes]


@contextmanager
def _sandbox_node() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "topology.sandbox.node", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()


def _endpoint(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline().split()
    assert line[:1] == ["node"], f"the sandbox node says {line} where its address was expected"
    return line[1]
