"""Asking the nodes for quads, within limits."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlencode

import pyoxigraph
import urllib3

from catena_core.version import __version__
from topology.federation.errors import QueryTimeout, SourceFailed, TooLarge
from topology.federation.request import COLUMNS
from topology.federation.sources import Source
from topology.web import UnsafeError, check_address

_TSV = "text/tab-separated-values"
_JSON = "application/sparql-results+json"
_HEADERS = {
    "Accept": f"{_TSV}, {_JSON};q=0.5",
    "User-Agent": f"catena/{__version__}",
    "Content-Type": "application/x-www-form-urlencoded",
}
_HEADER_LINE = "\t".join(f"?{column}" for column in COLUMNS).encode()
_CHUNK = 1024 * 1024


class Budget:
    """The bytes that the nodes may send for one query, all together.

    Args:
        most_bytes: How many.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._left = most_bytes
        self._lock = threading.Lock()

    def spend(self, size: int) -> None:
        """Count bytes that have arrived.

        Raises:
            TooLarge: They are too many.
        """
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise TooLarge(
                    f"the nodes would have to send more than {self._most} bytes for this query; make its patterns narrower"
                )


class Nodes:
    """Connections to nodes, kept open. May be used by many threads.

    Args:
        timeout: Seconds that one node may take for one request.
        connections: Connections kept to each node.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        self._timeout = timeout
        self._pool = urllib3.PoolManager(num_pools=1000, maxsize=connections, retries=False)

    def ask(self, source: Source, query: str, deadline: float, budget: Budget) -> bytes:
        """Ask one node for quads.

        Args:
            source: The node.
            query: A SELECT query with the columns of ``request.COLUMNS``.
            deadline: When the answer to the user's query is due, by ``time.monotonic()``.
            budget: What all nodes may send.

        Returns:
            The rows: SPARQL 1.1 Results in TSV, without the header line.

        Raises:
            SourceFailed: The node did not answer in time, or not as it should.
            QueryTimeout: The deadline is over.
            TooLarge: The budget is spent.
        """
        until = min(deadline, time.monotonic() + self._timeout)
        try:
            try:
                return self._ask(source, query, until, budget)
            except urllib3.exceptions.ProtocolError:
                # A kept connection that the node closed just now says nothing about the node.
                return self._ask(source, query, until, budget)
        except (TimeoutError, urllib3.exceptions.TimeoutError):
            if time.monotonic() >= deadline:
                raise QueryTimeout(f"waited for node {source.id}") from None
            raise SourceFailed(f"node {source.id} did not answer within {self._timeout:g} s", [source.id]) from None
        except (urllib3.exceptions.HTTPError, OSError, UnsafeError) as error:
            raise SourceFailed(f"node {source.id} does not answer: {error}", [source.id]) from error

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _ask(self, source: Source, query: str, until: float, budget: Budget) -> bytes:
        check_address(source.sparql_url)
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        answer = self._pool.request(
            "POST",
            source.sparql_url,
            body=urlencode({"query": query}),
            headers=_HEADERS,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=left, read=left),
        )
        try:
            body = _read(answer, until, budget)
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        if answer.status != 200:
            said = body[:200].decode(errors="replace")
            raise SourceFailed(f"node {source.id} answers with status {answer.status}: {said}", [source.id])
        return _rows(source, body, answer.headers.get("Content-Type", ""))


def _read(answer: urllib3.BaseHTTPResponse, until: float, budget: Budget) -> bytes:
    parts: list[bytes] = []
    # read1 hands over what has arrived, so that a node that trickles is noticed by the clock.
    while part := answer.read1(_CHUNK, decode_content=True):
        budget.spend(len(part))
        if time.monotonic() > until:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _rows(source: Source, body: bytes, content_type: str) -> bytes:
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == _JSON:
        return _from_json(source, body)
    header, _, rows = body.partition(b"\n")
    if media_type != _TSV or header.rstrip(b"\r") != _HEADER_LINE:
        raise SourceFailed(
            f"node {source.id} answers with {media_type or 'no content type'}, not with {_TSV}", [source.id]
        )
    if rows and not rows.endswith(b"\n"):
        raise SourceFailed(f"node {source.id} broke off in the middle of its answer", [source.id])
    return rows.replace(b"\r\n", b"\n")


def _from_json(source: Source, body: bytes) -> bytes:
    """For servers without TSV; three times slower."""
    try:
        solutions = pyoxigraph.parse_query_results(body, pyoxigraph.QueryResultsFormat.JSON)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        lines = [
            "\t".join("" if term is None else str(term) for term in (row[c] for c in COLUMNS)) for row in solutions
        ]
    except (SyntaxError, ValueError, KeyError) as error:
        raise SourceFailed(f"node {source.id} does not answer with SPARQL results: {error}", [source.id]) from error
    return "".join(f"{line}\n" for line in lines).encode()
