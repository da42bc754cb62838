"""Finds nodes that are one and the same store, reached by two addresses.

``http://localhost:3030/ds`` and ``http://127.0.0.1:3030/ds`` are one store, and so are two names of one server behind a proxy.
Two copies there would be one, and a delete on one node would take the copy of the other. No address tells that for sure. So
each node that comes up gets a small graph of Catena's for a moment, and all nodes are asked for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from topology.clients.node import GraphWrite, NodeClient
from topology.rdf.graph_name import MARKERS
from topology.rdf.offering_graph import OFFERING, digest

_REQUESTS_AT_ONCE = 16
_MARKERS_A_QUERY = 100

Result = TypeVar("Result")


class _Marker(NamedTuple):
    """A graph that stands on one store alone."""

    graph: str
    triples: str

    @property
    def digest(self) -> str:
        return digest(self.triples)


class SameStores:
    """Compares nodes as they come up. One thread uses it; the requests have threads of their own.

    Args:
        interval: Seconds between two comparisons of a node that was found to be the store of another one.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._compared: dict[str, NodeClient] = {}
        self._same: dict[str, str] = {}
        self._began = 0.0
        self._running: Future[dict[str, set[str]]] | None = None
        self._marked: dict[str, NodeClient] = {}
        self._order: list[str] = []
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="stores")
        self._workers = ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="store")

    def follow(self, nodes: Mapping[str, NodeClient], placed: Collection[str], now: float) -> None:
        """Take the result of the last comparison, and begin the next one if nodes have come up.

        Args:
            nodes: The clients of the nodes that answer, by id; of two that are one store, the earlier one is used. A node that
                has fallen silent in between has another client.
            placed: The nodes that have a place on the ring, though they may be silent for a while.
            now: The time, in seconds on any clock that does not go back.
        """
        if self._running is not None:
            if not self._running.done():
                return
            ended, self._running = self._running, None
            self._take_over(ended.result())
        due = {node: client for node, client in nodes.items() if self._is_due(node, client, nodes, placed, now)}
        if due:
            self._began, self._marked = now, due
            self._order = [node for node in nodes if node not in due] + list(due)
            self._running = self._starter.submit(self._compare, due, dict(nodes))

    def has_compared(self, node: str, client: NodeClient | None) -> bool:
        """Tell whether a node has been compared since it came up with this client."""
        return client is not None and self._compared.get(node) is client

    def same_as(self, node: str) -> str:
        """Return the node whose store a node is; empty if it is a store of its own."""
        return self._same.get(node, "")

    def close(self) -> None:
        """Begin no further comparison; requests under way are not waited for."""
        self._starter.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _is_due(
        self, node: str, client: NodeClient, nodes: Collection[str], placed: Collection[str], now: float
    ) -> bool:
        twin = self._same.get(node)
        if twin in placed and twin not in nodes:
            return False  # its place waits for it
        has_come_up = self._compared.get(node) is not client
        return has_come_up or (twin is not None and (twin not in nodes or now - self._began >= self._interval))

    def _take_over(self, shown_by: Mapping[str, set[str]]) -> None:
        kept: list[str] = []
        for node in self._order:
            if node in self._marked:
                self._compared[node] = self._marked[node]
                self._same.pop(node, None)
                same = [one for one in kept if one in shown_by[node] or node in shown_by.get(one, ())]
                if same:
                    self._same[node] = same[0]
                    continue
            if node not in self._same:
                kept.append(node)

    # In the threads of requests. A node may break its client in any way.

    def _compare(self, marked: Mapping[str, NodeClient], asked: Mapping[str, NodeClient]) -> dict[str, set[str]]:
        """Return, for each marked node, the other nodes that show its marker."""
        shown_by: dict[str, set[str]] = {node: set() for node in marked}
        if len(asked) < 2:
            return shown_by
        markers = {node: _new_marker(node, client) for node, client in marked.items()}
        try:
            self._each(lambda node: _put(marked[node], markers[node]), marked)
            for asked_node, shown in self._each(lambda node: _shown(asked[node], markers), asked).items():
                for node in shown - {asked_node}:
                    shown_by[node].add(asked_node)
        finally:
            self._each(lambda node: _delete(marked[node], markers[node].graph), marked)
        return shown_by

    def _each(self, request: Callable[[str], Result], nodes: Iterable[str]) -> dict[str, Result]:
        waiting = {node: self._workers.submit(request, node) for node in nodes}
        return {node: future.result() for node, future in waiting.items()}


def _new_marker(node: str, client: NodeClient) -> _Marker:
    # The name is the same each time, so that one that a crash has left behind goes with the next one.
    graph = MARKERS + hashlib.sha256(node.encode()).hexdigest()[:32]
    lines = [f"<{graph}> <http://purl.org/dc/terms/identifier> <{uuid.uuid4().urn}> .\n"]
    if client.keeps_offerings_only:
        lines.append(f"<{graph}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{OFFERING}> .\n")
    return _Marker(graph, "".join(sorted(lines)))


def _put(client: NodeClient, marker: _Marker) -> None:
    """Put a marker; a node that takes none counts as a store of its own."""
    with contextlib.suppress(Exception):
        if client.takes_batches:
            client.write([GraphWrite(*marker)])
        else:
            client.put(*marker)


def _delete(client: NodeClient, graph: str) -> None:
    for _ in range(2):
        with contextlib.suppress(Exception):
            client.delete(graph)
            return


def _shown(client: NodeClient, markers: Mapping[str, _Marker]) -> set[str]:
    """Return the nodes whose markers a node shows."""
    found: set[str] = set()
    nodes = sorted(markers)
    for start in range(0, len(nodes), _MARKERS_A_QUERY):
        some = nodes[start : start + _MARKERS_A_QUERY]
        with contextlib.suppress(Exception):
            digests = client.digests(markers[node].graph for node in some)
            found |= {node for node in some if digests.get(markers[node].graph) == markers[node].digest}
    return found
