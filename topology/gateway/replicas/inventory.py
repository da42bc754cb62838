"""The graphs on each node, as the nodes list them: the only word of graphs that the catalogue did not place."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

import pyoxigraph

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import FailedError
from topology.gateway.periodic_task import PeriodicTask
from topology.records import Node
from topology.ring import RingView

# An emptied replica must not count, and Oxigraph, unlike Jena, keeps a graph without triples. Both servers answer the first
# query two to three times as fast as the second, which is for servers that match no graph with an empty pattern.
_QUERIES = (
    "SELECT DISTINCT ?g WHERE { GRAPH ?g {} FILTER EXISTS { GRAPH ?g { ?s ?p ?o } } }",
    "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }",
)
_ACCEPT = "text/tab-separated-values, application/sparql-results+json;q=0.9, application/sparql-results+xml;q=0.5"
_MOST_BYTES = 64 * 1024 * 1024
_SHORTEST_PAUSE = 5.0
_PAUSE_FACTOR = 20
_PAUSE_WHILE_DOWN = 3600.0


class NodeGraphs(NamedTuple):
    """The graphs on one node.

    Attributes:
        graphs: The graphs in its last list; ``None`` if it has never listed any.
        began: When it was asked for that list, by ``time.monotonic()``.
        is_current: Whether it has been asked since it came up, whatever it answered.
    """

    graphs: frozenset[str] | None = None
    began: float = 0.0
    is_current: bool = True


GraphsByNode = Mapping[str, NodeGraphs]
"""The graphs on each node of the ring, by the node's id."""


class GraphInventory:
    """Asks each node for its graphs, first when it comes up and then periodically.

    Each node has a thread of its own, so a node that hangs delays no other. The last list of a node is kept while it does not
    answer.

    Args:
        timeout: Seconds that a node may take to answer.
        logger: Logs nodes that cannot be listed.
        on_change: Called, in the node's thread, after the graphs of a node have changed and after the first list since it
            came up.
        shortest_pause: Seconds between two lists of a node, at least.
    """

    def __init__(
        self,
        timeout: float,
        logger: LinkLogger,
        on_change: Callable[[], None] = lambda: None,
        shortest_pause: float = _SHORTEST_PAUSE,
    ) -> None:
        self._web = WebClient(timeout, _MOST_BYTES)
        self._logger = logger
        self._on_change = on_change
        self._shortest_pause = shortest_pause
        self._lock = threading.Lock()
        self._nodes: dict[str, _PolledNode] = {}
        self._epoch = 0

    def follow(self, ring: RingView) -> None:
        """Poll the nodes of a ring that are up, starting at once with those that have just come up; drop all others."""
        with self._lock:
            if ring.epoch < self._epoch:
                return  # another thread has brought a newer ring
            self._epoch = ring.epoch
            for node in ring.nodes.values():
                polled = self._nodes.get(node.id)
                if polled is None or polled.url != node.url:
                    if polled is not None:
                        polled.stop()
                    polled = self._nodes[node.id] = _PolledNode(
                        node, self._web, self._logger, self._on_change, self._shortest_pause
                    )
                polled.follow(node)
            for gone in self._nodes.keys() - ring.nodes.keys():
                self._nodes.pop(gone).stop()

    def graphs_by_node(self) -> GraphsByNode:
        """Return the graphs on each node."""
        with self._lock:
            return {name: polled.node_graphs for name, polled in self._nodes.items()}

    def is_complete(self) -> bool:
        """Tell whether every node that is up has been asked since it came up."""
        with self._lock:
            return all(polled.node_graphs.is_current or not polled.is_up for polled in self._nodes.values())

    def close(self) -> None:
        """Stop polling."""
        with self._lock:
            for polled in self._nodes.values():
                polled.stop()


