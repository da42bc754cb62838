"""The engine: answers SPARQL queries over many nodes, as one store would that holds each graph once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import pyoxigraph

from federation.analysis.plan import ANY_NAMED_GRAPH, Dataset, Form, Pattern, Plan
from federation.analysis.plan_cache import PlanCache
from federation.analysis.reasons import reasons
from federation.analysis.services import check_services
from federation.budget import Budget, Limits, MemoryPool
from federation.caching import result_cache
from federation.caching.quad_cache import MIN_SECONDS, QuadCache
from federation.caching.refresh import Refresher, SnapshotFor
from federation.caching.result_cache import ResultCache, TextStore
from federation.describe import describe
from federation.errors import NotCachedError, QuerySyntaxError, SourceFailedError
from federation.evaluation.pool import WorkerPool
from federation.execution import Backend, QueryExecution
from federation.fetching.endpoints import Endpoints
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.semi_join import WidePatterns
from federation.skolem import PREFIX
from federation.source_selection import Snapshot
from federation.trace import CACHE, PULL, PUSH_DOWN, Step

DEFAULT_MEDIA_TYPES: Mapping[Form, str] = {
    "SELECT": "application/sparql-results+json",
    "ASK": "application/sparql-results+json",
    "CONSTRUCT": "application/n-triples",
    "DESCRIBE": "application/n-triples",
}
"""The formats of answers, by pyoxigraph's names, where the caller names none."""

