"""The reasons for the tier of an answer, in sentences."""

from __future__ import annotations

from federation.analysis.plan import DEFAULT_GRAPH, Plan
from federation.trace import VIEW


def reasons(plan: Plan, tier: str) -> tuple[str, ...]:
    """Explain the tier of an answer.

    Args:
        plan: The plan of the query.
        tier: As in ``Answer.tier``.
    """
    if tier == VIEW:
        return ("the gateway has every graph in a store of its own, its view",)
    if plan.pulls_everything:
        return (f"everything is pulled: {plan.pulls_everything}",)
    found = []
    for bgp in plan.bgps:
        where = "of the default graph" if bgp.graph == DEFAULT_GRAPH else "within one graph"
        tests = len(bgp.filters) + len(bgp.values)
        found.append(
            f"{_number(len(bgp.triples), 'pattern')} {where} "
            + (f"and {_number(tests, 'condition')} on them " if tests else "")
            + "are left to the nodes"
            + (", which send each combination of the terms that count once" if bgp.hidden else "")
        )
    for join in plan.joins:
        found.append(
            f"{_number(len(join.triples), 'pattern')} of the default graph are pulled in rounds: what the narrow ones find "
            "narrows the others"
        )
    for walk in plan.walks:
        found.append(f"a path is followed from {walk.start}, step by step")
    if plan.others:
        found.append(
            f"{_number(len(plan.others), 'pattern')} {'are' if len(plan.others) > 1 else 'is'} pulled as "
            f"{'they are' if len(plan.others) > 1 else 'it is'}: nothing in the query narrows "
            f"{'them' if len(plan.others) > 1 else 'it'} within one graph"
        )
    if plan.form == "DESCRIBE":
        found.append("DESCRIBE asks for the triples of each resource that it finds")
    return tuple(found)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("s" if count != 1 else "")
