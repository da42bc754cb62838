"""One query over one snapshot of the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from topology.federation.effort import Effort
from topology.federation.errors import UnreadableQuads
from topology.federation.evaluating.jobs import Evaluate
from topology.federation.evaluating.workers import Workers
from topology.federation.keeping.kept import Kept
from topology.federation.pulling.asking import Asking
from topology.federation.pulling.request import Request, request
from topology.federation.pulling.rows import Rows
from topology.federation.pulling.semi_joins import Found, SemiJoin, WidePatterns, in_rounds
from topology.federation.reading.plan import DEFAULT_GRAPH, Block, Dataset, Pattern, Plan
from topology.federation.sources import Snapshot, Source


@dataclass(frozen=True)
class Attempt:
    """One query over one snapshot: pulls quads, and evaluates queries over them.

    Attributes:
        plan: What the query can see.
        dataset: Where it looks.
        snapshot: Which graphs are read from which node.
        effort: What it may use.
        skolem: How IRIs begin that stand for blank nodes.
        asking: Asks the nodes.
        workers: Evaluate.
        wide: Patterns that match too much to narrow others.
        went_by: What the nodes were asked, with the snapshots before the question and after the answers.
        first_number: The first of the numbers that tell the blank nodes of one answer from those of others.
    """

    plan: Plan
    dataset: Dataset
    snapshot: Snapshot
    effort: Effort
    skolem: str
    asking: Asking
    workers: Workers
    wide: WidePatterns
    went_by: list[tuple[Snapshot, Request]] = field(default_factory=list)
    first_number: int = 0

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
            self.snapshot,
            lambda graph: reads_default and (default is None or graph in default),
            lambda graph: reads_named and (named is None or graph in named),
            self.skolem,
            self.effort.limits.most_triples,
            watched,
        )
        snapshot, dataset, number = self.snapshot, self.dataset, self.first_number
        while asked := request(patterns, graph_names, dataset, blocks, watched):
            self.went_by.append((snapshot, asked))
            answers = self._ask(asked, snapshot)
            now, moved = self.asking.moved(snapshot)
            self.went_by.append((now, asked))  # nodes may be gone meanwhile that alone had something
            rows.snapshot = replace(snapshot, withheld=snapshot.withheld | moved)
            for source, body in answers:
                start, before = time.perf_counter(), len(rows)
                rows.add(source, number, body, asked.blocks)
                self.effort.note("sift", source.id, "", len(rows) - before, len(body), start)
                number += 1
            if not moved:
                break
            # It is asked for again, where it is now; all else has been read whole.
            snapshot, dataset = replace(now, only=moved), self.dataset.within(moved)
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
        missing: set[str] = set()
        for snapshot, asked in self.went_by:
            live = {source.id for source in snapshot.sources}
            if asked.graphs is None or any(snapshot.holders.get(graph) not in live for graph in asked.graphs):
                missing.update(snapshot.missing)
        return tuple(sorted(missing))

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
