"""The engine: answers SPARQL queries over many nodes, as one store would that holds each graph once."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from urllib.parse import urljoin

import pyoxigraph

from federation.analysis.lexer import QueryText
from federation.analysis.plan import ANY_NAMED_GRAPH, Dataset, Form, Pattern, Plan
from federation.analysis.plan_cache import PlanCache
from federation.analysis.reasons import reasons
from federation.analysis.services import check_services
from federation.budget import Budget, Limits, MemoryPool
from federation.caching import result_cache
from federation.caching.result_cache import ResultCache, TextStore
from federation.describe import describe
from federation.errors import NotCachedError, QuerySyntaxError, QueryTimeoutError, SourceFailedError, TooBusyError
from federation.evaluation.messages import Evaluate
from federation.evaluation.pool import Rest, Result, WorkerPool
from federation.execution import MOST_SEEDS, NO_PLAN, Backend, QueryExecution
from federation.fetching.endpoints import Endpoints
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.merge import MergedQuads
from federation.fetching.semi_join import WidePatterns
from federation.skolem import PREFIX
from federation.source_selection import Snapshot
from federation.trace import PULL, PUSH_DOWN, VIEW, Step
from federation.transport import Access
from federation.view.contents import Contents
from federation.view.view import MIN_SECONDS, Progress, SnapshotFor, View

DEFAULT_MEDIA_TYPES: Mapping[Form, str] = {
    "SELECT": "application/sparql-results+json",
    "ASK": "application/sparql-results+json",
    "CONSTRUCT": "application/n-triples",
    "DESCRIBE": "application/n-triples",
}
"""The formats of answers, by pyoxigraph's names, where the caller names none."""

_EVERYTHING = (Pattern(ANY_NAMED_GRAPH),)
_CACHED = ("the whole answer was kept from an earlier query",)
_SAMPLED = ("any solutions are right for ASK, and for LIMIT without ORDER BY: each node sent its first matches only",)
# An IRI without a scheme, or a function that resolves one; comparisons, strings and comments may look like one, and take no
# harm from a base.
_RELATIVE_IRI = re.compile(r'<(?![A-Za-z][A-Za-z0-9+.-]*:)[^<>"{}|^`\\\x00-\x20]*>|\b[IU]RI\b', re.IGNORECASE)
_MOST_ROWS_TO_STOP_AT = 10_000
# The memory of one triple in a view, which holds it in its graph and in the default graph (measured: 680 bytes).
_BYTES_PER_TRIPLE = 600
# Bytes that nodes may send for each triple, copies included.
_BYTES_SENT_PER_TRIPLE = 1000
# Errors up to there can still be told by a status. The result cache takes smaller ones only.
_STREAM_FROM = 1024 * 1024
# A query that takes too long ends its evaluator, so no client may hurry too much.
_LEAST_SECONDS = 1.0
# The shared memory holds the node answers of this many of the largest queries.
_QUERIES_THAT_FIT = 2


@dataclass(frozen=True)
class PreparedQuery:
    """An analysed query, ready to be answered once.

    Attributes:
        text: The query.
        plan: The quads that it can match.
        dataset: The graphs that it looks into.
        budget: Its budget, whose time runs from the analysis on.
    """

    text: str
    plan: Plan
    dataset: Dataset
    budget: Budget


