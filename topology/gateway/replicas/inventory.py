"""The graphs on each node, as the nodes list them: the only word of graphs that the catalogue did not place."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from catena_core.monitoring.logs import LinkLogger
from catena_core.text import bounded, redacted
from federation.fetching.result_formats import TSV, is_bounded, opened, read_table
from federation.fetching.terms import iri, is_name, readable
from topology.clients.http import Access, UnsafeError, WebClient, WebError, shown_url
from topology.clients.node import with_parameter
from topology.clients.node_status import FailedError
from topology.gateway.periodic_task import PeriodicTask
from topology.rdf.graph_name import MARKERS
from topology.records import Node
from topology.ring import RingView

# An emptied replica must not count, and Oxigraph, unlike Jena, keeps a graph without triples. Both servers answer the first
# query two to three times as fast as the second, which is for servers that match no graph with an empty pattern.
_QUERIES = (
    "SELECT DISTINCT ?g WHERE { GRAPH ?g {} FILTER EXISTS { GRAPH ?g { ?s ?p ?o } } }",
    "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }",
)
_OTHERS = (
    "application/sparql-results+json;q=0.9, application/json;q=0.8, application/sparql-results+xml;q=0.5, "
    "application/xml;q=0.4"
)
_MARKER = f"<{MARKERS}".encode()
_MOST_BYTES = 64 * 1024 * 1024
_SHORTEST_PAUSE = 5.0
_PAUSE_FACTOR = 20
_PAUSE_WHILE_DOWN = 3600.0
_LONGEST_PROBLEM = 400
# Queries that bypass all caches wait for a list from nodes that have made the last one in this time, in seconds, and so long.
_QUICK = 0.25
_LONGEST_REFRESH = 1.0


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
        access: The nodes that it may ask, and the credentials for them.
    """

    def __init__(
        self,
        timeout: float,
        logger: LinkLogger,
        on_change: Callable[[], None] = lambda: None,
        shortest_pause: float = _SHORTEST_PAUSE,
        access: Access | None = None,
    ) -> None:
        self._web = WebClient(timeout, _MOST_BYTES, access)
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
                if polled is None or polled.sparql_url != node.sparql_url:
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

    def refresh(self) -> None:
        """Ask all nodes that are up and list their graphs quickly once more, and wait for their answers."""
        with self._lock:
            polled_nodes = [polled for polled in self._nodes.values() if polled.is_up and polled.is_quick]
        started = time.monotonic()
        for polled in polled_nodes:
            polled.wake()
        for polled in polled_nodes:
            polled.wait_for_poll_since(started, _LONGEST_REFRESH - (time.monotonic() - started))

    def unlisted(self, after: float) -> dict[str, str]:
        """Return, for each node that is up and has not listed its graphs for so many seconds, the reason."""
        with self._lock:
            polled_nodes = list(self._nodes.items())
        earliest = time.monotonic() - after
        return {
            name: problem
            for name, polled in polled_nodes
            if polled.is_up and (problem := polled.problem) and polled.failing_since <= earliest
        }

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
        self.sparql_url = node.sparql_url
        self._id = node.id
        self._web = web
        self._logger = logger
        self._on_change = on_change
        self._shortest_pause = shortest_pause
        self._came_up = -1  # an epoch of the ring; -1 while the node is not up
        self._asked_at = -1  # the epoch in which it had come up when it was last asked
        self.problem = ""  # the reason why it has not listed its graphs, and since when
        self.failing_since = 0.0
        self._last = NodeGraphs(is_current=False)
        self._digest = b""
        self._accept = f"{TSV}, {_OTHERS}"
        self._polled = threading.Condition()
        self._began = self._took = 0.0
        self._task = PeriodicTask(self._poll, f"listing {node.id}")

    @property
    def is_quick(self) -> bool:
        return self._took <= _QUICK

    def wake(self) -> None:
        self._task.wake()

    def wait_for_poll_since(self, since: float, timeout: float) -> None:
        """Wait until a poll has ended that began after a time, by ``time.monotonic()``."""
        with self._polled:
            self._polled.wait_for(lambda: self._began >= since or self._task.stopped, max(timeout, 0.0))

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
            self.problem = ""
        except (WebError, UnsafeError) as error:
            said = f"does not say which graphs it holds: {redacted(str(error))}"
            if not self.problem:
                self._logger.log(f"{self._id} {said}", level="warning")
                self.failing_since = started
            self.problem = bounded(f"it {said}", _LONGEST_PROBLEM)
        first = self._asked_at != came_up
        self._asked_at = came_up
        if (changed or first) and not self._task.stopped:
            self._on_change()
        with self._polled:
            self._began, self._took = started, time.monotonic() - started
            self._polled.notify_all()
        return pause_after(self._took, self._shortest_pause)

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
                digest = hashlib.blake2b(body, digest_size=16).digest()
                if digest == self._digest and self._last.graphs:
                    graphs = self._last.graphs
                    break
                graphs = self._read(content_type, body)
            except FailedError as error:
                problem = problem or error
                continue
            if graphs:
                break
        if graphs is None:
            assert problem is not None
            raise problem
        before = self._last.graphs
        self._digest = digest
        self._last = NodeGraphs(before if graphs == before else graphs, began)
        return graphs != before

    def _read(self, content_type: str, body: bytes) -> frozenset[str]:
        try:
            return read_graphs(content_type, body)
        except FailedError:
            raise
        except WebError:
            self._accept = _OTHERS  # some servers write odd TSV
            raise

    def _query(self, query: str) -> tuple[str, bytes]:
        url = with_parameter(self.sparql_url, "query", query)
        try:
            response = self._web.request("GET", url, headers={"Accept": self._accept})
        except WebError as error:
            raise WebError(str(error).replace(shown_url(url), shown_url(self.sparql_url))) from error
        if response.status != 200:
            raise FailedError(f"status {response.status}: {response.excerpt()}")
        content_type = response.headers.get("content-type", "")
        if (
            self._accept != _OTHERS
            and not is_bounded(response.headers)
            and opened(content_type, response.body)[0] == TSV
        ):
            self._accept = _OTHERS
            return self._query(query)
        return content_type, response.body


