"""What was measured, beside what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.bench.federation.queries import Query
from tests.bench.federation.timing import Times

# What the gateway is to reach: its time by the single store's.
MEDIAN_RATIO, WORST_RATIO = 1.5, 4.0


@dataclass
class Results:
    """All figures of a run.

    Attributes:
        title: What was compared, on which machine.
        versions: By name.
        queries: What was asked.
        sizes: By query, how many rows its answer has; queries whose answer was wrong are not here.
        times: By query.
    """

    title: str
    versions: dict[str, str]
    queries: Sequence[Query]
    sizes: dict[str, int] = field(default_factory=dict)
    times: dict[str, Times] = field(default_factory=dict)


def show(console: Console, results: Results) -> bool:
    """Print the table, versions and targets.

    Returns:
        Whether each target that was measured was met.
    """
    console.print()
    console.print(_table(results))
    for name, version in results.versions.items():
        console.print(f"{name}: {version}", highlight=False)
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


def _targets(results: Results) -> list[_Target]:
    ratios = [times.normal_ratio for times in results.times.values()]
    wrong = len(results.queries) - len(results.sizes)
    return [
        _Target("queries that the gateway answers otherwise than the single store", wrong, 0),
        _Target(
            "gateway by single store, median of all queries",
            statistics.median(ratios) if ratios else None,
            MEDIAN_RATIO,
        ),
        _Target("gateway by single store, worst query", max(ratios, default=None), WORST_RATIO),
    ]


def _show_target(console: Console, target: _Target) -> bool:
    if target.value is None:
        console.print(f"{target.text}: not measured", highlight=False)
        return True
    sign = "≥" if target.at_least else "≤"
    console.print(
        f"{target.text}: {target.value:.2f} (target {sign} {target.bound:g}): {'met' if target.met else 'NOT met'}",
        style="green" if target.met else "red",
        highlight=False,
    )
    return target.met


def _table(results: Results) -> Table:
    table = Table(title=results.title, title_justify="left")
    table.add_column("query")
    table.add_column("kind")
    table.add_column("in")
    for heading in ("rows", "single\nms", "gateway,\nno cache\nms", "to\nsingle", "gateway\nms", "to\nsingle"):
        table.add_column(heading, justify="right")
    for query in results.queries:
        told = [query.name, query.kind, query.place]
        if query.name not in results.sizes:
            table.add_row(*told, "WRONG", style="red")
            continue
        told.append(f"{results.sizes[query.name]:,}")
        if times := results.times.get(query.name):
            told += [
                _milliseconds(times.single_seconds),
                _milliseconds(statistics.median(times.fresh)),
                f"{times.fresh_ratio:.2f}",
                _milliseconds(statistics.median(times.normal)),
                f"{times.normal_ratio:.2f}",
            ]
        table.add_row(*told)
    if results.times:
        table.add_section()
        fresh = [times.fresh_ratio for times in results.times.values()]
        normal = [times.normal_ratio for times in results.times.values()]
        for name, of in (("median", statistics.median), ("worst", max)):
            table.add_row(name, "", "", "", "", "", f"{of(fresh):.2f}", "", f"{of(normal):.2f}")
    return table


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"
