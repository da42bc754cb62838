"""An answer beside that of one store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from federation.engine import Answer, Engine
from federation.source_selection import Snapshot
from tests.differential.grammar import PROLOGUE, Query
from tests.differential.reference import Reference, Result

SLOW = 2.0  # seconds of evaluation after which a random query is not worth its time


def ask(
    engine: Engine, query: Query, snapshot_for: Callable[[frozenset[str]], Snapshot], *, fresh: bool = False
) -> Answer:
    """The federation's answer to a query, over the dataset that goes with it."""
    return engine.query_with_failover(
        PROLOGUE + query.text + ("" if query.limit is None else f" LIMIT {query.limit}"),
        snapshot_for,
        default_graphs=query.default if query.by_request else (),
        named_graphs=query.named if query.by_request else (),
        fresh=fresh,
    )


def expected(reference: Reference, query: Query) -> Result | None:
    """What one store answers; ``None`` when the query is not valid, or takes long."""
    start = time.monotonic()
    try:
        if query.has_dataset:
            result = reference.answer_over(PROLOGUE + query.text, query.default, query.named)
        else:
            result = reference.answer(PROLOGUE + query.text)
    except SyntaxError:
        return None
    return result if time.monotonic() - start < SLOW else None


def same(answer: Answer, reference: Reference, query: Query) -> bool:
    """Whether an answer is that of one store."""
    truth = expected(reference, query)
    if truth is None:
        return True
    found = Result.read(answer.body, answer.media_type)
    return found.some_of(truth, query.limit) if query.limit is not None else found.same(truth, ordered=query.ordered)


def compare(answer: Answer, reference: Reference, query: Query, before: Sequence[str] = ()) -> None:
    """Fail, with both answers, what happened before, and what the nodes were asked, unless they are the same."""
    if same(answer, reference, query):
        return
    truth, found = expected(reference, query), Result.read(answer.body, answer.media_type)
    asked = "\n".join(["", *before, ""])
    asked += "\n".join(f"{step.what} {step.source}: {step.text}" for step in answer.steps)
    raise AssertionError(
        f"\n{PROLOGUE}{query.text} LIMIT {query.limit}\ndefault graph: {query.default}, named graphs: {query.named}"
        f"\nmissing: {answer.missing}, tier {answer.tier}: {'; '.join(answer.reasons)}"
        f"\nthe federation answers {found}\none store answers {truth}\n{asked}"
    )
