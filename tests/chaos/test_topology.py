"""The whole topology on a cluster of three brokers, hurt for real: nothing is lost, and no answer is wrong.

The short form of ``make chaos``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.faults import named
from tests.chaos.run import Run
from tests.chaos.world import running_world

OFFERINGS = 60
REFRESH = 6.0
PATIENCE = 600.0

ROUNDS = (
    named("links killed (kill -9), any", "Redis killed and back empty", "a third of the providers hang"),
    named("node hung (SIGSTOP)", "booth answers junk", "one of three brokers lost"),
    named("node read-only (403)", "routers killed", "booth lists half, once"),
    named("Kafka killed (kill -9), all brokers", "booth hangs"),
    named("node full (507)", "writers killed"),
    named("node set back to an old backup", "fetchers and generators killed", "booth lists nothing, once"),
    named("node says 200, stores nothing", "monitors killed"),
    named("node back empty at once"),
)


@pytest.mark.kafka
@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_topology_through_faults_of_every_kind_loses_nothing_and_answers_right(tmp_path: Path) -> None:
    lines: list[str] = []
    with running_world(tmp_path, OFFERINGS, seed=7, brokers=3, refresh=REFRESH) as world:
        run = Run(world, REFRESH, PATIENCE, lines.append)
        assert run.settle("at the start", PATIENCE).none, "\n".join(lines)
        run.rounds(ROUNDS, changes=6, seconds=2)
        outcome = run.finish()
    print("\n".join(lines), report.table(outcome.rows), sep="\n")
    assert report.is_good(outcome), "\n".join([*lines, report.table(outcome.rows), report.verdict(outcome)])
