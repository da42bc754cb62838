"""Which graphs each node holds, as the nodes themselves say, so that what nobody placed is known as well."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import quote

import pyoxigraph

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import FailedError
from topology.gateway.periodic_task import Turns
from topology.gateway.replicas.unmanaged import Listing, Listings
from topology.records import Node
from topology.ring import RingView

# A copy that was emptied must not count as one, and Oxigraph, unlike Jena, keeps a graph without triples. Both answer the first
# query two to three times as fast as the second, which is for servers that see no graph in an empty pattern.
_QUERIES = (
    "SELECT DISTINCT ?g WHERE { GRAPH ?g {} FILTER EXISTS { GRAPH ?g { ?s ?p ?o } } }",
    "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }",
)
_ACCEPT = "text/tab-separated-values, application/sparql-results+json;q=0.9, application/sparql-results+xml;q=0.5"
_MOST_BYTES = 64 * 1024 * 1024
_AT_LEAST = 5.0
_SHARE = 20
_LONG = 3600.0


class Holdings:
    """Asks each node for the graphs that it holds: when it comes up, and then again and again.

    Each node is asked in a thread of its own, so that one that hangs delays nobody. What a node said last is remembered when it
    no longer answers.

    Args:
        timeout: Seconds that a node may take to answer.
        logger: Told of nodes that cannot be listed.
        on_change: Called after a node's graphs have changed, and after it was asked for the first time since it came up; in
            that node's thread.
        at_least: Seconds from one listing of a node to the next, at least.
    """

    def __init__(
        self,
        timeout: float,
        logger: LinkLogger,
        on_change: Callable[[], None] = lambda: None,
        at_least: float = _AT_LEAST,
    ) -> None:
        self._web = WebClient(timeout, _MOST_BYTES)
        self._logger = logger
        self._on_change = on_change
        self._at_least = at_least
        self._lock = threading.Lock()
        self._nodes: dict[str, _Listed] = {}
        self._epoch = 0

    def follow(self, ring: RingView) -> None:
        """Ask the nodes of a ring that are up, those first that have just come up; forget those that are not on it."""
        with self._lock:
            if ring.epoch < self._epoch:
                return  # of two threads that tell of rings the slower one
            self._epoch = ring.epoch
            for node in ring.nodes.values():
                listed = self._nodes.get(node.id)
                if listed is None or listed.url != node.url:
                    if listed is not None:
                        listed.end()
                    listed = self._nodes[node.id] = _Listed(
                        node, self._web, self._logger, self._on_change, self._at_least
                    )
                listed.follow(node)
            for gone in self._nodes.keys() - ring.nodes.keys():
                self._nodes.pop(gone).end()

    def listings(self) -> Listings:
        """What each node says."""
        with self._lock:
            return {name: listed.listing for name, listed in self._nodes.items()}

    def are_asked(self) -> bool:
        """Whether every node that is up has been asked since it came up."""
        with self._lock:
            return all(listed.listing.is_current or not listed.is_up for listed in self._nodes.values())

    def close(self) -> None:
        """Ask no more."""
        with self._lock:
            for listed in self._nodes.values():
                listed.end()


class _Listed:
    """One node, and what it says."""

    def __init__(
        self, node: Node, web: WebClient, logger: LinkLogger, on_change: Callable[[], None], at_least: float
    ) -> None:
        self.url = node.url
        self._id = node.id
        self._web = web
        self._logger = logger
        self._on_change = on_change
        self._at_least = at_least
        self._came_up = -1  # the ring's epoch; -1: it is not up
        self._asked_at = -1  # since which epoch it has been asked
        self._complained = False
        self._said = Listing(is_current=False)
        self._digest = b""
        self._turns = Turns(self._turn, f"listing {node.id}")

    @property
    def is_up(self) -> bool:
        return self._came_up >= 0

    @property
    def listing(self) -> Listing:
        # In this order, so that what it says is no older than what it is taken for.
        is_current = self.is_up and self._came_up == self._asked_at
        return self._said._replace(is_current=is_current)

    def follow(self, node: Node) -> None:
        came_up = node.since if node.state == "up" else -1
        if came_up != self._came_up:
            self._came_up = came_up
            self._turns.wake()
            if self.is_up:
                self._turns.start()

    def end(self) -> None:
        self._turns.end()

    def _turn(self) -> float:
        came_up = self._came_up
        if not self.is_up:
            return _LONG  # it is woken when it is up
        started = time.monotonic()
        changed = False
        try:
            changed = self._ask(started)
            self._complained = False
        except (WebError, UnsafeError) as error:
            if not self._complained:
                self._logger.log(f"{self._id} does not say which graphs it holds: {error}", level="warning")
            self._complained = True
        first = self._asked_at != came_up
        self._asked_at = came_up
        if (changed or first) and not self._turns.ended:
            self._on_change()
        return pause_after(time.monotonic() - started, self._at_least)

    def _ask(self, began: float) -> bool:
        """Ask once; returns whether the node holds other graphs now."""
        graphs: frozenset[str] | None = None
        problem: FailedError | None = None
        for query in _QUERIES:
            try:
                content_type, body = self._query(query)
            except FailedError as error:
                problem = problem or error
                continue
            digest = hashlib.blake2b(body, digest_size=16).digest()
            if digest == self._digest and self._said.graphs:
                graphs = self._said.graphs
                break
            graphs = read_listing(content_type, body)
            if graphs:
                break
        if graphs is None:
            assert problem is not None
            raise problem
        before = self._said.graphs
        self._digest = digest
        self._said = Listing(before if graphs == before else graphs, began)
        return graphs != before

    def _query(self, query: str) -> tuple[str, bytes]:
        response = self._web.request("GET", f"{self.url}/sparql?query={quote(query)}", headers={"Accept": _ACCEPT})
        if response.status != 200:
            raise FailedError(f"status {response.status}: {response.body[:200].decode(errors='replace')}")
        return response.headers.get("content-type", ""), response.body


def pause_after(took: float, at_least: float) -> float:
    """The seconds from a listing to the next: a node spends no more than a twentieth of its time on listings.

    Args:
        took: The seconds that the listing took, or that it was waited for in vain.
        at_least: The fewest seconds.
    """
    return max(at_least, _SHARE * took)


def read_listing(content_type: str, body: bytes) -> frozenset[str]:
    """The IRIs in the only column of SPARQL results; other terms name no graphs that can be asked for.

    Args:
        content_type: Their media type.
        body: The results.

    Raises:
        WebError: They are no such results.
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
        # Most graphs stand on several nodes: one text for all of them.
        return frozenset(sys.intern(term.value) for term in terms if isinstance(term, pyoxigraph.NamedNode))
    except (SyntaxError, ValueError) as error:
        raise WebError(f"the list is no table of SPARQL results: {error}") from error
