"""One query over one selection of nodes, from fetching to evaluating."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from federation.analysis.lexer import QueryText
from federation.analysis.plan import DEFAULT_GRAPH, Dataset, Pattern, Plan, PushedBGP, Seed
from federation.budget import Budget
from federation.errors import NotEnoughError, QuerySyntaxError, TooLargeError, UnreadableQuadsError
from federation.evaluation.messages import Evaluate
from federation.evaluation.pool import Result, WorkerPool
from federation.fetching.endpoints import Endpoints
from federation.fetching.hedging import HedgedRequests, Reselected
from federation.fetching.merge import MergedQuads
from federation.fetching.semi_join import SemiJoins, WidePatterns
from federation.fetching.staleness import Round, is_of_one_version
from federation.fetching.subquery import Subquery, subquery
from federation.fetching.terms import can_be_asked_for
from federation.source_selection import Snapshot, Source

# Rows of copies that do not count are among those that a node sends.
_FIRST_ROWS = 100
_MORE_TIMES = 20
MOST_SEEDS = 300
"""The number of terms of one variable by which a query can be narrowed to some of its solutions."""

NO_PLAN = Plan(form="SELECT", patterns=())
"""The plan of an execution that only fetches."""


class Backend(NamedTuple):
    """The parts that all queries of an engine share.

    Attributes:
        endpoints: Connections to the nodes.
        threads: Send the requests.
        workers: Evaluate queries.
        wide: Patterns that match too much to narrow others.
        skolem: The prefix of IRIs that stand for blank nodes.
    """

    endpoints: Endpoints
    threads: ThreadPoolExecutor
    workers: WorkerPool
    wide: WidePatterns
    skolem: str


class QueryExecution:
    """One query over certain nodes: fetches quads, and evaluates queries over them.

    Args:
        backend: The engine's shared parts.
        plan: The quads that the query can match.
        dataset: The graphs that it looks into.
        snapshot: The node that each graph is read from, to begin with.
        budget: The query's budget.
        requests: The query's requests to the nodes.
        first_number: The first of the numbers that tell the blank nodes of one answer from those of others.
        stream_from: As in ``Evaluate.stream_from``.
    """

    def __init__(
        self,
        backend: Backend,
        plan: Plan,
        dataset: Dataset,
        snapshot: Snapshot,
        budget: Budget,
        requests: HedgedRequests,
        first_number: int = 0,
        stream_from: int = 0,
    ) -> None:
        self.backend = backend
        self.plan = plan
        self.dataset = dataset
        self.snapshot = snapshot
        self.budget = budget
        self.requests = requests
        self._first_number = first_number
        self._stream_from = stream_from
        self._rounds: list[Round] = []

    def fetch_for_query(self) -> MergedQuads | Reselected:
        """Fetch every quad that the query can match, using push-down where the plan allows it.

        Raises:
            FederationError: As for :meth:`fetch`.
        """
        plan = self.plan
        of_default = plan.joins if self.dataset.default != frozenset() else ()
        if not of_default and not plan.walks:
            return self.fetch(plan.others, plan.graph_names, plan.bgps)
        joins = SemiJoins(of_default, self.backend.wide, plan.walks)
        if guesses := joins.guesses():
            found = self.fetch((), (), guesses, guesses)
            if isinstance(found, Reselected):
                return found
            if joins.take(found.terms):
                merged = self._fetch_narrowed(joins)
                if isinstance(merged, Reselected) or joins.hold(merged.terms):
                    return merged
            joins.guessed_wrong()
            joins = SemiJoins(of_default, self.backend.wide, plan.walks)
        while bgps := joins.next_round():
            found = self.fetch((), (), bgps, bgps)
            if isinstance(found, Reselected):
                return found
            joins.found(found.terms)
        merged = self._fetch_narrowed(joins)
        if isinstance(merged, Reselected) or joins.hold(merged.terms):
            return merged
        return self.fetch((*plan.others, *joins.patterns()), plan.graph_names, plan.bgps)

    def _fetch_narrowed(self, joins: SemiJoins) -> MergedQuads | Reselected:
        """Fetch every quad that the query can match, those of joins as narrow as they can be."""
        plan = self.plan
        return self.fetch(plan.others, plan.graph_names, (*plan.bgps, *joins.narrowed()), joins.finders())

    def fetch(
        self,
        patterns: Iterable[Pattern],
        graph_names: Iterable[str] = (),
        bgps: Iterable[PushedBGP] = (),
        watched: Iterable[PushedBGP] = (),
        most_rows: int = 0,
    ) -> MergedQuads | Reselected:
        """Fetch one copy of the quads of the dataset that match any of some patterns or bgps, and of the graphs that exist.

        Args:
            patterns: As in ``Plan.patterns``.
            graph_names: As in ``Plan.graph_names``.
            bgps: As in ``Plan.bgps``.
            watched: The bgps whose variables' terms are to be collected.
            most_rows: The number of rows after which each node may stop; 0: none.

        Returns:
            The quads, or ``Reselected`` when the query has to start again from other nodes.

        Raises:
            SourceFailedError: Some nodes did not answer.
            QueryTimeoutError: The deadline has passed.
            TooLargeError: The query exceeds a limit.
        """
        patterns, graph_names, bgps = tuple(patterns), tuple(graph_names), tuple(dict.fromkeys(bgps))
        watched = frozenset(watched)
        looked_into = {pattern.graph for pattern in patterns} | {bgp.graph for bgp in bgps}
        reads_default = DEFAULT_GRAPH in looked_into
        reads_named = bool(graph_names) or bool(looked_into - {DEFAULT_GRAPH})
        merged = MergedQuads(
            self.dataset.default if reads_default else frozenset(),
            self.dataset.named if reads_named else frozenset(),
            self.backend.skolem,
            self.budget.limits.max_triples,
            watched,
        )
        # Go on from the snapshot of the last round: the answers at hand are no older, and earlier moves are known.
        snapshot = self._rounds[-1].before if self._rounds else self.snapshot
        number, only, collected = self._first_number, None, True
        while asked := subquery(patterns, graph_names, self.dataset, bgps, watched, only, most_rows):
            answers = self._ask(asked, snapshot)
            if isinstance(answers, Reselected):
                return answers
            movement = self.requests.moved(snapshot, asked.graphs)
            if isinstance(movement, Reselected):
                return movement
            now, moved = movement
            done = Round(snapshot, asked, now, moved, {})
            self._rounds.append(done)
            for source, body in answers:
                start, before = time.perf_counter(), len(merged)
                try:
                    merged.add(source, number, body, done.counts(source), asked.bgps)
                except TooLargeError as error:
                    self.backend.endpoints.check_count(source, asked, self.budget, error)
                    raise
                merged.is_cut |= 0 < most_rows <= body.count(b"\n")
                self.budget.trace.record("sift", source.id, "", len(merged) - before, len(body), start)
                number += 1
            collected &= watched <= set(asked.bgps.values())
            if not moved:
                break
            snapshot, only = now, moved
        if not collected:
            merged.terms.clear()  # some are missing
        return merged

    def answer_from_some(self, text: str, media_type: str, rows: int) -> Result | Reselected | None:
        """Answer from the first matches within one graph that nodes send, where these give enough rows.

        Each solution over some of the quads is one over all of them where the plan is monotone. A first attempt that nodes did
        not cut short has all that such matches can give.

        Args:
            text: The query.
            media_type: The format of the result, by pyoxigraph's name.
            rows: The number of rows that are enough.

        Returns:
            The answer; ``Reselected`` when the query has to start again from other nodes; ``None`` when it needs more quads.

        Raises:
            FederationError: As for :meth:`fetch` and :meth:`evaluate`.
        """
        if self.plan.seed:
            return self._answer_about_some(text, media_type, rows, self.plan.seed)
        samples = self.plan.samples
        is_whole = self.plan.is_sampled_whole
        for most_rows in (_FIRST_ROWS + 2 * rows, _MORE_TIMES * (_FIRST_ROWS + 2 * rows))[
            : 2 if len(samples) == 1 else 1
        ]:
            merged = self.fetch((), (), samples, most_rows=most_rows)
            if isinstance(merged, Reselected):
                return merged
            with suppress(NotEnoughError):
                return self.evaluate(text, merged, media_type, at_least=rows if merged.is_cut or not is_whole else 0)
            if not merged.is_cut:
                break
        return None

    def _answer_about_some(self, text: str, media_type: str, rows: int, seed: Seed) -> Result | Reselected | None:
        """Answer with the solutions that have some terms of one variable: a query with another filter has some of its rows."""
        merged = self.fetch((), (), (seed.bgp,), (seed.bgp,), most_rows=_FIRST_ROWS + 2 * rows)
        if isinstance(merged, Reselected):
            return merged
        found = merged.terms.get(seed.bgp, {}).get(seed.number, set())
        chosen = [
            term for term in sorted(found) if can_be_asked_for(term) and not term.startswith(f"<{self.backend.skolem}")
        ]
        if not merged.is_cut or not chosen:
            return None
        narrowed = QueryText(text).narrowed(seed.variable, chosen[:MOST_SEEDS])
        with suppress(NotEnoughError, QuerySyntaxError):
            plan = self.backend.workers.analyse(narrowed, self.budget)
            some = QueryExecution(
                self.backend,
                plan,
                self.dataset,
                self.snapshot,
                self.budget,
                self.requests,
                stream_from=self._stream_from,
            )
            some._rounds = self._rounds
            quads = some.fetch_for_query()
            return quads if isinstance(quads, Reselected) else some.evaluate(narrowed, quads, media_type, rows)
        return None

    def evaluate(self, text: str, merged: MergedQuads, media_type: str, at_least: int = 0) -> Result:
        """Evaluate a query over fetched quads.

        Args:
            text: The query.
            merged: All quads that it can match.
            media_type: The format of the result, by pyoxigraph's name.
            at_least: As in ``Evaluate.at_least``.

        Raises:
            NotEnoughError: The result has fewer rows.
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            QueryTimeoutError: The evaluation took too long.
            SourceFailedError: A node sent invalid RDF.
        """
        try:
            return self._evaluate(text, merged, media_type, at_least)
        except UnreadableQuadsError:
            merged.check()
            raise

    def missing(self) -> tuple[str, ...]:
        """Return the ids of the nodes whose graphs may be missing from the answer.

        There are none when the query asks only for graphs that live nodes are known to hold.
        """
        return tuple(sorted({node for done in self._rounds for node in done.missing()}))

    def is_of_one_version(self) -> bool:
        """Return whether the catalogue's version stayed the same from the first request to the last answer."""
        return is_of_one_version(self.snapshot, self._rounds)

    def _evaluate(self, text: str, merged: MergedQuads, media_type: str, at_least: int) -> Result:
        start = time.perf_counter()
        quads = merged.quads()
        named = self.dataset.named
        job = Evaluate(
            text,
            quads,
            tuple(merged.graphs),
            media_type,
            self.budget.limits.max_result_bytes,
            stored_default_graph=self.dataset.given,
            named_graphs=tuple(named or ()) if self.dataset.overrides else None,
            services=self.plan.services,
            graph_by_graph=self.plan.graph_by_graph,
            path_ends=self.plan.path_ends,
            columns=self.plan.columns,
            at_least=at_least,
            stream_from=self._stream_from,
        )
        result = self.backend.workers.evaluate(job, self.budget)
        self.budget.trace.record("evaluate", "", text, len(merged), len(quads), start)
        return result

    def _ask(self, asked: Subquery, snapshot: Snapshot) -> list[tuple[Source, bytes]] | Reselected:
        """Ask every node that may hold a wanted graph."""
        sources = [
            source
            for source in snapshot.sources
            if asked.graphs is None or any(snapshot.reads(graph, source.id) for graph in asked.graphs)
        ]
        return self.requests.ask(snapshot, sources, asked)
