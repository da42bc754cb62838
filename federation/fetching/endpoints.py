"""The SPARQL endpoints of nodes, and how fast they answer."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import count
from urllib.parse import urlencode

import pyoxigraph
import requests

from federation.budget import Budget
from federation.errors import QueryCancelledError, QueryTimeoutError, SourceFailedError
from federation.fetching.subquery import Subquery
from federation.source_selection import Source
from federation.transport import Deadline, Session, UnsafeError

_TSV = "text/tab-separated-values"
_JSON = "application/sparql-results+json"
_HEADERS = {
    "Accept": f"{_TSV}, {_JSON};q=0.5",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}

# A node counts as slow after twice what nine of ten answers took, but within these bounds, in seconds.
_TIMES_USUAL = 2.0
_LEAST_PATIENCE = 0.03
_MOST_PATIENCE = 1.0
_FIRST_PATIENCE = 0.5  # while fewer than these answers are known
_FEWEST_ANSWERS = 5
_ANSWERS_REMEMBERED = 64
# A node seems to hang when a request has waited this many seconds at least; it is left this many such requests.
_LEAST_OVERDUE = 0.25
_MOST_OVERDUE = 8
# Seconds for which others replace a node that did not answer in time.
_SHUNNED = 5.0


class _SilentError(SourceFailedError):
    """A node that took too long."""


class _ResponseTimes:
    """The times that one node takes to answer."""

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
        """Return when each request was sent that has waited so long that the node seems to hang."""
        limit = max(_TIMES_USUAL * self.patience, _LEAST_OVERDUE)
        return [start for start in list(self.asked_at.values()) if now - start > limit]


class Endpoints:
    """Open connections to nodes, and their response times. May be used by many threads.

    Args:
        timeout: Seconds that one node may take for one request.
        connections: The number of connections to keep open to each node.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        self._timeout = timeout
        self._session = Session()
        self._session.headers.update(_HEADERS)
        self._times: dict[str, _ResponseTimes] = defaultdict(_ResponseTimes)
        self._numbers = count()

    def ask(self, source: Source, request: Subquery, budget: Budget) -> bytes:
        """Ask one node for quads.

        Args:
            source: The node.
            request: The subquery.
            budget: The budget of the query.

        Returns:
            SPARQL 1.1 Results in TSV, without the header line.

        Raises:
            SourceFailedError: The node did not answer in time, or not as it should.
            QueryTimeoutError: The deadline has passed.
            QueryCancelledError: The query has ended.
            TooLargeError: The nodes send too much for the budget.
        """
        times = self._times[source.id]
        number, start = next(self._numbers), time.monotonic()
        if len(times.overdue(start)) >= _MOST_OVERDUE:
            raise SourceFailedError(
                f"node {source.id} has not answered {_MOST_OVERDUE} other requests yet", [source.id]
            )
        times.asked_at[number] = start
        try:
            rows = self._ask(source, request, budget)
        except (_SilentError, QueryCancelledError, QueryTimeoutError):
            now = time.monotonic()
            if start in times.overdue(now):  # also when the query went on without it, or ended
                times.shunned_until = now + _SHUNNED
            raise
        finally:
            times.asked_at.pop(number, None)
        times.seconds.append(time.monotonic() - start)
        times.shunned_until = 0.0
        return rows

    def patience(self, node: str) -> float:
        """Return the seconds after which a node is slow: a multiple of the time that it usually takes."""
        return self._times[node].patience

    def suspects(self, nodes: Iterable[str]) -> frozenset[str]:
        """Return the nodes that seem to hang: a request waits far too long, or did until a moment ago."""
        now = time.monotonic()
        return frozenset(
            node for node in nodes if self._times[node].shunned_until > now or self._times[node].overdue(now)
        )

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _ask(self, source: Source, request: Subquery, budget: Budget) -> bytes:
        budget.charge(0)
        try:
            answer = self._session.post(
                source.sparql_url,
                data=urlencode({"query": request.text}).encode(),
                timeout=Deadline(  # type: ignore[arg-type]
                    min(budget.deadline - time.monotonic(), self._timeout), on_data=budget.charge
                ),
            )
        except requests.exceptions.Timeout:
            if time.monotonic() >= budget.deadline:
                raise QueryTimeoutError(f"waited for node {source.id}") from None
            raise _SilentError(f"node {source.id} did not answer within {self._timeout:g} s", [source.id]) from None
        except (requests.RequestException, ValueError, UnsafeError) as error:
            raise SourceFailedError(f"node {source.id} does not answer: {error}", [source.id]) from error
        if answer.status_code != 200:
            said = answer.content[:200].decode(errors="replace")
            raise SourceFailedError(f"node {source.id} answers with status {answer.status_code}: {said}", [source.id])
        return _rows(source, request.columns, answer.content, answer.headers.get("Content-Type", ""))


def _rows(source: Source, columns: Sequence[str], body: bytes, content_type: str) -> bytes:
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == _JSON:
        return _from_json(source, columns, body)
    header, _, rows = body.partition(b"\n")
    if media_type != _TSV or header.rstrip(b"\r") != b"\t".join(b"?%b" % column.encode() for column in columns):
        raise SourceFailedError(
            f"node {source.id} answers with {media_type or 'no content type'}, not with {_TSV}", [source.id]
        )
    if rows and not rows.endswith(b"\n"):
        raise SourceFailedError(f"node {source.id} broke off in the middle of its answer", [source.id])
    return rows.replace(b"\r\n", b"\n")


def _from_json(source: Source, columns: Sequence[str], body: bytes) -> bytes:
    """Convert the JSON of servers without TSV; three times slower."""
    try:
        solutions = pyoxigraph.parse_query_results(body, pyoxigraph.QueryResultsFormat.JSON)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        lines = [
            "\t".join("" if term is None else str(term) for term in (row[c] for c in columns)) for row in solutions
        ]
    except (SyntaxError, ValueError, KeyError) as error:
        raise SourceFailedError(
            f"node {source.id} does not answer with SPARQL results: {error}", [source.id]
        ) from error
    return "".join(f"{line}\n" for line in lines).encode()
