"""The SPARQL endpoints of nodes, and how fast they answer."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

import requests

from catena_core.text import bounded, redacted
from federation.budget import Budget, Limits
from federation.errors import (
    BadAnswerError,
    FederationError,
    QueryCancelledError,
    QueryTimeoutError,
    SilentSourceError,
    SourceFailedError,
    TooBusyError,
    TooLargeError,
)
from federation.fetching.result_formats import TSV, UnreadableTableError, is_bounded, opened, read_table
from federation.fetching.subquery import Subquery, quoted
from federation.source_selection import Source
from federation.transport import Access, Deadline, Session, UnsafeError

_OTHERS = (
    "application/sparql-results+json;q=0.5, application/json;q=0.4, application/sparql-results+xml;q=0.3, "
    "application/xml;q=0.2"
)
_HEADERS = {
    "Accept": f"{TSV}, {_OTHERS}",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
}

# Virtuoso sends these with status 200 where it has cut an answer off, by number of rows or by time.
_OF_PARTS = ("X-SPARQL-MaxRows", "X-SQL-State")

# Statuses by which a node says that it is busy or away for a while.
_MAY_PASS = (408, 429, 503)

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
# A node that sends more bytes than this for each row that it counts, and for some more, sends what it was not asked for.
_MOST_BYTES_OF_ROW = 64 * 1024
_MORE_ROWS = 100
_COUNT_SECONDS = 5.0
_MOST_BYTES_OF_COUNT = 64 * 1024
# Seconds between two reports of one node's failures.
_QUIET = 60.0


class _ResponseTimes:
    """The times that one node takes to answer."""

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=_ANSWERS_REMEMBERED)
        self.asked_at: dict[int, float] = {}
        self.heard_at: dict[int, float] = {}
        self.shunned_until = 0.0
        self.reported_at = -_QUIET

    @property
    def patience(self) -> float:
        seconds = sorted(self.seconds)  # a copy: other requests add theirs meanwhile
        if len(seconds) < _FEWEST_ANSWERS:
            return _FIRST_PATIENCE
        usual = seconds[len(seconds) * 9 // 10]
        return min(max(_TIMES_USUAL * usual, _LEAST_PATIENCE), _MOST_PATIENCE)

    def overdue(self, now: float) -> list[float]:
        """Return when each request was sent that has waited so long that the node seems to hang."""
        limit = max(_TIMES_USUAL * self.patience, _LEAST_OVERDUE)
        return [start for start in list(self.asked_at.values()) if now - start > limit]

    def silent(self, now: float) -> int:
        """Return the number of these requests for which nothing is arriving either."""
        limit = max(_TIMES_USUAL * self.patience, _LEAST_OVERDUE)
        return sum(now - max(start, self.heard_at.get(n, 0.0)) > limit for n, start in list(self.asked_at.items()))


class Endpoints:
    """Open connections to nodes, and their response times. May be used by many threads.

    Args:
        timeout: Seconds that one node may take for one request.
        connections: The number of connections to keep open to each node.
        on_failure: Called with a node's id and the reason when queries go on without it, not more often than each minute.
        access: The nodes that it may ask, and the credentials for them.
    """

    def __init__(
        self,
        timeout: float,
        connections: int,
        on_failure: Callable[[str, str], None] = lambda node, reason: None,
        access: Access | None = None,
    ) -> None:
        self._timeout = timeout
        self._on_failure = on_failure
        self._without_tsv: dict[str, float] = {}
        self._session = Session(access=access)
        self._session.headers.update(_HEADERS)
        self._times: dict[str, _ResponseTimes] = {}
        self._reporting = threading.Lock()
        self._numbers = count()

    def ask(
        self, source: Source, request: Subquery, budget: Budget, heard: dict[tuple[Source, str], float] | None = None
    ) -> bytes:
        """Ask one node for quads.

        Args:
            source: The node.
            request: The subquery.
            budget: The budget of the query.
            heard: Takes the time of the last data by node and text, by ``time.monotonic()``.

        Returns:
            SPARQL 1.1 Results in TSV, without the header line.

        Raises:
            SourceFailedError: The node did not answer in time, or not as it should.
            QueryTimeoutError: The deadline has passed.
            QueryCancelledError: The query has ended.
            TooLargeError: The nodes send too much for the budget.
        """
        times = self._times_of(source.id)
        number, start = next(self._numbers), time.monotonic()
        if times.silent(start) >= _MOST_OVERDUE:
            raise SourceFailedError(
                f"node {source.id} has not answered {_MOST_OVERDUE} other requests yet", [source.id]
            )
        times.asked_at[number] = start

        def take(size: int) -> None:
            budget.charge(size, source.id)
            times.heard_at[number] = time.monotonic()
            if heard is not None:
                heard[source, request.text] = times.heard_at[number]

        try:
            rows = self._ask(source, request, budget, take)
        except (SilentSourceError, QueryCancelledError, QueryTimeoutError):
            now = time.monotonic()
            if start in times.overdue(now):  # also when the query went on without it, or ended
                times.shunned_until = now + _SHUNNED
            raise
        except (TooLargeError, TooBusyError) as error:
            self.check_count(source, request, budget, error)
            raise
        finally:
            times.asked_at.pop(number, None)
            times.heard_at.pop(number, None)
        times.seconds.append(time.monotonic() - start)
        times.shunned_until = 0.0
        return rows

    def check_count(self, source: Source, request: Subquery, budget: Budget, error: FederationError) -> None:
        """Find out whether a node has sent too much because it holds much, or because it sends what it was not asked for.

        Args:
            source: The node.
            request: The subquery that it was asked.
            budget: The budget of the query, which gets the bytes of a node that has failed back.
            error: The error of the query that this explains.

        Raises:
            BadAnswerError: By its own count of the rows it has sent too much.
        """
        sent = budget.sent(source.id)
        if sent <= _MORE_ROWS * _MOST_BYTES_OF_ROW:
            return
        if sent <= (self._count(source, request, budget) + _MORE_ROWS) * _MOST_BYTES_OF_ROW:
            return
        budget.refund(source.id)
        self._times_of(source.id).shunned_until = time.monotonic() + _SHUNNED
        raise BadAnswerError(
            f"node {source.id} sends more than all the rows that it has for a query", [source.id]
        ) from error

    def _count(self, source: Source, request: Subquery, budget: Budget) -> int:
        """Return the number of rows that a node says it has; 0 when it does not say one, and many when it is slow."""
        counting = request._replace(text=f"SELECT (COUNT(*) AS ?n) WHERE{request.text.partition(' WHERE')[2]}")
        small = Budget(_COUNT_SECONDS, Limits(max_fetched_bytes=_MOST_BYTES_OF_COUNT))
        deadline = Deadline(min(budget.deadline - time.monotonic(), _COUNT_SECONDS), on_data=small.charge)
        try:
            media_type, body, _ = self._post(source, counting, small, deadline, _OTHERS)
            table = body.partition(b"\n")[2] if media_type == TSV else read_table(media_type, body, ["n"])
        except (SilentSourceError, QueryTimeoutError):
            return sys.maxsize
        except (FederationError, UnreadableTableError):
            return 0
        found = re.match(rb'"?(\d{1,18})\b', table)
        return int(found[1]) if found else 0

    def patience(self, node: str) -> float:
        """Return the seconds after which a node is slow: a multiple of the time that it usually takes."""
        return self._times_of(node).patience

    def suspects(self, nodes: Iterable[str]) -> frozenset[str]:
        """Return the nodes that seem to hang: a request waits far too long, or did until a moment ago."""
        now = time.monotonic()
        return frozenset(
            node for node in nodes if (times := self._times_of(node)).shunned_until > now or times.overdue(now)
        )

    def avoid_tsv(self, asked_at: Mapping[str, float]) -> bool:
        """Ask some nodes for other formats from now on: their TSV cannot be read.

        Args:
            asked_at: When each was asked for the rows that cannot be read, by ``time.monotonic()``.

        Returns:
            Whether one of them was asked for TSV then; another query may have found the same meanwhile.
        """
        now = time.monotonic()
        since = {node: self._without_tsv.setdefault(node, now) for node in asked_at}
        return any(since[node] >= then for node, then in asked_at.items())

    def report(self, nodes: Iterable[str], reason: str) -> None:
        """Report that a query goes on without some nodes."""
        now = time.monotonic()
        for node in nodes:
            times = self._times_of(node)
            with self._reporting:
                is_new = now - times.reported_at >= _QUIET
                if is_new:
                    times.reported_at = now
            if is_new:
                self._on_failure(node, reason)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _times_of(self, node: str) -> _ResponseTimes:
        times = self._times.get(node)
        # Threads that meet a node at once share the times of the first one of them.
        return self._times.setdefault(node, _ResponseTimes()) if times is None else times

    def _ask(self, source: Source, request: Subquery, budget: Budget, take: Callable[[int], None]) -> bytes:
        budget.charge(0)
        deadline = Deadline(min(budget.deadline - time.monotonic(), self._timeout), on_data=take)
        accepts = _OTHERS if source.id in self._without_tsv else _HEADERS["Accept"]
        media_type, body, is_whole = self._post(source, request, budget, deadline, accepts)
        try:
            rows = _from_tsv(request.columns, body) if media_type == TSV else None
            if media_type == TSV and accepts is not _OTHERS and (rows is None or not is_whole):
                media_type, body, _ = self._post(source, request, budget, deadline, _OTHERS)
                if media_type != TSV:
                    rows = read_table(media_type, body, request.columns)
                    self._without_tsv.setdefault(source.id, time.monotonic())
                    return rows
                rows = _from_tsv(request.columns, body)
            if rows is not None:
                return rows
            return read_table(media_type, body, request.columns)
        except UnreadableTableError as error:
            raise BadAnswerError(
                f"node {source.id} does not answer with a whole table of SPARQL results: {error}", [source.id]
            ) from error

    def _post(
        self, source: Source, request: Subquery, budget: Budget, deadline: Deadline, accepts: str
    ) -> tuple[str, bytes, bool]:
        """Send a request.

        Returns:
            The media type of the table in the answer, the table, and whether HTTP tells that all of it has come.
        """
        try:
            answer = self._session.post(
                source.sparql_url,
                data=f"query={quoted(request.text)}".encode(),
                headers={"Accept": accepts},
                timeout=deadline,  # type: ignore[arg-type]
            )
        except requests.exceptions.Timeout:
            if time.monotonic() >= budget.deadline:
                raise QueryTimeoutError(f"waited for node {source.id}") from None
            raise SilentSourceError(
                f"node {source.id} did not answer within {self._timeout:g} s", [source.id]
            ) from None
        except (requests.RequestException, ValueError, UnsafeError) as error:
            raise SourceFailedError(f"node {source.id} does not answer: {redacted(str(error))}", [source.id]) from error
        if answer.status_code != 200:
            said = bounded(redacted(answer.content[:1000].decode(errors="replace")), 200)
            kind = SourceFailedError if answer.status_code in _MAY_PASS else BadAnswerError
            raise kind(f"node {source.id} answers with status {answer.status_code}: {said}", [source.id])
        if any(header in answer.headers for header in _OF_PARTS):
            raise BadAnswerError(
                f"node {source.id} sends only a part of its rows: raise the limits that its server sets for answers",
                [source.id],
            )
        table = opened(answer.headers.get("Content-Type", ""), answer.content)
        return *table, is_bounded(answer.headers)


def _from_tsv(columns: Sequence[str], body: bytes) -> bytes | None:
    """Return the rows of a table in TSV; ``None`` where another format may be whole.

    Some servers write the names of columns without question marks, or IRIs without angle brackets.
    """
    header, end, rows = body.partition(b"\n")
    names = [name.removeprefix(b"?") for name in header.rstrip(b"\r").split(b"\t", len(columns))]
    graph = rows.partition(b"\n")[0].rstrip(b"\r").rpartition(b"\t")[2]
    is_whole = bool(end) and (not rows or (rows.endswith(b"\n") and graph.startswith(b"<")))
    if names != [column.encode() for column in columns] or not is_whole or not _is_utf_8(rows):
        return None
    return rows.replace(b"\r\n", b"\n")


def _is_utf_8(text: bytes) -> bool:
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False