# A DESCRIBE can see the triples of any resource that it finds.
_ALL = Plan(form="DESCRIBE", patterns=(Pattern(ANY_NAMED_GRAPH),))
_CACHED = ("the whole answer was kept from an earlier query",)
# Address space that an evaluator is granted for each cached quad, twice over, with room for evaluating.
_BYTES_PER_CACHED_QUAD = 8192
_MAX_CACHED_QUADS = 1_000_000
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
        body: The result, serialised.
        media_type: Its format, by pyoxigraph's name.
        missing: Ids of the nodes whose graphs may be missing from it; none when it is complete.
        plan: What the query could see.
        plan: The query's plan.
        steps: The steps of answering it, in the order in which they ended.
        tier: ``PUSH_DOWN`` where nodes joined or filtered patterns, ``PULL`` where they sent all matching triples, ``CACHE``
            where earlier queries had fetched these.
        cached: Whether the whole answer comes from the cache.
    """

    body: bytes
    media_type: str
    missing: tuple[str, ...]
    plan: Plan
    steps: Sequence[Step] = field(default=(), repr=False)
    tier: str = PULL
    cached: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for its tier, in sentences."""
        return _CACHED if self.cached else reasons(self.plan, self.tier)


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
        cache_ttl: Seconds for which to cache answers, and quads of graphs without fingerprints; 0: cache nothing.
        store: The storage for cached answers; ``None``: cache none.
        services: Hosts that queries may call with SERVICE, in small letters, with their ports where these are not the usual
            ones.
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
    ) -> None:
        self.union_default_graph = union_default_graph
        self.services = services
        self._timeout = timeout
        self._limits = limits or Limits()
        self._memory_pool = MemoryPool(_QUERIES_THAT_FIT * self._limits.max_fetched_bytes)
        self._backend = Backend(
            Endpoints(source_timeout, pool_size),
            ThreadPoolExecutor(pool_size, thread_name_prefix="federation"),
            WorkerPool(workers, worker_memory),
            WidePatterns(),
            skolem,
        )
        self._quad_cache = QuadCache(
            worker_memory // _BYTES_PER_CACHED_QUAD if worker_memory else _MAX_CACHED_QUADS, cache_ttl
        )
        self._refresher = Refresher(self._quad_cache, self._backend, timeout, self._memory_pool) if cache_ttl else None
        self._result_cache = ResultCache(store, cache_ttl) if store is not None and cache_ttl else None
        self._plan_cache = PlanCache(self._backend.workers)
        self._turns = count()

    def prepare(
        self,
        text: str,
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        cancelled: Callable[[], bool] | None = None,
    ) -> PreparedQuery:
        """Analyse a query. Plans are cached by text.

        Args:
            text: The query.
            default_graphs: The protocol's ``default-graph-uri``: IRIs of the graphs whose union is the default graph. These
                and ``named_graphs`` replace the FROM clauses of the query.
            named_graphs: The protocol's ``named-graph-uri``: IRIs of the graphs that GRAPH can reach.
            cancelled: Asked again and again; the work ends once it says that the client has gone.

        Raises:
            QuerySyntaxError: The text is not a SPARQL 1.1 query, or the name of a graph not an IRI.
            QueryRefusedError: The query is not one to answer.
            QueryTimeoutError: No time was left to read it.
            QueryCancelledError: The client has gone.
        """
        budget = Budget(self._timeout, self._limits, cancelled, self._memory_pool)
        plan = self._plan_cache.plan(text, budget)
        if plan.services:
            check_services(plan.services, self.services)
        return PreparedQuery(text, plan, self._dataset(plan, default_graphs, named_graphs), budget)

    def answer(
        self, query: PreparedQuery, snapshot_for: SnapshotFor, *, media_type: str = "", fresh: bool = False
    ) -> Answer:
        """Answer a query, and replace nodes that fail or are slow by others that hold copies.

        An answer of a node is used again, whichever nodes take part in the end.

        Args:
            query: The query; its budget serves for one answer.
            snapshot_for: Returns a snapshot without the nodes of these ids, whose ``unavailable`` names the nodes whose graphs
                are lost without them.
            media_type: The format of the answer, by pyoxigraph's name; empty: as in ``DEFAULT_MEDIA_TYPES``.
            fresh: Whether to bypass all caches.

        Raises:
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            NotAcceptableError: The answer cannot be written in that format.
            SourceFailedError: No node is left to ask.
            QueryTimeoutError: The answer took too long.
            QueryCancelledError: The client has gone.
            ServiceFailedError: Another server, which the query calls, failed.
            ServerStoppingError: The engine is closed.
        """
        requests = HedgedRequests(
            self._backend.endpoints,
            self._backend.threads,
            query.budget,
            snapshot_for,
            None if fresh else next(self._turns),
        )
        media_type = media_type or DEFAULT_MEDIA_TYPES[query.plan.form]
        try:
            while True:
                with requests.failover() as snapshot:
                    execution = QueryExecution(
                        self._backend, query.plan, query.dataset, snapshot, query.budget, requests
                    )
                    answer = self._attempt(query.text, execution, media_type, snapshot_for, fresh)
                    if not isinstance(answer, Reselected):
                        return answer
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
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """Prepare and answer a query; see :meth:`prepare` and :meth:`answer` for arguments and errors."""
        query = self.prepare(text, default_graphs=default_graphs, named_graphs=named_graphs, cancelled=cancelled)
        return self.answer(query, snapshot_for, media_type=media_type, fresh=fresh)

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
        if self._refresher:
            self._refresher.close()
        self._backend.workers.close()
        self._backend.threads.shutdown(wait=False, cancel_futures=True)
        self._backend.endpoints.close()

    def _attempt(
        self, text: str, execution: QueryExecution, media_type: str, snapshot_for: SnapshotFor, fresh: bool
    ) -> Answer | Reselected:
        """Answer from a cache, or fetch and evaluate."""
        snapshot, plan, steps = execution.snapshot, execution.plan, execution.budget.trace.steps
        if snapshot.unavailable and not snapshot.sources:
            raise SourceFailedError(
                f"no catalogue node answers; missing: {', '.join(snapshot.unavailable)}", snapshot.unavailable
            )
        key = ""
        if self._result_cache and not fresh and snapshot.version and not snapshot.unavailable and not plan.is_volatile:
            key = result_cache.key(text, execution.dataset, media_type, snapshot.version)
            if found := self._result_cache.get(key):
                return Answer(found.body, media_type, (), plan, steps, found.tier, cached=True)
        body = None if fresh else self._over_cache(text, execution, media_type, snapshot_for)
        if body is not None:
            tier, seconds = CACHE, self._quad_cache.seconds_left()
        elif plan.form == "DESCRIBE":
            tier, seconds = PULL, _max_age(snapshot)
            body = describe(execution, text, media_type)
        else:
            tier, seconds = PUSH_DOWN if plan.bgps or plan.joins else PULL, _max_age(snapshot)
            merged = execution.fetch_for_query()
            body = merged if isinstance(merged, Reselected) else execution.evaluate(text, merged, media_type)
        if isinstance(body, Reselected):
            return body
        missing = execution.missing()
        if key and self._result_cache and not missing and execution.is_of_one_version():
            self._result_cache.put(key, result_cache.CachedResult(body, tier), seconds)
        return Answer(body, media_type, missing, plan, steps, tier)

    def _over_cache(
        self, text: str, execution: QueryExecution, media_type: str, snapshot_for: SnapshotFor
    ) -> bytes | Reselected | None:
        """Answer from cached quads; ``None`` when the nodes have to be asked."""
        plan = _ALL if execution.plan.form == "DESCRIBE" else execution.plan
        if (
            self._refresher is None
            or execution.plan.services
            or execution.dataset.given
            or not self.union_default_graph
        ):
            return None
        serves = self._refresher.serves(plan, execution, snapshot_for)
        if isinstance(serves, Reselected):
            return serves
        if not serves:
            return None
        try:
            return execution.evaluate_cached(text, self._quad_cache, plan, media_type)
        except NotCachedError as error:
            if error.for_good:
                self._refresher.give_up()
            return None

    def _dataset(self, plan: Plan, default_graphs: Sequence[str], named_graphs: Sequence[str]) -> Dataset:
        if default_graphs or named_graphs:
            for graph in (*default_graphs, *named_graphs):
                _check_iri(graph)
            return Dataset(frozenset(default_graphs), frozenset(named_graphs), given=True, overrides=True)
        if plan.has_dataset:
            return Dataset(frozenset(plan.from_default), frozenset(plan.from_named), given=True)
        return Dataset(None if self.union_default_graph else frozenset(), None)


def _max_age(snapshot: Snapshot) -> float:
    """Return for how long an answer may be cached: graphs without fingerprints change without notice."""
    if snapshot.untracked is None:
        return 0.0
    return MIN_SECONDS if snapshot.untracked else math.inf


def _check_iri(graph: str) -> None:
    """Refuse a name that would break the syntax of a subquery."""
    try:
        pyoxigraph.NamedNode(graph)
    except ValueError:
        raise QuerySyntaxError(f"{graph[:200]!r} is not an IRI, so it names no graph") from None
