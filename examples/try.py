"""Runs an example on this machine, with nothing but Python: ``python examples/try.py wordcount``.

It brings an embedded broker, starts each link as a process of its own, and starts again whatever dies.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import click

from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.topics import TopicSpec
from topology.runner.managed_process import ManagedProcess

FOLDER = Path(__file__).parent

# What each example consists of: its topics, by their partitions, and its programs, in the order of the stream.
TOPICS = {
    "filter": {"lines": 4, "matches": 4, "rest": 4, "Filter.dead-letters": 4},
    "wordcount": {"sentences": 4, "words": 4, "counts": 4},
    "iss": {"positions": 1, "speeds": 1},
}
PROGRAMS = {
    "filter": ("lines", "filter", "show"),
    "wordcount": ("streamer", *["mapper"] * 4, *["reducer"] * 2, "printer"),
    "iss": ("stand_in", "source", "speed", "printer"),
}
# What reads no topics, but listens on a port and prints its address; the others find it under this name.
_SERVER, _SERVER_URL = "stand_in", "ISS_URL"
_START_WITHIN, _STOP_WITHIN = 20.0, 10.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("example", type=click.Choice(sorted(PROGRAMS)))
def main(example: str) -> None:
    """Run an example until Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    environment = {**os.environ, "PYTHONPATH": str(FOLDER / example), "PYTHONUNBUFFERED": "1"}
    properties = [item for name, value in CLIENT_PROPERTIES.items() for item in ("-X", f"{name}={value}")]
    with EmbeddedBroker(TopicSpec(*topic) for topic in TOPICS[example].items()) as broker:
        on_kafka = ["-k", broker.endpoint, "--log-level", "warning", *properties]
        click.echo(f"broker on {broker.endpoint}; started {', '.join(PROGRAMS[example])}; stop with Ctrl-C")
        processes: list[ManagedProcess] = []
        for name in PROGRAMS[example]:
            arguments = ["--port", "0"] if name == _SERVER else on_kafka
            processes.append(ManagedProcess(name, name, arguments, environment, _print))
            processes[-1].start()
            if name == _SERVER:
                environment.setdefault(_SERVER_URL, processes[-1].wait_for_line("stand-in on ", _START_WITHIN))
        while not stop.wait(1.0):
            for process in processes:
                process.restart_if_dead()
        click.echo("stopping …")
        deadline = time.monotonic() + _STOP_WITHIN
        for process in processes:
            process.signal_stop()
        for process in processes:
            process.end(deadline - time.monotonic())


def _print(name: str, line: str) -> None:
    click.echo(f"{name:<9} {line}")


if __name__ == "__main__":
    main()