class _PolledNode:
    """One node and its last list."""

    def __init__(
        self, node: Node, web: WebClient, logger: LinkLogger, on_change: Callable[[], None], shortest_pause: float
    ) -> None:
        self.url = node.url
        self._id = node.id
        self._web = web
        self._logger = logger
        self._on_change = on_change
        self._shortest_pause = shortest_pause
        self._came_up = -1  # an epoch of the ring; -1 while the node is not up
        self._asked_at = -1  # the epoch in which it had come up when it was last asked
        self._has_warned = False
        self._last = NodeGraphs(is_current=False)
        self._digest = b""
        self._task = PeriodicTask(self._poll, f"listing {node.id}")

    @property
    def is_up(self) -> bool:
        return self._came_up >= 0

    @property
    def node_graphs(self) -> NodeGraphs:
        # In this order, so that the list is never older than is_current claims.
        is_current = self.is_up and self._came_up == self._asked_at
        return self._last._replace(is_current=is_current)

    def follow(self, node: Node) -> None:
        came_up = node.since if node.state == "up" else -1
        if came_up != self._came_up:
            self._came_up = came_up
            self._task.wake()
            if self.is_up:
                self._task.start()

    def stop(self) -> None:
        self._task.stop()

    def _poll(self) -> float:
        came_up = self._came_up
        if not self.is_up:
            return _PAUSE_WHILE_DOWN  # follow() wakes the task when the node is up
        started = time.monotonic()
        changed = False
        try:
            changed = self._ask(started)
            self._has_warned = False
        except (WebError, UnsafeError) as error:
            if not self._has_warned:
                self._logger.log(f"{self._id} does not say which graphs it holds: {error}", level="warning")
            self._has_warned = True
        first = self._asked_at != came_up
        self._asked_at = came_up
        if (changed or first) and not self._task.stopped:
            self._on_change()
        return pause_after(time.monotonic() - started, self._shortest_pause)

    def _ask(self, began: float) -> bool:
        """Ask the node once.

        Returns:
            Whether its graphs have changed.
        """
        graphs: frozenset[str] | None = None
        problem: FailedError | None = None
        for query in _QUERIES:
            try:
                content_type, body = self._query(query)
            except FailedError as error:
                problem = problem or error
                continue
            digest = hashlib.blake2b(body, digest_size=16).digest()
            if digest == self._digest and self._last.graphs:
                graphs = self._last.graphs
                break
            graphs = read_graphs(content_type, body)
            if graphs:
                break
        if graphs is None:
            assert problem is not None
            raise problem
        before = self._last.graphs
        self._digest = digest
        self._last = NodeGraphs(before if graphs == before else graphs, began)
        return graphs != before

    def _query(self, query: str) -> tuple[str, bytes]:
        response = self._web.request("GET", f"{self.url}/sparql?query={quote(query)}", headers={"Accept": _ACCEPT})
        if response.status != 200:
            raise FailedError(f"status {response.status}: {response.body[:200].decode(errors='replace')}")
        return response.headers.get("content-type", ""), response.body


def pause_after(took: float, shortest: float) -> float:
    """Return the seconds from one list to the next, so that a node spends at most a twentieth of its time on lists.

    Args:
        took: Seconds that the list took, successful or not.
        shortest: The shortest pause, in seconds.
    """
    return max(shortest, _PAUSE_FACTOR * took)


def read_graphs(content_type: str, body: bytes) -> frozenset[str]:
    """Read the IRIs from SPARQL results with one column; other terms name no graph that a query can read.

    Args:
        content_type: The media type of the results.
        body: The results.

    Raises:
        WebError: The body is not such a table.
    """
    media_type = content_type.split(";")[0].strip().lower()
    results_format = pyoxigraph.QueryResultsFormat.from_media_type(media_type)
    if results_format is None:
        raise WebError(f"the list comes as {media_type or 'nothing that is known'}, not as SPARQL results")
    try:
        solutions = pyoxigraph.parse_query_results(body, results_format)
        if not isinstance(solutions, pyoxigraph.QuerySolutions) or len(solutions.variables) != 1:
            raise WebError("the list is no table with one column")
        terms = (solution[0] for solution in solutions)
        # Most graphs are on several nodes, which share one string for each.
        return frozenset(sys.intern(term.value) for term in terms if isinstance(term, pyoxigraph.NamedNode))
    except (SyntaxError, ValueError) as error:
        raise WebError(f"the list is no table of SPARQL results: {error}") from error
