"""The benchmark's verdict: each target can be missed, and what was not measured is no miss."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.bench.federation.comunica import Found
from tests.bench.federation.load import Load
from tests.bench.federation.queries import QUERIES
from tests.bench.federation.report import NORMAL, SINGLE, Results, show
from tests.bench.federation.timing import Times

ONE, OTHER, LAST = QUERIES[:3]


def times(ratio: float, repetitions: int = 3) -> Times:
    return Times([(0.01, 0.01)] * repetitions, [0.03] * repetitions, [0.01 * ratio] * repetitions)


def results() -> Results:
    return Results(
        "title",
        {},
        [ONE, OTHER, LAST],
        {query.name: 1 for query in (ONE, OTHER, LAST)},
        {ONE.name: times(1), OTHER.name: times(1.2), LAST.name: times(3.9)},
        {ONE.name: Found("right", 0.5, ""), OTHER.name: Found("gave up", None, ""), LAST.name: Found("wrong", 1.0, "")},
        {SINGLE: [Load(1, 100, 0, "", [0.1])], NORMAL: [Load(1, 60, 0, "", [0.1])]},
    )


def shown(found: Results) -> tuple[bool, str]:
    written = io.StringIO()
    return show(Console(file=written, width=136), found), written.getvalue()


def test_all_targets_can_be_met() -> None:
    met, text = shown(results())
    assert met and "NOT met" not in text


def test_what_was_not_measured_is_no_miss() -> None:
    found = results()
    found.comunica, found.loads = {}, {}
    met, text = shown(found)
    assert met and "not measured" in text


def miss(name: str, found: Results) -> None:
    if name == "wrong answer":
        del found.sizes[ONE.name]
    elif name == "median":
        found.times[OTHER.name] = times(1.6)
    elif name == "worst":
        found.times[LAST.name] = times(4.1)
    elif name == "Comunica":
        found.comunica[ONE.name] = Found("right", 0.1, "")
    elif name == "rate":
        found.loads[NORMAL] = [Load(1, 49, 0, "", [0.1])]
    else:
        found.loads[NORMAL] = [Load(1, 60, 1, "status 500", [0.1])]


@pytest.mark.parametrize("name", ["wrong answer", "median", "worst", "Comunica", "rate", "errors"])
def test_each_target_can_be_missed(name: str) -> None:
    found = results()
    miss(name, found)
    met, text = shown(found)
    assert not met and "NOT met" in text


def test_a_ratio_is_of_times_for_the_same_text() -> None:
    found = Times([(0.01, 0.1), (0.02, 0.2), (0.03, 0.3)], [0.02, 0.04, 0.06], [0.05, 0.1, 0.15])
    assert found.fresh_ratio == pytest.approx(2)
    assert found.normal_ratio == pytest.approx(0.5)
