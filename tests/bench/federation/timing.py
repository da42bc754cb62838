"""How long each side takes for each query, by turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.federation.checking import difference, read, size
from tests.bench.federation.client import Client, Reply
from tests.bench.federation.queries import Query, Words

WARM_UP = 2
"""Repetitions whose times do not count, at most as many as do; those in which answers are compared come before."""

CHECKED = 2
"""Variants of each query whose answers are compared."""


@dataclass
class Times:
    """The times of one query.

    Attributes:
        single: Seconds of the single store, a pair in each repetition: for the texts that the two others were asked.
        fresh: Seconds of the gateway past all its caches.
        normal: Seconds of the gateway as users ask it.
    """

    single: list[tuple[float, float]] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    normal: list[float] = field(default_factory=list)

    @property
    def single_seconds(self) -> float:
        """The median of the single store's times."""
        return statistics.median(seconds for pair in self.single for seconds in pair)

    @property
    def fresh_ratio(self) -> float:
        """The median of the gateway's time past its caches by the single store's for the same text."""
        return statistics.median(mine / pair[0] for mine, pair in zip(self.fresh, self.single, strict=True))

    @property
    def normal_ratio(self) -> float:
        """The median of the gateway's time by the single store's for the same text."""
        return statistics.median(mine / pair[1] for mine, pair in zip(self.normal, self.single, strict=True))


@dataclass
class Sides:
    """Who is asked.

    Attributes:
        single: The single store.
        fresh: The gateway, past its caches.
        normal: The gateway.
        words: What variants are made of.
    """

    single: Client
    fresh: Client
    normal: Client
    words: Words


def check(sides: Sides, queries: Sequence[Query], told: Callable[[str], None]) -> tuple[dict[str, int], list[Query]]:
    """Compare the gateway's answers with the single store's.

    Args:
        sides: Who is asked.
        queries: What.
        told: Called for each difference.

    Returns:
        By query, how many rows its largest answer had; nothing for a query of which an answer differs. And the queries that
        the single store does not answer, for which there is nothing to compare with.
    """
    sizes: dict[str, int] = {}
    unanswered = []
    for query in queries:
        differences = []
        for number in range(CHECKED if query.varies else 1):
            text = query.variant(number, sides.words)
            expected = sides.single.ask(text)
            if expected.status != 200:
                unanswered.append(query)
                differences = [f"left out: {_failure(query, expected, 'the single store')}"]
                break
            sizes[query.name] = max(sizes.get(query.name, 0), size(read(query, expected)))
            differences += [
                f"{query.name}{how}: {differs}\n{text}"
                for how, client in ((", past the caches", sides.fresh), ("", sides.normal), (", again", sides.normal))
                if (differs := difference(query, expected, client.ask(text)))
            ]
        for differs in differences:
            told(differs)
        if differences:
            sizes.pop(query.name, None)
    return sizes, unanswered


def measure(sides: Sides, queries: Sequence[Query], repetitions: int, told: Callable[[str], None]) -> dict[str, Times]:
    """Ask all sides by turns, in each repetition every query in other variants.

    The gateway is asked one variant past its caches and another with them, for an answer that it gave past the caches may be
    kept none the less; the single store is asked both.

    Args:
        sides: Who is asked.
        queries: What.
        repetitions: How often, after warm-up.
        told: Called after each repetition, and for each query that a side does not answer.

    Returns:
        The times of each query that was answered each time.
    """
    times = {query.name: Times() for query in queries}
    warm_up = min(WARM_UP, repetitions)
    for turn in range(-warm_up, repetitions):
        for query in [query for query in queries if query.name in times]:
            first = CHECKED + 2 * (turn + warm_up)
            one, other = query.variant(first, sides.words), query.variant(first + 1, sides.words)
            try:
                single_one = _checked(query, sides.single.ask(one), "the single store").seconds
                fresh = _checked(query, sides.fresh.ask(one), "the gateway").seconds
                single_other = _checked(query, sides.single.ask(other), "the single store").seconds
                normal = _checked(query, sides.normal.ask(other), "the gateway").seconds
            except FailedError as error:
                told(str(error))
                del times[query.name]
                continue
            if turn >= 0:
                found = times[query.name]
                found.single.append((single_one, single_other))
                found.fresh.append(fresh)
                found.normal.append(normal)
        told(f"repetition {turn + 1} of {repetitions}" if turn >= 0 else "warm-up")
    return times


def next_variant(repetitions: int) -> int:
    """Return the first variant that was not asked yet."""
    return CHECKED + 2 * (repetitions + WARM_UP)


class FailedError(Exception):
    """A side that does not answer a query."""


def _checked(query: Query, reply: Reply, who: str) -> Reply:
    if reply.status != 200:
        raise FailedError(_failure(query, reply, who))
    return reply


def _failure(query: Query, reply: Reply, who: str) -> str:
    return f"{query.name}: {who} answers with {reply.status}: {reply.body[:300].decode(errors='replace')}"
