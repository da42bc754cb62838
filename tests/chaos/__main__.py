"""Hurts the whole topology for as long as you like, and prints the table of faults.

Run with ``make chaos``, or ``.venv/bin/python -m tests.chaos --help``.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos import report
from tests.chaos.run import Run
from tests.chaos.world import running_world


@click.command(context_settings={"show_default": True})
@click.option("--offerings", default=5000, type=click.IntRange(1), help="Offerings on the ledger at first.")
@click.option("--minutes", default=60.0, help="How long faults strike.")
@click.option("--changes-per-minute", default=1000.0, help="Offerings that come, change or go in a minute.")
@click.option("--fault-every", default=10.0, help="Seconds between two faults.")
@click.option("--seed", default=7, help="Decides offerings, changes, faults and victims.")
@click.option("--brokers", default=3, type=click.IntRange(1, 3), help="Brokers of Apache Kafka: 1 or 3.")
@click.option("--refresh", default=120.0, help="Seconds until a description is fetched again.")
@click.option("--patience", default=300.0, help="Seconds after which what is not healed counts as lost.")
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="Folder for the processes' logs.")
def main(
    offerings: int,
    minutes: float,
    changes_per_minute: float,
    fault_every: float,
    seed: int,
    brokers: int,
    refresh: float,
    patience: float,
    logs: Path | None,
) -> None:
    """Run the topology on Apache Kafka, two of each link, and let faults strike while offerings come, change and go."""
    began = time.strftime("%Y-%m-%d %H:%M")
    with tempfile.TemporaryDirectory(prefix="catena-chaos-") as temporary:
        folder = logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with running_world(folder, offerings, seed, brokers, refresh) as world:
            run = Run(world, refresh, patience, lambda line: click.echo(line))
            run.settle("at the start", 60 + offerings / 10)
            run.continuously(minutes, changes_per_minute, fault_every, brokers)
            outcome = run.finish()
    command = shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]])
    click.echo(f"\n{began}, {command}\n\n{report.table(outcome.rows)}\n\n{report.memory(outcome.memory)}\n")
    click.echo(report.verdict(outcome))
    sys.exit(0 if report.is_good(outcome) else 1)


if __name__ == "__main__":
    main()
