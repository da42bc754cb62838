"""Asking the nodes for quads, within limits."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import count
from urllib.parse import urlencode

import pyoxigraph
import requests

from federation.budget import Effort
from federation.errors import QueryCancelled, QueryTimeout, SourceFailed
from federation.fetching.subquery import Request
from federation.source_selection import Source
from federation.transport import CHUNK, Deadline, Session, UnsafeError

_TSV = "text/tab-separated-values"
_JSON = "application/sparql-results+json"
_HEADERS = {
    "Accept": f"{_TSV}, {_JSON};q=0.5",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}
_MOST_NODES = 1000

# When a node counts as slow: after twice what nine of ten answers took, but within these bounds, in seconds.
_TIMES_USUAL = 2.0
_LEAST_PATIENCE = 0.03
_MOST_PATIENCE = 1.0
_FIRST_PATIENCE = 0.5  # while fewer than these answers are known
_FEWEST_ANSWERS = 5
_ANSWERS_REMEMBERED = 64
# Seconds after which a request at least has to wait for its node to seem to hang, and how many such requests a node is left.
_LEAST_OVERDUE = 0.25
_MOST_OVERDUE = 8
# Seconds for which a node that did not answer in time is not waited for where others can replace it.
_SHUNNED = 5.0


class _Silent(SourceFailed):
    """A node that took too long."""


class _Manners:
    """How one node answers."""

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=_ANSWERS_REMEMBERED)
        self.asked_at: dict[int, float] = {}
        self.shunned_until = 0.0

    @property
    def patience(self) -> float:
        if len(self.seconds) < _FEWEST_ANSWERS:
            return _FIRST_PATIENCE
        usual = sorted(self.seconds)[len(self.seconds) * 9 // 10]
        return min(max(_TIMES_USUAL * usual, _LEAST_PATIENCE), _MOST_PATIENCE)

    def overdue(self, now: float) -> list[float]:
        """The requests, by when they were sent, that wait so long that the node seems to hang."""
        limit = max(_TIMES_USUAL * self.patience, _LEAST_OVERDUE)
        return [start for start in list(self.asked_at.values()) if now - start > limit]


class Nodes:
    """Connections to nodes, kept open, and how the nodes answer. May be used by many threads.

    Args:
        timeout: Seconds that one node may take for one request.
        connections: Connections kept to each node.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        self._timeout = timeout
        self._session = Session(pool_connections=_MOST_NODES, pool_maxsize=connections)
        self._session.headers.update(_HEADERS)
        self._manners: dict[str, _Manners] = defaultdict(_Manners)
        self._numbers = count()

    def ask(self, source: Source, request: Request, effort: Effort) -> bytes:
        """Ask one node for quads.

        Args:
            source: The node.
            request: What to ask.
            effort: What the user's query may use.

        Returns:
            The rows: SPARQL 1.1 Results in TSV, without the header line.

        Raises:
            SourceFailed: The node did not answer in time, or not as it should.
            QueryTimeout: The deadline is over.
            QueryCancelled: The query has ended.
            TooLarge: The budget is spent.
        """
        manners = self._manners[source.id]
        number, start = next(self._numbers), time.monotonic()
        if len(manners.overdue(start)) >= _MOST_OVERDUE:
            raise SourceFailed(f"node {source.id} has not answered {_MOST_OVERDUE} other requests yet", [source.id])
        manners.asked_at[number] = start
        try:
            rows = self._ask(source, request, effort)
        except (_Silent, QueryCancelled, QueryTimeout):
            now = time.monotonic()
            if start in manners.overdue(now):  # also when the query went on without it, or ended
                manners.shunned_until = now + _SHUNNED
            raise
        finally:
            manners.asked_at.pop(number, None)
        manners.seconds.append(time.monotonic() - start)
        manners.shunned_until = 0.0
        return rows

    def patience(self, node: str) -> float:
        """Seconds after which a node that has not answered is slow: a multiple of what it usually takes."""
        return self._manners[node].patience

    def suspects(self, nodes: Iterable[str]) -> frozenset[str]:
        """The nodes among these that seem to hang: a request waits far too long, or did until a moment ago."""
        now = time.monotonic()
        return frozenset(
            node for node in nodes if self._manners[node].shunned_until > now or self._manners[node].overdue(now)
        )

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _ask(self, source: Source, request: Request, effort: Effort) -> bytes:
        effort.spend(0)
        try:
            answer = self._session.post(
                source.sparql_url,
                data=urlencode({"query": request.text}).encode(),
                timeout=Deadline(min(effort.deadline - time.monotonic(), self._timeout)),  # type: ignore[arg-type]
                stream=True,
            )
            with answer:
                body = _read(answer, effort)
        except requests.exceptions.Timeout:
            if time.monotonic() >= effort.deadline:
                raise QueryTimeout(f"waited for node {source.id}") from None
            raise _Silent(f"node {source.id} did not answer within {self._timeout:g} s", [source.id]) from None
        except (requests.RequestException, ValueError, UnsafeError) as error:
            raise SourceFailed(f"node {source.id} does not answer: {error}", [source.id]) from error
        if answer.status_code != 200:
            said = body[:200].decode(errors="replace")
            raise SourceFailed(f"node {source.id} answers with status {answer.status_code}: {said}", [source.id])
        return _rows(source, request.columns, body, answer.headers.get("Content-Type", ""))


def _read(answer: requests.Response, effort: Effort) -> bytes:
    parts: list[bytes] = []
    for part in answer.iter_content(CHUNK):
        effort.spend(len(part))
        parts.append(part)
    return b"".join(parts)


def _rows(source: Source, columns: Sequence[str], body: bytes, content_type: str) -> bytes:
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == _JSON:
        return _from_json(source, columns, body)
    header, _, rows = body.partition(b"\n")
    if media_type != _TSV or header.rstrip(b"\r") != b"\t".join(b"?%b" % column.encode() for column in columns):
        raise SourceFailed(
            f"node {source.id} answers with {media_type or 'no content type'}, not with {_TSV}", [source.id]
        )
    if rows and not rows.endswith(b"\n"):
        raise SourceFailed(f"node {source.id} broke off in the middle of its answer", [source.id])
    return rows.replace(b"\r\n", b"\n")


def _from_json(source: Source, columns: Sequence[str], body: bytes) -> bytes:
    """For servers without TSV; three times slower."""
    try:
        solutions = pyoxigraph.parse_query_results(body, pyoxigraph.QueryResultsFormat.JSON)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        lines = [
            "\t".join("" if term is None else str(term) for term in (row[c] for c in columns)) for row in solutions
        ]
    except (SyntaxError, ValueError, KeyError) as error:
        raise SourceFailed(f"node {source.id} does not answer with SPARQL results: {error}", [source.id]) from error
    return "".join(f"{line}\n" for line in lines).encode()
