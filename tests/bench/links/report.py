"""What was measured, beside what was aimed at."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.links.contender import CONTENDERS, EXACTLY_ONCE, LINK, RAW, Contender
from tests.bench.links.latency import Latency
from tests.bench.links.throughput import Throughput

# What the link library is to reach. On two cores the broker bounds messages of 1,000 bytes: there the loop by hand itself is
# only 1.7 times as fast as the best neighbour.
LINK_TO_RAW, EXACTLY_ONCE_TO_RAW, LINK_TO_NEIGHBOUR, LATENCY_MILLISECONDS = 0.9, 0.5, 1.5, 5.0


@dataclass
class Results:
    """All figures of a run.

    Attributes:
        throughputs: By size in bytes and name, one for each round; ``None`` where it gave none.
        latencies: By name.
        versions: By name.
        notes: By name: why there is no figure, or none to trust.
    """

    throughputs: dict[int, dict[str, list[Throughput | None]]] = field(default_factory=dict)
    latencies: dict[str, Latency] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, text: str) -> None:
        """Keep a note, once."""
        known = self.notes.setdefault(name, [])
        if text not in known:
            known.append(text)

    def rate(self, size: int, name: str) -> float | None:
        """Return the median rate."""
        rates = [run.rate for run in self.throughputs.get(size, {}).get(name, []) if run]
        return statistics.median(rates) if rates else None

    def cpu(self, size: int, name: str) -> float | None:
        """Return the median of processor seconds for each 1,000 messages."""
        used = [run.cpu for run in self.throughputs.get(size, {}).get(name, []) if run and run.cpu is not None]
        return statistics.median(used) if used else None

    def ratio(self, size: int, name: str, to: str) -> float | None:
        """Return the median, over rounds, of one contender's rate by another's in the same round."""
        runs = self.throughputs.get(size, {})
        pairs = zip(runs.get(name, []), runs.get(to, []), strict=False)
        ratios = [one.rate / other.rate for one, other in pairs if one and other]
        return statistics.median(ratios) if ratios else None


def machine() -> str:
    """Return the processor, its cores and this Python."""
    try:
        described = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in described if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}; {platform.system()}"


def show(console: Console, results: Results, contenders: Sequence[Contender], kafka: str) -> bool:
    """Print the table, versions, notes and targets.

    Returns:
        Whether each target that could be measured was met.
    """
    console.print()
    console.print(_table(results, contenders, kafka))
    for contender in contenders:
        if told := results.versions.get(contender.name):
            console.print(f"{contender.name}: {told}", highlight=False)
    for name, notes in results.notes.items():
        for text in notes:
            console.print(f"{name}: {text}", style="yellow", highlight=False, markup=False)
    return _show_targets(console, results)


def _table(results: Results, contenders: Sequence[Contender], kafka: str) -> Table:
    table = Table(title=f"One hop on {kafka}; {machine()}", title_justify="left")
    table.add_column("contender")
    for size in results.throughputs:
        table.add_column(f"{size} B\nmessages/s", justify="right")
        table.add_column("to raw", justify="right")
        table.add_column("CPU s per\n1,000 msg", justify="right")
    table.add_column("latency ms\np50 / p95 / p99", justify="right")
    for contender in contenders:
        row = [contender.name]
        for size in results.throughputs:
            row.append(_figure(results.rate(size, contender.name), ",.0f"))
            row.append(_figure(results.ratio(size, contender.name, RAW.name), ".3f"))
            row.append(_figure(results.cpu(size, contender.name), ".4f"))
        found = results.latencies.get(contender.name)
        row.append(f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f}" if found else "-")
        table.add_row(*row)
    return table


def _show_targets(console: Console, results: Results) -> bool:
    console.print()
    met = True
    for text, value, target, at_least in _targets(results):
        if value is None:
            console.print(f"{text}: not measured", highlight=False)
            continue
        good = value >= target if at_least else value < target
        met = met and good
        told = "met" if good else "NOT met"
        sign = "≥" if at_least else "<"
        style = "green" if good else "red"
        console.print(f"{text}: {value:.2f} (target {sign} {target}): {told}", style=style, highlight=False)
    return met


def _targets(results: Results) -> list[tuple[str, float | None, float, bool]]:
    found: list[tuple[str, float | None, float, bool]] = []
    for size in results.throughputs:
        found.append((f"{size} B: link to raw", results.ratio(size, LINK.name, RAW.name), LINK_TO_RAW, True))
        found.append(
            (
                f"{size} B: link, exactly once, to raw",
                results.ratio(size, EXACTLY_ONCE.name, RAW.name),
                EXACTLY_ONCE_TO_RAW,
                True,
            )
        )
        best, ratio = _best_neighbour(results, size)
        found.append((f"{size} B: link to {best}", ratio, LINK_TO_NEIGHBOUR, True))
    latency = results.latencies.get(LINK.name)
    found.append(("link: latency, p50, in ms", latency.p50 if latency else None, LATENCY_MILLISECONDS, False))
    return found


def _best_neighbour(results: Results, size: int) -> tuple[str, float | None]:
    neighbours = {one.name: results.rate(size, one.name) or 0.0 for one in CONTENDERS if one.neighbour}
    best = max(neighbours, key=lambda name: neighbours[name])
    if not neighbours[best]:
        return "the best neighbour", None
    return f"the best neighbour, {best}", results.ratio(size, LINK.name, best)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
