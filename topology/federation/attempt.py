"""One query over one snapshot of the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field

from topology.federation.errors import QueryTimeout, SourceFailed, UnreadableQuads
from topology.federation.jobs import Evaluate
from topology.federation.nodes import Budget, Nodes
from topology.federation.plan import DEFAULT_GRAPH, Dataset, Pattern, Plan
from topology.federation.request import Request, request
from topology.federation.rows import Rows
from topology.federation.sources import Snapshot, Source
from topology.federation.workers import Workers

# Seconds for a request to notice the deadline by itself, and tell more exactly what it waited for.
_GRACE = 0.25


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Attributes:
        most_triples: Triples pulled from the nodes and kept.
        most_pulled_bytes: Bytes that the nodes send, copies of graphs that are read from other nodes included.
        most_result_bytes: Bytes of the answer.
    """

    most_triples: int = 2_000_000
    most_pulled_bytes: int = 1024 * 1024 * 1024
    most_result_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Step:
    """What a query did, for those who want to know where its time went.

    Attributes:
        what: ``ask`` a node, ``sift`` its rows, or ``evaluate``.
        source: The node's id; empty for ``evaluate``.
        text: The query that was run.
        size: The bytes that came or went in.
        seconds: How long it took.
    """

    what: str
    source: str
    text: str
    size: int
    seconds: float


@dataclass
class Budgets:
    """What attempts at the same query share.

    Attributes:
        deadline: When the answer is due, by ``time.monotonic()``.
        pulled: What the nodes may send.
        answers: What nodes have sent: another attempt asks only those that it needs besides.
        steps: What was done.
    """

    deadline: float
    pulled: Budget
    answers: dict[tuple[Source, str], bytes] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    """One query over one snapshot: pulls quads, and evaluates queries over them.

    Attributes:
        plan: What the query can see.
        dataset: Where it looks.
        snapshot: Which graphs are read from which node.
        limits: What it may use.
        budgets: What it shares with other attempts.
        skolem: How IRIs begin that stand for blank nodes.
        nodes: Connections to the nodes.
        threads: Ask the nodes side by side.
        workers: Evaluate.
        asked: What the nodes were asked.
    """

    plan: Plan
    dataset: Dataset
    snapshot: Snapshot
    limits: Limits
    budgets: Budgets
    skolem: str
    nodes: Nodes
    threads: Executor
    workers: Workers
    asked: list[Request] = field(default_factory=list)

    def pull(self, patterns: Iterable[Pattern], graph_names: Iterable[str] = ()) -> Rows:
        """One copy of the quads of the dataset that match any of some patterns, and of the graphs that exist.

        Args:
            patterns: As in ``Plan.patterns``.
            graph_names: As in ``Plan.graph_names``.

        Raises:
            SourceFailed: Some nodes did not answer.
            QueryTimeout: The deadline is over.
            TooLarge: A limit is passed.
        """
        patterns, graph_names = tuple(patterns), tuple(graph_names)
        default, named = self.dataset.default, self.dataset.named
        reads_default = any(pattern.graph == DEFAULT_GRAPH for pattern in patterns)
        reads_named = bool(graph_names) or any(pattern.graph != DEFAULT_GRAPH for pattern in patterns)
        rows = Rows(
            self.snapshot,
            lambda graph: reads_default and (default is None or graph in default),
            lambda graph: reads_named and (named is None or graph in named),
            self.skolem,
            self.limits.most_triples,
        )
        asked = request(patterns, graph_names, self.dataset)
        if asked:
            self.asked.append(asked)
            for number, (source, body) in enumerate(self._ask(asked)):
                start = time.perf_counter()
                rows.add(source, number, body)
                self._note("sift", source.id, "", len(body), start)
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

    def missing(self) -> tuple[str, ...]:
        """The ids of the nodes whose graphs may be missing from the answer.

        None when only graphs were asked for that live nodes are known to hold.
        """
        live = {source.id for source in self.snapshot.sources}
        known = all(
            asked.graphs is not None and all(self.snapshot.holders.get(graph) in live for graph in asked.graphs)
            for asked in self.asked
        )
        return () if known else self.snapshot.missing

    def _evaluate(self, text: str, rows: Rows, media_type: str) -> bytes:
        start = time.perf_counter()
        quads = rows.quads()
        named = self.dataset.named
        job = Evaluate(
            text,
            quads,
            tuple(rows.graphs),
            media_type,
            self.limits.most_result_bytes,
            stored_default_graph=self.dataset.given,
            named_graphs=tuple(named or ()) if self.dataset.overrides else None,
        )
        result = self.workers.evaluate(job, self.budgets.deadline)
        self._note("evaluate", "", text, len(quads), start)
        return result

    def _ask(self, asked: Request) -> list[tuple[Source, bytes]]:
        """What every node that may hold a wanted graph answers, side by side."""
        sources = [source for source in self.snapshot.sources if self._concerns(source, asked)]
        futures = {
            self.threads.submit(self._ask_one, source, asked.text): source.id
            for source in sources
            if (source, asked.text) not in self.budgets.answers
        }
        done, late = wait(futures, timeout=max(self.budgets.deadline - time.monotonic(), 0) + _GRACE)
        if late:
            for future in late:
                future.cancel()
            raise QueryTimeout(f"waited for {', '.join(sorted(futures[future] for future in late))}")
        errors = [error for future in done if (error := future.exception())]
        failures = [error for error in errors if isinstance(error, SourceFailed)]
        if len(errors) > len(failures):
            raise next(error for error in errors if not isinstance(error, SourceFailed))
        if failures:
            failed = frozenset[str]().union(*(failure.sources for failure in failures))
            raise SourceFailed("; ".join(map(str, failures)), failed)
        return [(source, self.budgets.answers[source, asked.text]) for source in sources]

    def _ask_one(self, source: Source, text: str) -> None:
        start = time.perf_counter()
        body = self.nodes.ask(source, text, self.budgets.deadline, self.budgets.pulled)
        self.budgets.answers[source, text] = body
        self._note("ask", source.id, text, len(body), start)

    def _concerns(self, source: Source, asked: Request) -> bool:
        return asked.graphs is None or any(self.snapshot.keeps(graph, source.id) for graph in asked.graphs)

    def _note(self, what: str, source: str, text: str, size: int, start: float) -> None:
        self.budgets.steps.append(Step(what, source, text, size, time.perf_counter() - start))
