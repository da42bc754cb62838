"""One query over the nodes, from pulling to evaluating."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from federation.analysis.plan import DEFAULT_GRAPH, Block, Dataset, Pattern, Plan
from federation.budget import Effort
from federation.caching.quad_cache import Kept
from federation.errors import UnreadableQuads
from federation.evaluation.messages import Evaluate
from federation.evaluation.pool import Workers
from federation.fetching.hedging import Asking
from federation.fetching.merge import Rows
from federation.fetching.rounds import Round, as_read, is_of_one_version
from federation.fetching.semi_join import Found, SemiJoin, WidePatterns, in_rounds
from federation.fetching.subquery import Request, request
from federation.source_selection import Snapshot, Source


@dataclass(frozen=True)
class Attempt:
    """One query over certain nodes: pulls quads, and evaluates queries over them.

    Attributes:
        plan: What the query can see.
        dataset: Where it looks.
        snapshot: Which graphs are read from which node, to begin with.
        effort: What it may use.
        skolem: How IRIs begin that stand for blank nodes.
        asking: Asks the nodes.
        workers: Evaluate.
        wide: Patterns that match too much to narrow others.
        first_number: The first of the numbers that tell the blank nodes of one answer from those of others.
        rounds: What the nodes have been asked, and what had moved when they had answered.
    """

    plan: Plan
    dataset: Dataset
    snapshot: Snapshot
    effort: Effort
    skolem: str
    asking: Asking
    workers: Workers
    wide: WidePatterns
    first_number: int = 0
    rounds: list[Round] = field(default_factory=list)

    def pull_for_query(self) -> Rows:
        """All that the query can see, as little of it as its plan allows; raises what :meth:`pull` does."""
        plan = self.plan
        joins = [SemiJoin(join, self.wide) for join in plan.joins] if self.dataset.default != frozenset() else []
        in_rounds(joins, self._terms)
        narrowed = [one.block for join in joins for one in join.all()]
        finders = [block for join in joins for block in join.finders()]
        rows = self.pull(plan.others, plan.graph_names, (*plan.blocks, *narrowed), finders)
        if all(join.holds(rows.terms) for join in joins):
            return rows
        return self.pull((*plan.others, *(p for join in joins for p in join.plainly())), plan.graph_names, plan.blocks)

    def _terms(self, blocks: Sequence[Block]) -> Sequence[Found]:
        found = self.pull((), (), blocks, blocks).terms
        return [found.get(block, {}) for block in blocks]

    def pull(
        self,
        patterns: Iterable[Pattern],
        graph_names: Iterable[str] = (),
        blocks: Iterable[Block] = (),
        watched: Iterable[Block] = (),
    ) -> Rows:
        """One copy of the quads of the dataset that match any of some patterns or blocks, and of the graphs that exist.

        Args:
            patterns: As in ``Plan.patterns``.
            graph_names: As in ``Plan.graph_names``.
            blocks: As in ``Plan.blocks``.
            watched: Those of them whose variables' terms are to be known.

        Raises:
            SourceFailed: Some nodes did not answer.
            QueryTimeout: The deadline is over.
            TooLarge: A limit is passed.
        """
        patterns, graph_names, blocks = tuple(patterns), tuple(graph_names), tuple(dict.fromkeys(blocks))
        watched = frozenset(watched)
        default, named = self.dataset.default, self.dataset.named
        looked_into = {pattern.graph for pattern in patterns} | {block.graph for block in blocks}
        reads_default = DEFAULT_GRAPH in looked_into
        reads_named = bool(graph_names) or bool(looked_into - {DEFAULT_GRAPH})
        rows = Rows(
            lambda graph: reads_default and (default is None or graph in default),
            lambda graph: reads_named and (named is None or graph in named),
            self.skolem,
            self.effort.limits.most_triples,
            watched,
        )
        # What has moved in an earlier pull is not to be found out once more; answers that are there already are no older.
        snapshot = self.rounds[-1].before if self.rounds else self.snapshot
        number, only, told = self.first_number, None, True
        while asked := request(patterns, graph_names, self.dataset, blocks, watched, only):
            answers = self._ask(asked, snapshot)
            now, moved = self.asking.moved(snapshot, asked.graphs)
            done = Round(snapshot, asked, now, moved)
            self.rounds.append(done)
            for source, body in answers:
                start, before = time.perf_counter(), len(rows)
                rows.add(source, number, body, done.counts(source), asked.blocks)
                self.effort.note("sift", source.id, "", len(rows) - before, len(body), start)
                number += 1
            told &= watched <= set(asked.blocks.values())
            if not moved:
                break
            snapshot, only = now, moved
        if not told:
            rows.terms.clear()  # there are others
        return rows

    def evaluate(self, text: str, rows: Rows, media_type: str) -> bytes:
        """Run a query over pulled quads.

        Args:
            text: The query.
            rows: All that it can see.
            media_type: The format of the result, one that pyoxigraph writes.

        Raises:
            QueryRefused: It cannot be evaluated, or not within the limits.
            QueryTimeout: It took too long.
            SourceFailed: A node sent what is no RDF.
        """
        try:
            return self._evaluate(text, rows, media_type)
        except UnreadableQuads:
            rows.mend()
            return self._evaluate(text, rows, media_type)

    def evaluate_over_kept(self, text: str, kept: Kept, plan: Plan, media_type: str) -> bytes:
        """Run a query over the quads that are kept; raises what :meth:`evaluate` does."""
        start = time.perf_counter()
        most = self.effort.limits.most_result_bytes
        result = self.workers.evaluate_over_kept(
            Evaluate(text, b"", (), media_type, most, over_kept=True), kept, plan, self.effort
        )
        self.effort.note("evaluate", "", text, kept.count, len(result), start)
        return result

    def missing(self) -> tuple[str, ...]:
        """The ids of the nodes whose graphs may be missing from the answer.

        None when only graphs were asked for that live nodes are known to hold.
        """
        return tuple(sorted({node for done in self.rounds for node in done.missing()}))

    def as_read(self) -> Snapshot:
        """The snapshot with the marks of what was read in the end; see :func:`~.pulling.rounds.as_read`."""
        return as_read(self.snapshot, self.rounds)

    def is_of_one_version(self) -> bool:
        """Whether the nodes were asked and had answered while the catalogue said the same all the time."""
        return is_of_one_version(self.snapshot, self.rounds)

    def _evaluate(self, text: str, rows: Rows, media_type: str) -> bytes:
        start = time.perf_counter()
        quads = rows.quads()
        named = self.dataset.named
        job = Evaluate(
            text,
            quads,
            tuple(rows.graphs),
            media_type,
            self.effort.limits.most_result_bytes,
            stored_default_graph=self.dataset.given,
            named_graphs=tuple(named or ()) if self.dataset.overrides else None,
            services=self.plan.services,
        )
        result = self.workers.evaluate(job, self.effort)
        self.effort.note("evaluate", "", text, len(rows), len(quads), start)
        return result

    def _ask(self, asked: Request, snapshot: Snapshot) -> list[tuple[Source, bytes]]:
        """What every node that may hold a wanted graph answers."""
        sources = [
            source
            for source in snapshot.sources
            if asked.graphs is None or any(snapshot.keeps(graph, source.id) for graph in asked.graphs)
        ]
        return self.asking.ask(snapshot, sources, asked)
