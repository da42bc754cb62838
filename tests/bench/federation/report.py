"""What was measured, beside what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.federation.comunica import Found
from tests.bench.federation.load import Load
from tests.bench.federation.queries import Query
from tests.bench.federation.timing import Times

# What the gateway is to reach: its time by the single store's, Comunica's time by its own, and its rate by the single store's.
MEDIAN_RATIO, WORST_RATIO, TO_COMUNICA, RATE_RATIO = 1.5, 4.0, 20.0, 0.5

SINGLE, NORMAL, FRESH = "single store", "gateway", "gateway, no cache"
"""Whom many clients ask at once."""

_MEBIBYTE = 1024 * 1024
_PLACES = {"GRAPH": "inside GRAPH", "default": "on the default graph"}


@dataclass
class Results:
    """All figures of a run.

    Attributes:
        title: What was compared, on which machine.
        versions: By name.
        queries: What was asked.
        sizes: By query, how many rows its answer has; queries whose answer was wrong are not here.
        times: By query.
        comunica: By query; empty when it was not asked.
        loads: What many clients got from whom, one or several runs of each.
        peaks: The most bytes that each process of the gateway had resident, the first one's first.
        notes: What else there is to say.
    """

    title: str
    versions: dict[str, str]
    queries: Sequence[Query]
    sizes: dict[str, int] = field(default_factory=dict)
    times: dict[str, Times] = field(default_factory=dict)
    comunica: dict[str, Found] = field(default_factory=dict)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    peaks: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rate(self, who: str) -> float | None:
        """Answers per second in all runs together."""
        loads = self.loads.get(who)
        return sum(load.answers for load in loads) / sum(load.seconds for load in loads) if loads else None

    def errors(self, who: str) -> int:
        """Return requests that failed in all runs together."""
        return sum(load.errors for load in self.loads.get(who, ()))

    def to_comunica(self, query: str) -> float | None:
        """Comunica's time for a query by the gateway's; ``None`` where either gave no time."""
        seconds = self.comunica[query].seconds if query in self.comunica else None
        times = self.times.get(query)
        return seconds / statistics.median(times.normal) if seconds is not None and times else None


def show(console: Console, results: Results) -> bool:
    """Print the tables, versions, notes and targets.

    Returns:
        Whether each target that was measured was met.
    """
    console.print()
    console.print(_table(results))
    if not all(query.varies for query in results.queries):
        console.print(
            "* always the same text, which the gateway may answer with a result that it kept", highlight=False
        )
    if results.loads:
        console.print(_load_table(results))
    if results.peaks:
        parts = " + ".join(f"{peak / _MEBIBYTE:,.0f}" for peak in results.peaks)
        total = sum(results.peaks) / _MEBIBYTE
        console.print(
            f"memory: the gateway's processes took {parts} = {total:,.0f} MiB at their peaks", highlight=False
        )
    for name, version in results.versions.items():
        console.print(f"{name}: {version}", highlight=False)
    for note in results.notes:
        console.print(note, style="yellow", highlight=False, markup=False)
    console.print()
    met = [_show_target(console, target) for target in _targets(results)]
    return all(met)


@dataclass(frozen=True)
class _Target:
    text: str
    value: float | None
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value is None or (self.value >= self.bound if self.at_least else self.value <= self.bound)


def _targets(results: Results) -> Iterator[_Target]:
    wrong = len(results.queries) - len(results.sizes)
    yield _Target("queries that the gateway answers otherwise than the single store", wrong, 0)
    ratios = [times.normal_ratio for times in results.times.values()]
    yield _Target("gateway by single store, median of all queries", _median(ratios), MEDIAN_RATIO)
    yield _Target("gateway by single store, worst query", max(ratios, default=None), WORST_RATIO)
    for verdicts, text in ((("right",), "answers right"), (("right", "wrong"), "answers at all")):
        asked = [name for name, found in results.comunica.items() if found.verdict in verdicts]
        told = f"Comunica by gateway, median of the {len(asked)} queries that Comunica {text}"
        yield _Target(told, _median(filter(None, map(results.to_comunica, asked))), TO_COMUNICA, at_least=True)
    single, normal = results.rate(SINGLE), results.rate(NORMAL)
    ratio = normal / single if single and normal is not None else None
    yield _Target("many clients: answers per second, gateway by single store", ratio, RATE_RATIO, at_least=True)
    yield _Target("many clients: errors of the gateway", results.errors(NORMAL) if results.loads else None, 0)


def _show_target(console: Console, target: _Target) -> bool:
    if target.value is None:
        console.print(f"{target.text}: not measured", highlight=False)
        return True
    sign = "≥" if target.at_least else "≤"
    console.print(
        f"{target.text}: {target.value:.4g} (target {sign} {target.bound:g}): {'met' if target.met else 'NOT met'}",
        style="green" if target.met else "red",
        highlight=False,
    )
    return target.met


def _table(results: Results) -> Table:
    table = Table(title=results.title, title_justify="left")
    table.add_column("query")
    table.add_column("kind")
    for heading in ("rows", "single\nms", "gateway,\nno cache\nms", "to\nsingle", "gateway\nms", "to\nsingle"):
        table.add_column(heading, justify="right")
    if results.comunica:
        for heading in ("Comunica\nms", "to\ngateway"):
            table.add_column(heading, justify="right")
        table.add_column("it is")
    for place, heading in _PLACES.items():
        queries = [query for query in results.queries if query.place == place]
        if queries:
            table.add_row(heading, style="bold")
        for query in queries:
            table.add_row(*_row(results, query), style=None if query.name in results.sizes else "red")
        table.add_section()
    varying = [query.name for query in results.queries if query.varies and query.name in results.times]
    table.add_row(*_summary(results, "median", list(results.times), statistics.median))
    table.add_row(*_summary(results, "median without *", varying, statistics.median))
    table.add_row(*_summary(results, "worst", list(results.times), max))
    return table


def _summary(results: Results, name: str, queries: Sequence[str], of: Callable[[Sequence[float]], float]) -> list[str]:
    if not queries:
        return [name]
    fresh = of([results.times[query].fresh_ratio for query in queries])
    normal = of([results.times[query].normal_ratio for query in queries])
    slower = [ratio for ratio in map(results.to_comunica, queries) if ratio is not None]
    told = [name, "", "", "", "", f"{fresh:.2f}", "", f"{normal:.2f}"]
    if slower:
        told += ["", f"{min(slower) if of is max else of(slower):,.0f}"]
    return told


def _row(results: Results, query: Query) -> list[str]:
    told = [query.name if query.varies else f"{query.name} *", query.kind]
    if query.name not in results.sizes:
        return [*told, "WRONG"]
    told.append(f"{results.sizes[query.name]:,}")
    if times := results.times.get(query.name):
        told += [
            _milliseconds(times.single_seconds),
            _milliseconds(statistics.median(times.fresh)),
            f"{times.fresh_ratio:.2f}",
            _milliseconds(statistics.median(times.normal)),
            f"{times.normal_ratio:.2f}",
        ]
    if found := results.comunica.get(query.name):
        faster = results.to_comunica(query.name)
        told.append("-" if found.seconds is None else _milliseconds(found.seconds))
        told.append("-" if faster is None else f"{faster:,.0f}")
        told.append(found.verdict)
    return told


def _load_table(results: Results) -> Table:
    table = Table(title="Many clients at once, all queries in turn", title_justify="left")
    table.add_column("asked")
    for heading in ("answers/s", "to single", "p50 ms", "p95 ms", "p99 ms", "errors"):
        table.add_column(heading, justify="right")
    single = results.rate(SINGLE)
    for who, loads in results.loads.items():
        rate = results.rate(who)
        ratio = f"{rate / single:.2f}" if rate is not None and single else "-"
        quantiles = [
            _milliseconds(statistics.median(load.quantile(part) for load in loads)) for part in (0.5, 0.95, 0.99)
        ]
        table.add_row(who, f"{rate:,.1f}", ratio, *quantiles, str(results.errors(who)))
    return table


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"
