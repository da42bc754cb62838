"""One query over one snapshot of the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from topology.federation.errors import SourceFailed, UnreadableQuads
from topology.federation.jobs import Evaluate
from topology.federation.nodes import Budget, Nodes
from topology.federation.plan import DEFAULT_GRAPH, Dataset, Pattern, Plan
from topology.federation.request import Request, request
from topology.federation.rows import Rows
from topology.federation.sources import Snapshot, Source
from topology.federation.workers import Workers


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
            source: self.threads.submit(self._ask_one, source, asked.text)
            for source in sources
            if (source, asked.text) not in self.budgets.answers
        }
        failures: list[SourceFailed] = []
        errors: list[Exception] = []
        for future in futures.values():
            try:
                future.result()
            except SourceFailed as error:
                failures.append(error)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
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