def pause_after(took: float, shortest: float) -> float:
    """Return the seconds from one list to the next, so that a node spends at most a twentieth of its time on lists.

    Args:
        took: Seconds that the list took, successful or not.
        shortest: The shortest pause, in seconds.
    """
    return max(shortest, _PAUSE_FACTOR * took)


def read_graphs(content_type: str, body: bytes) -> frozenset[str]:
    """Read the names of graphs from SPARQL results with one column.

    Blank nodes name no graph that a query can read. Markers stand for a moment only.

    Args:
        content_type: The media type of the results.
        body: The results.

    Raises:
        FailedError: No row of the table has a name: RDF4J answers so to an empty pattern in any graph.
        WebError: The body is not such a table.
    """
    media_type, body = opened(content_type, body)
    try:
        if media_type == TSV:
            head, end, rows = body.replace(b"\r\n", b"\n").partition(b"\n")
            if head not in (b"?g", b"g"):
                raise WebError("the list is no table with one column")
            if not end or (rows and not rows.endswith(b"\n")):
                raise WebError("the list breaks off")
        else:
            rows = read_table(media_type, body, ["g"])
        # Most graphs are on several nodes, which share one string for each.
        if rows and not rows.strip():
            raise FailedError("the list has rows without a name")
        terms = (line.rstrip(b"\n") for line in io.BytesIO(rows))
        return frozenset(sys.intern(iri(term)) for term in terms if term and _is_iri(term))
    except ValueError as error:
        raise WebError(f"the list is no table of SPARQL results: {error}") from error


def _is_iri(term: bytes) -> bool:
    """Return whether a graph has an IRI as its name, not a blank node, and is no marker of Catena's.

    Raises:
        ValueError: No graph can have this name.
    """
    if not is_name(readable(term, lambda blank: blank)):
        raise ValueError(f"{term[:100]!r} is no name of a graph")
    return term.startswith(b"<") and not term.startswith(_MARKER)
