"""SPARQL queries over the graphs of many nodes, answered as one store would that holds each graph once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import NamedTuple, TypeVar

import pyoxigraph

from federation.analysis.plan import ANY_NAMED_GRAPH, Dataset, Pattern, Plan
from federation.analysis.plan_cache import Plans
from federation.analysis.reasons import reasons
from federation.analysis.services import check_services
from federation.budget import Effort, Hold, Limits, Step
from federation.caching import result_cache
from federation.caching.quad_cache import AT_LEAST, Kept
from federation.caching.refresh import Keeping, Later, Pull, Pulled, Work
from federation.caching.result_cache import Results, TextStore
from federation.describe import describe
from federation.errors import NotKept, QuerySyntaxError, SourceFailed
from federation.evaluation.pool import Workers
from federation.execution import Attempt
from federation.fetching.endpoints import Nodes
from federation.fetching.hedging import Asking, OtherNodes
from federation.fetching.semi_join import WidePatterns
from federation.protocol.negotiation import Format, choose
from federation.skolem import PREFIX
from federation.source_selection import Snapshot

Result = TypeVar("Result")

_NO_PLAN = Plan(form="SELECT", patterns=())
# What a DESCRIBE can see: the triples of whatever it finds.
_ALL = Plan(form="DESCRIBE", patterns=(Pattern(ANY_NAMED_GRAPH),))
_CACHED = ("the whole answer was kept from an earlier query",)
# Address space that an evaluator is granted for each quad that it may keep, twice over, with room for evaluating.
_BYTES_FOR_A_KEPT_QUAD = 8192
_MOST_KEPT = 1_000_000
# Bytes that nodes may send for each quad that may be kept, copies included.
_BYTES_SENT_FOR_A_QUAD = 1000
# So many of the largest queries may hold what nodes sent at the same time.
_QUERIES_THAT_FIT = 2


@dataclass(frozen=True)
class Answer:
    """The answer to a query.

    Attributes:
        body: The result, serialised.
        content_type: Its media type.
        missing: Ids of the nodes whose graphs may be missing from it; none when it is complete.
        plan: What the query could see.
        steps: What was done for it, in the order in which it ended.
        tier: ``A`` where patterns were joined or filtered at the nodes, ``B`` where the triples that match them were pulled,
            ``kept`` where those of earlier queries were used.
        reasons: Why so.
        cached: Whether the whole answer was kept from an earlier query.
    """

    body: bytes
    content_type: str
    missing: tuple[str, ...]
    plan: Plan
    steps: Sequence[Step] = field(default=(), repr=False)
    tier: str = "B"
    reasons: tuple[str, ...] = ()
    cached: bool = False


class _Keep(NamedTuple):
    """Whether a query goes past what is kept, and how to do work for later ones."""

    fresh: bool
    later: Later


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
        limits: What one query may use.
        pool_size: Requests to nodes at the same time, of all queries together.
        workers: Queries read or evaluated at the same time, each by a process of its own.
        worker_memory: Bytes of address space that each of these processes may take; 0: no bound.
        skolem: How IRIs begin that stand for blank nodes and are shown as such.
        cache_ttl: Seconds for which answers are kept, and quads of which nobody says when they change; 0: nothing is kept.
        store: Where answers are kept; ``None``: they are not.
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
        self._hold = Hold(_QUERIES_THAT_FIT * self._limits.most_pulled_bytes)
        self._skolem = skolem
        self._nodes = Nodes(source_timeout, pool_size)
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="federation")
        self._wide = WidePatterns()
        self._workers = Workers(workers, worker_memory)
        self._kept = Kept(worker_memory // _BYTES_FOR_A_KEPT_QUAD if worker_memory else _MOST_KEPT, cache_ttl)
        self._keeping = Keeping(self._kept) if cache_ttl else None
        self._results = Results(store, cache_ttl) if store is not None and cache_ttl else None
        self._plans = Plans(self._workers)
        self._turns = count()

    def plan(self, text: str) -> Plan:
        """What a query can see. Plans are kept by text.

        Args:
            text: The query.

        Raises:
            QuerySyntaxError: It is no SPARQL 1.1 query.
            QueryRefused: It is not one to answer.
            QueryTimeout: No time was left to read it.
        """
        return self._plan(text, Effort(self._timeout, self._limits))

    def query(
        self,
        text: str,
        snapshot: Snapshot,
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        accept: str = "*/*",
    ) -> Answer:
        """Answer a query from the nodes of one snapshot, all of which have to answer.

        Args:
            text: The query.
            snapshot: Which graphs are read from which node.
            default_graphs: See ``query_with_failover``.
            named_graphs: See ``query_with_failover``.
            accept: See ``query_with_failover``.

        Raises:
            SourceFailed: A node failed; ``sources`` says which.
            FederationError: See ``query_with_failover``.
        """

        def snapshot_for(avoided: frozenset[str]) -> Snapshot:
            return Snapshot(()) if avoided else snapshot

        return self.query_with_failover(
            text, snapshot_for, default_graphs=default_graphs, named_graphs=named_graphs, accept=accept, fresh=True
        )

    def query_with_failover(
        self,
        text: str,
        snapshot_for: Callable[[frozenset[str]], Snapshot],
        *,
        default_graphs: Sequence[str] = (),
        named_graphs: Sequence[str] = (),
        accept: str = "*/*",
        fresh: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Answer a query, and replace nodes that fail or are slow by others that hold copies.

        What nodes have sent once is used again, whichever nodes take part in the end.

        Args:
            text: The query.
            snapshot_for: A snapshot without the nodes of these ids. Its ``missing`` tells what is lost without them.
            default_graphs: The protocol's ``default-graph-uri``: IRIs of the graphs whose union is the default graph. With
                these or ``named_graphs`` given, the FROM clauses of the query count for nothing.
            named_graphs: The protocol's ``named-graph-uri``: IRIs of the graphs that GRAPH can reach.
            accept: An HTTP Accept header.
            fresh: Whether to go past all that is kept of earlier queries.
            cancelled: Asked again and again; the work ends once it says that nobody waits for the answer any more.

        Raises:
            QuerySyntaxError: It is no SPARQL 1.1 query.
            QueryRefused: It is not one to answer, or not within the limits.
            NotAcceptable: The answer cannot be had in that format.
            SourceFailed: No node is left to ask.
            QueryTimeout: It took too long.
            QueryCancelled: Nobody waits for the answer any more.
            ServiceFailed: Another server, which the query calls, failed.
            ServerStopping: The engine is closed.
        """
        effort = Effort(self._timeout, self._limits, cancelled, self._hold)
        plan = self._plan(text, effort)
        chosen = choose(plan.form, accept)
        dataset = self._dataset(plan, default_graphs, named_graphs)

        def answer(asking: Asking) -> Answer:
            attempt = self._attempt(plan, dataset, asking.snapshot(), effort, asking)
            return self._answer(text, attempt, chosen, _Keep(fresh, partial(self._later, snapshot_for)))

        return self._with_failover(snapshot_for, effort, answer, None if fresh else next(self._turns))

    def close(self) -> None:
        """Stop everything; queries under way fail."""
        if self._keeping:
            self._keeping.close()
        self._workers.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._nodes.close()

    def _with_failover(
        self,
        snapshot_for: Callable[[frozenset[str]], Snapshot],
        effort: Effort,
        work: Callable[[Asking], Result],
        turn: int | None = None,
    ) -> Result:
        """Do some work, again with other nodes when some fail or are slow."""
        asking = Asking(self._nodes, self._threads, effort, snapshot_for, turn)
        try:
            while True:
                with suppress(OtherNodes):
                    try:
                        return work(asking)
                    except SourceFailed as error:
                        if not error.sources or not asking.snapshot().sources:
                            raise
                        asking.do_without(error.sources, str(error))
        finally:
            effort.end()

    def _attempt(
        self, plan: Plan, dataset: Dataset, snapshot: Snapshot, effort: Effort, asking: Asking, first_number: int = 0
    ) -> Attempt:
        return Attempt(
            plan=plan,
            dataset=dataset,
            snapshot=snapshot,
            effort=effort,
            skolem=self._skolem,
            asking=asking,
            workers=self._workers,
            wide=self._wide,
            first_number=first_number,
        )

    def _answer(self, text: str, attempt: Attempt, chosen: Format, keep: _Keep) -> Answer:
        snapshot, plan = attempt.snapshot, attempt.plan
        if snapshot.missing and not snapshot.sources:
            raise SourceFailed(f"no catalogue node answers; missing: {', '.join(snapshot.missing)}", snapshot.missing)
        key = ""
        if self._results and not keep.fresh and snapshot.version and not snapshot.missing and not plan.is_volatile:
            key = result_cache.key(text, attempt.dataset, chosen.media_type, snapshot.version)
            if found := self._results.get(key):
                return Answer(
                    found.body, chosen.content_type, (), plan, attempt.effort.steps, found.tier, _CACHED, True
                )
        body, seconds = self._over_kept(text, attempt, chosen, keep), self._kept.seconds_left()
        if body is not None:
            tier = "kept"
        elif plan.form == "DESCRIBE":
            tier, body, seconds = "B", describe(attempt, text, chosen.media_type), _seconds_it_holds(snapshot)
        else:
            tier = "A" if plan.blocks or plan.joins else "B"
            rows = attempt.pull_for_query()
            body, seconds = attempt.evaluate(text, rows, chosen.media_type), _seconds_it_holds(snapshot)
        missing = attempt.missing()
        if key and self._results and not missing and attempt.is_of_one_version():
            self._results.put(key, result_cache.Result(body, tier), seconds)
        return Answer(body, chosen.content_type, missing, plan, attempt.effort.steps, tier, reasons(plan, tier))

    def _over_kept(self, text: str, attempt: Attempt, chosen: Format, keep: _Keep) -> bytes | None:
        """The answer from kept quads; ``None`` when the nodes have to be asked."""
        plan = _ALL if attempt.plan.form == "DESCRIBE" else attempt.plan
        if (
            self._keeping is None
            or keep.fresh
            or attempt.plan.services
            or attempt.dataset.given
            or not self.union_default_graph
        ):
            return None
        pull = self._pull_for(attempt.effort, attempt.asking)
        if not self._keeping.serves(plan, attempt.snapshot, pull, keep.later):
            return None
        try:
            return attempt.evaluate_over_kept(text, self._kept, plan, chosen.media_type)
        except NotKept as error:
            if error.for_good:
                self._keeping.give_up()
            return None

    def _pull_for(self, effort: Effort, asking: Asking) -> Pull:
        def pull(
            snapshot: Snapshot, patterns: tuple[Pattern, ...], graphs: frozenset[str] | None, first_number: int
        ) -> Pulled:
            attempt = self._attempt(_NO_PLAN, Dataset(frozenset(), graphs), snapshot, effort, asking, first_number)
            rows = attempt.pull(patterns)
            return Pulled(rows, attempt.as_read())

        return pull

    def _later(self, snapshot_for: Callable[[frozenset[str]], Snapshot], work: Work) -> None:
        most = self._kept.most_quads
        limits = Limits(most_triples=most, most_pulled_bytes=most * _BYTES_SENT_FOR_A_QUAD)
        effort = Effort(self._timeout, limits, hold=self._hold)
        self._with_failover(
            snapshot_for, effort, lambda asking: work(asking.snapshot(), self._pull_for(effort, asking))
        )

    def _dataset(self, plan: Plan, default_graphs: Sequence[str], named_graphs: Sequence[str]) -> Dataset:
        if default_graphs or named_graphs:
            for graph in (*default_graphs, *named_graphs):
                _check_iri(graph)
            return Dataset(frozenset(default_graphs), frozenset(named_graphs), given=True, overrides=True)
        if plan.has_dataset:
            return Dataset(frozenset(plan.from_default), frozenset(plan.from_named), given=True)
        return Dataset(None if self.union_default_graph else frozenset(), None)

    def _plan(self, text: str, effort: Effort) -> Plan:
        plan = self._plans.of(text, effort)
        check_services(plan.services, self.services)
        return plan


def _seconds_it_holds(snapshot: Snapshot) -> float:
    """For how long an answer may be kept: nobody tells when graphs change that nobody placed, or which there are."""
    if snapshot.unmarked is None:
        return 0.0
    return AT_LEAST if snapshot.unmarked else math.inf


def _check_iri(graph: str) -> None:
    """Graphs' names become a part of what the nodes are asked."""
    try:
        pyoxigraph.NamedNode(graph)
    except ValueError:
        raise QuerySyntaxError(f"{graph[:200]!r} is not an IRI, so it names no graph") from None
