"""The table of a run, in Markdown."""

from __future__ import annotations

import collections
import statistics

from tests.chaos.run import Outcome, Row

# Before this part of the run, memory is start-up.
_SETTLED = 0.25


def table(rows: list[Row]) -> str:
    """Format the faults, each name once: how often, the offerings, seconds to heal, copies lost and wrong answers."""
    by_fault: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        by_fault[row.fault].append(row)
    lines = [
        "| fault | times | offerings | seconds to heal: median, most | copies lost | wrong answers |",
        "|---|---|---|---|---|---|",
    ]
    for fault, same in sorted(by_fault.items()):
        seconds = [row.seconds for row in same]
        lines.append(
            f"| {fault} | {len(same)} | {max(row.offerings for row in same)} "
            f"| {statistics.median(seconds):.0f}, {max(seconds):.0f} "
            f"| {sum(row.lost for row in same)} | {sum(row.wrong for row in same)} |"
        )
    return "\n".join(lines)


def memory(samples: list[tuple[float, str, float]]) -> str:
    """Compare the memory of each link after a quarter of the run with that at its end."""
    if not samples:
        return ""
    end = max(since for since, _, _ in samples)
    links: dict[str, dict[str, list[float]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for since, name, size in samples:
        part = "early" if _SETTLED < since / end < 2 * _SETTLED else "late" if since / end > 1 - _SETTLED else ""
        if part:
            links[name.rpartition("_")[0]][part].append(size)
    lines = ["| link | MiB in the second quarter | MiB in the last quarter |", "|---|---|---|"]
    for link, parts in links.items():
        early, late = (statistics.median(parts[part]) if parts[part] else 0.0 for part in ("early", "late"))
        lines.append(f"| {link} | {early:.0f} | {late:.0f} |")
    return "\n".join(lines)


def verdict(outcome: Outcome) -> str:
    """Sum up a run in words."""
    answers = ", ".join(f"{count} {kind}" for kind, count in outcome.answers.most_common())
    lines = [
        f"{outcome.changes} changes, {len(outcome.rows)} faults; answers meanwhile: {answers or 'none'}",
        f"at the end {outcome.end.missing} copies missing, {outcome.end.surplus} too many, by every quad",
        f"{len(outcome.wrong_answers)} wrong answers",
    ]
    lines += [f"  {example}" for example in outcome.end.examples]
    lines += [f"  {example}" for example in outcome.wrong_answers[:10]]
    if outcome.ended:
        lines.append(f"ended by themselves: {', '.join(outcome.ended)}")
    return "\n".join(lines)


def is_good(outcome: Outcome) -> bool:
    """Tell whether nothing was lost and nothing was wrong."""
    return outcome.end.none and not outcome.wrong_answers and not any(row.lost for row in outcome.rows)