@dataclass(frozen=True)
class Answer:
    """The answer to a query.

    Attributes:
        body: The result, serialised; the first part of it where there are others.
        media_type: Its format, by pyoxigraph's name.
        missing: Ids of the nodes whose graphs may be missing from it; none when it is complete.
        plan: The query's plan.
        steps: The steps of answering it, in the order in which they ended.
        tier: ``PUSH_DOWN`` where nodes joined or filtered patterns, ``PULL`` where they sent all matching triples, ``VIEW``
            where the gateway's own store answered.
        cached: Whether the whole answer comes from the cache.
        aside: The reason why the view did not answer; empty where there is no view.
        sampled: Whether the first matches of each node were enough.
        rest: The other parts of a large result that was to be streamed, to be read or closed; ``None``: there are none.
    """

    body: bytes
    media_type: str
    missing: tuple[str, ...]
    plan: Plan
    steps: Sequence[Step] = field(default=(), repr=False)
    tier: str = PULL
    cached: bool = False
    aside: str = ""
    sampled: bool = False
    rest: Rest | None = field(default=None, repr=False)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for its tier, in sentences."""
        found = _CACHED if self.cached else _SAMPLED if self.sampled else reasons(self.plan, self.tier)
        return (*found, f"the view did not answer: {self.aside}") if self.aside else found

    def parts(self) -> Iterator[bytes]:
        """Yield all parts of the result.

        Raises:
            FederationError: The evaluation failed; what came before is not the whole result.
        """
        yield self.body
        yield from self.rest or ()

    def close(self) -> None:
        """Give up the parts that have not been read."""
        if self.rest:
            self.rest.close()


class Engine:
    """Answers SPARQL 1.1 queries over many nodes. May be used by many threads.

    The answer to a query equals, as a multiset, and in order under ORDER BY, that of one pyoxigraph store that holds each named
    graph once and whose default graph is the set-union of them. Like that store, it knows numbers, booleans, dates and
    durations by their values, and shows them in canonical form: ``"01"^^xsd:integer`` and ``"1"^^xsd:int`` as
    ``"1"^^xsd:integer``.

    Args:
        union_default_graph: Whether the default graph is the set-union of all named graphs; if not, it is empty.
        timeout: Seconds that one query may take.
        source_timeout: Seconds that one node may take for one request.
        limits: The most that one query may use.
        pool_size: The number of simultaneous requests to nodes, of all queries together.
        workers: The number of queries to analyse or evaluate at the same time, each in a process of its own.
        worker_memory: Bytes of address space that each of these processes may take; 0: no bound.
        skolem: The prefix of IRIs that stand for blank nodes and are shown as such.
        cache_ttl: Seconds for which to cache answers; 0: cache none.
        store: The storage for cached answers; ``None``: cache none.
        services: Hosts that queries may call with SERVICE, in small letters, with their ports where these are not the usual
            ones.
        access: The nodes that it may ask, and the credentials for them; without it, any, and none.
        on_node_failure: Called with a node's id and the reason when queries go on without it, not more often than each
            minute.
        contents: The contents of placed graphs, for a view of all graphs; ``None``: have no view.
        view_bytes: The most memory that the view's store may take, unless it is on disk.
        view_directory: Where the view's store is kept on disk from the start; empty: it is in memory.
        view_overflow: Where it is kept on disk once it takes more memory than ``view_bytes``; empty: the view goes off.
        on_view_off: Called with the reason when the view goes off.
        on_view_overflow: Called with the reason when the view moves to ``view_overflow``.
    """

    def __init__(
        self,
        *,
        union_default_graph: bool = True,
        timeout: float = 60.0,
        source_timeout: float = 10.0,
        limits: Limits | None = None,
        pool_size: int = 96,
        workers: int = 2,
        worker_memory: int = 4 * 1024**3,
        skolem: str = PREFIX,
        cache_ttl: float = 0.0,
        store: TextStore | None = None,
        services: frozenset[str] = frozenset(),
        access: Access | None = None,
        on_node_failure: Callable[[str, str], None] = lambda node, reason: None,
        contents: Contents | None = None,
        view_bytes: int = 2**31,
        view_directory: str = "",
        view_overflow: str = "",
        on_view_off: Callable[[str], None] = lambda reason: None,
        on_view_overflow: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.union_default_graph = union_default_graph
        self.services = services
        self._timeout = timeout
        self._limits = limits or Limits()
        self._memory_pool = MemoryPool(_QUERIES_THAT_FIT * self._limits.max_fetched_bytes)
        self._backend = Backend(
            Endpoints(source_timeout, pool_size, on_node_failure, access),
            ThreadPoolExecutor(pool_size, thread_name_prefix="federation"),
            WorkerPool(workers, worker_memory),
            WidePatterns(),
            skolem,
        )
        self._view: View | None = None
        if contents is not None and union_default_graph:
            seconds = cache_ttl or MIN_SECONDS
            self._view = View(
                contents,
                view_bytes,
                seconds,
                workers,
                worker_memory,
                skolem,
                self._fetch_graphs,
                on_view_off,
                view_directory,
                view_overflow,
                on_view_overflow,
            )
        self._view_limits = Limits(
            max_triples=view_bytes // _BYTES_PER_TRIPLE,
            max_fetched_bytes=view_bytes // _BYTES_PER_TRIPLE * _BYTES_SENT_PER_TRIPLE,
        )
        self._snapshot_for: SnapshotFor = lambda avoided: Snapshot(())
        self._numbers = count(1_000_000, 1_000_000)
        self._result_cache = ResultCache(store, cache_ttl) if store is not None and cache_ttl else None
        self._plan_cache = PlanCache(self._backend.workers)
        self._turns = count()

    @property
    def view(self) -> Progress | None:
        """The state of the view; ``None`` where there is none."""
        return self._view.progress if self._view else None

    def resume(self) -> Mapping[str, str]:
        """Open the view's store if an earlier gateway left one on disk.

        Returns:
            The digests of the graphs in it, by IRI, which stay as they are until :meth:`follow`.
        """
        return self._view.resume() if self._view else {}

    def follow(self, snapshot_for: SnapshotFor) -> None:
        """Build the view, and keep it up to date.

        Args:
            snapshot_for: As for :meth:`answer`.
        """
        self._snapshot_for = snapshot_for
        if self._view:
            self._view.follow(snapshot_for)

    def prepare(
        self,
        text: str,
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        base: Callable[[], str] = str,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> PreparedQuery:
        """Analyse a query. Plans are cached by text.

        Args:
            text: The query.
            default_graphs: The protocol's ``default-graph-uri``: IRIs of the graphs whose union is the default graph. These
                and ``named_graphs`` replace the FROM clauses of the query.
            named_graphs: The protocol's ``named-graph-uri``: IRIs of the graphs that GRAPH can reach.
            base: Returns the address that the query was sent to: its relative IRIs are resolved against it.
            timeout: Seconds that the query may take, at least one; ``None``, or more than the engine allows: as long as that.
            cancelled: Asked again and again; the work ends once it says that the client has gone.

        Raises:
            QuerySyntaxError: The text is not a SPARQL 1.1 query, or the name of a graph not an IRI.
            QueryRefusedError: The query is not one to answer.
            QueryTimeoutError: No time was left to read it.
            QueryCancelledError: The client has gone.
        """
        seconds = self._timeout if timeout is None else min(max(timeout, _LEAST_SECONDS), self._timeout)
        budget = Budget(seconds, self._limits, cancelled, self._memory_pool)
        is_relative = _RELATIVE_IRI.search(text) is not None
        address = base() if is_relative or default_graphs or named_graphs else ""
        declared = f"BASE <{address}> " if is_relative and _is_iri(address) else ""
        text = declared + text
        try:
            plan = self._plan_cache.plan(text, budget)
        except QuerySyntaxError as error:
            raise (
                QuerySyntaxError(error.reason, 1, error.column - len(declared)) if error.line == 1 else error
            ) from None
        if plan.services:
            check_services(plan.services, self.services)
        dataset = self._dataset(
            plan, [urljoin(address, g) for g in default_graphs], [urljoin(address, g) for g in named_graphs]
        )
        return PreparedQuery(text, plan, dataset, budget)

    def answer(
        self,
        query: PreparedQuery,
        snapshot_for: SnapshotFor,
        *,
        media_type: str = "",
        fresh: bool = False,
        stream: bool = False,
    ) -> Answer:
        """Answer a query, and replace nodes that fail or are slow by others that hold copies.

        An answer of a node is used again, whichever nodes take part in the end.

        Args:
            query: The query; its budget serves for one answer.
            snapshot_for: Returns a snapshot without the nodes of these ids, whose ``unavailable`` names the nodes whose graphs
                are lost without them.
            media_type: The format of the answer, by pyoxigraph's name; empty: as in ``DEFAULT_MEDIA_TYPES``.
            fresh: Whether to bypass all caches.
            stream: Whether a large result may come in parts, which the caller reads or closes: ``Answer.rest``.

        Raises:
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            NotAcceptableError: The answer cannot be written in that format.
            SourceFailedError: No node is left to ask.
            QueryTimeoutError: The answer took too long.
            QueryCancelledError: The client has gone.
            TooBusyError: Other queries held the memory for nodes' answers for all of its time.
            ServiceFailedError: Another server, which the query calls, failed.
            ServerStoppingError: The engine is closed.
        """
        media_type = media_type or DEFAULT_MEDIA_TYPES[query.plan.form]
        stream_from = _STREAM_FROM if stream else 0
        try:
            answer = self._over_view(query, snapshot_for, media_type, fresh, stream_from)
            if isinstance(answer, Answer):
                return answer
            try:
                found = self._over_nodes(query, snapshot_for, media_type, fresh, stream_from)
            except TooBusyError:
                query = replace(query, budget=query.budget.with_memory())
                found = self._over_nodes(query, snapshot_for, media_type, fresh, stream_from)
            return replace(found, aside=answer)
        finally:
            query.budget.end()

    def query_with_failover(
        self,
        text: str,
        snapshot_for: SnapshotFor,
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        media_type: str = "",
        fresh: bool = False,
        stream: bool = False,
        timeout: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Prepare and answer a query; see :meth:`prepare` and :meth:`answer` for arguments and errors."""
        query = self.prepare(
            text, default_graphs=default_graphs, named_graphs=named_graphs, timeout=timeout, cancelled=cancelled
        )
        return self.answer(query, snapshot_for, media_type=media_type, fresh=fresh, stream=stream)

    def query(
        self,
        text: str,
        snapshot: Snapshot,
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        media_type: str = "",
    ) -> Answer:
        """Answer a query from the nodes of one snapshot, all of which have to answer.

        Args:
            text: The query.
            snapshot: The node that each graph is read from.
            default_graphs: See :meth:`prepare`.
            named_graphs: See :meth:`prepare`.
            media_type: See :meth:`answer`.

        Raises:
            SourceFailedError: A node failed; ``sources`` names it.
            FederationError: See :meth:`prepare` and :meth:`answer`.
        """

        def snapshot_for(avoided: frozenset[str]) -> Snapshot:
            return Snapshot(()) if avoided else snapshot

        return self.query_with_failover(
            text,
            snapshot_for,
            default_graphs=default_graphs,
            named_graphs=named_graphs,
            media_type=media_type,
            fresh=True,
        )

    def close(self) -> None:
        """Stop everything; queries under way fail."""
        if self._view:
            self._view.close()
        self._backend.workers.close()
        self._backend.threads.shutdown(wait=False, cancel_futures=True)
        self._backend.endpoints.close()

    def _over_nodes(
        self, query: PreparedQuery, snapshot_for: SnapshotFor, media_type: str, fresh: bool, stream_from: int
    ) -> Answer:
        """Answer from the nodes, by others where some fail.

        Raises:
            TooBusyError: Other queries hold the memory that it needs.
        """
        requests = HedgedRequests(
            self._backend.endpoints,
            self._backend.threads,
            query.budget,
            snapshot_for,
            None if fresh else next(self._turns),
        )
        while True:
            with requests.failover() as snapshot:
                execution = QueryExecution(
                    self._backend,
                    query.plan,
                    query.dataset,
                    snapshot,
                    query.budget,
                    requests,
                    stream_from=stream_from,
                )
                found = self._attempt(query.text, execution, media_type, fresh)
                if not isinstance(found, Reselected):
                    return found

    def _attempt(self, text: str, execution: QueryExecution, media_type: str, fresh: bool) -> Answer | Reselected:
        """Answer from the cache, or fetch and evaluate."""
        snapshot, plan, steps = execution.snapshot, execution.plan, execution.budget.trace.steps
        if snapshot.unavailable and not snapshot.sources:
            raise SourceFailedError(
                f"no catalogue node answers; missing: {', '.join(snapshot.unavailable)}", snapshot.unavailable
            )
        key = "" if fresh else self._key(text, plan, execution.dataset, media_type, snapshot)
        if found := self._cached(key, media_type, plan, steps):
            return found
        rows, sampled = _enough_rows(plan, text), False
        result: Result | Reselected | None = None
        if plan.form == "DESCRIBE":
            tier = PULL
            result = describe(execution, text, media_type)
        else:
            tier = PUSH_DOWN if plan.bgps or plan.joins or plan.walks else PULL
            result = execution.answer_from_some(text, media_type, rows) if rows is not None else None
            sampled = result is not None
            if result is None:
                merged = execution.fetch_for_query()
                result = merged if isinstance(merged, Reselected) else execution.evaluate(text, merged, media_type)
        if isinstance(result, Reselected):
            return result
        missing = execution.missing()
        if key and self._result_cache and not (missing or result.rest) and execution.is_of_one_version():
            self._result_cache.put(key, result_cache.CachedResult(result.body, tier), _max_age(snapshot))
        return Answer(result.body, media_type, missing, plan, steps, tier, sampled=sampled, rest=result.rest)

    def _over_view(
        self, query: PreparedQuery, snapshot_for: SnapshotFor, media_type: str, fresh: bool, stream_from: int
    ) -> Answer | str:
        """Answer from the view, or say why it cannot; empty where there is none."""
        view, plan, steps = self._view, query.plan, query.budget.trace.steps
        if view is None:
            return ""
        if fresh:
            return "the request bypasses all caches"
        if query.dataset.given or plan.services:
            return "the query calls other servers" if plan.services else "the query names its dataset"
        snapshot = snapshot_for(frozenset())
        key = self._key(query.text, plan, query.dataset, media_type, snapshot)
        if found := self._cached(key, media_type, plan, steps):
            return found
        job = Evaluate(
            query.text,
            b"",
            (),
            media_type,
            query.budget.limits.max_result_bytes,
            graph_by_graph=plan.graph_by_graph,
            path_ends=plan.path_ends,
            columns=plan.columns,
            stream_from=stream_from,
        )
        start = time.perf_counter()
        try:
            wanted = view.showing(snapshot)
            (body, rest), generation = view.evaluate(job, wanted, query.budget)
        except NotCachedError as error:
            return str(error)
        query.budget.trace.record("evaluate", "", query.text, -1, len(body), start)
        if key and self._result_cache and generation == wanted and not rest:
            self._result_cache.put(key, result_cache.CachedResult(body, VIEW), view.seconds_left())
        return Answer(body, media_type, snapshot.unlisted, plan, steps, VIEW, rest=rest)

    def _key(self, text: str, plan: Plan, dataset: Dataset, media_type: str, snapshot: Snapshot) -> str:
        """Return the key of an answer in the cache; empty where it is not cached."""
        if not self._result_cache or not snapshot.version or snapshot.unavailable or plan.is_volatile:
            return ""
        return result_cache.key(text, dataset, media_type, snapshot.version)

    def _cached(self, key: str, media_type: str, plan: Plan, steps: Sequence[Step]) -> Answer | None:
        found = self._result_cache.get(key) if key and self._result_cache else None
        return found and Answer(found.body, media_type, (), plan, steps, found.tier, cached=True)

    def _fetch_graphs(self, graphs: frozenset[str]) -> MergedQuads:
        """Fetch all triples of some graphs for the view.

        Raises:
            FederationError: A node failed, or they are too many.
        """
        budget = Budget(self._timeout, self._view_limits, memory_pool=self._memory_pool)
        backend, dataset, first = self._backend, Dataset(frozenset(), graphs), next(self._numbers)
        try:
            requests = HedgedRequests(backend.endpoints, backend.threads, budget, self._snapshot_for)
            while True:
                with requests.failover() as snapshot:
                    execution = QueryExecution(backend, NO_PLAN, dataset, snapshot, budget, requests, first)
                    merged = execution.fetch(_EVERYTHING)
                    if missing := execution.missing():
                        raise QueryTimeoutError(f"nodes do not answer: {', '.join(missing)}")
                    if not isinstance(merged, Reselected):
                        return merged
        finally:
            budget.end()

    def _dataset(self, plan: Plan, default_graphs: Sequence[str], named_graphs: Sequence[str]) -> Dataset:
        if default_graphs or named_graphs:
            for graph in (*default_graphs, *named_graphs):
                _check_iri(graph)
            return Dataset(frozenset(default_graphs), frozenset(named_graphs), given=True, overrides=True)
        if plan.has_dataset:
            return Dataset(frozenset(plan.from_default), frozenset(plan.from_named), given=True)
        return Dataset(None if self.union_default_graph else frozenset(), None)


def _enough_rows(plan: Plan, text: str) -> int | None:
    """Return the number of rows that are enough for an answer over some of the quads; ``None`` when it needs them all."""
    if plan.seed is None and (not plan.samples or plan.graph_names):
        return None
    query = QueryText(text)
    rows = 1 if plan.form == "ASK" else query.modifier("LIMIT")
    if rows is None or rows + (query.modifier("OFFSET") or 0) > (_MOST_ROWS_TO_STOP_AT if plan.samples else MOST_SEEDS):
        return None
    return rows


def _max_age(snapshot: Snapshot) -> float:
    """Return for how long an answer may be cached: graphs without fingerprints change without notice."""
    if snapshot.untracked is None:
        return 0.0
    return MIN_SECONDS if snapshot.untracked else math.inf


def _is_iri(text: str) -> bool:
    try:
        return bool(pyoxigraph.NamedNode(text))
    except ValueError:
        return False


def _check_iri(graph: str) -> None:
    """Refuse a name that would break the syntax of a subquery."""
    if not _is_iri(graph):
        raise QuerySyntaxError(f"{graph[:200]!r} is not an IRI, so it names no graph")
