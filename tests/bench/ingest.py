"""Offerings per second from the first fetch to two copies each, on the sandbox, and where the time goes.

Run with ``make bench``, or ``.venv/bin/python tests/bench/ingest.py --help``. The clock is the broker's: it starts at the first
address that is emitted to the fetchers, and stops when the last node has acknowledged the second copy of the last offering.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from topology import topics

ROOT = Path(__file__).resolve().parents[2]
# What the coordinator before this one reached on two cores, mended enough to run.
BEFORE = (61, 81)
PROTOCOLS = {"sedimark": "SEDIMARK catalogue API", "graph-store": "Graph Store Protocol"}


def start(kafka: str | None, offerings: int, scale: tuple[str, ...], protocol: str) -> subprocess.Popen[str]:
    """`catena up` on the sandbox."""
    environment = {
        **os.environ,
        "SANDBOX_OFFERINGS": str(offerings),
        "HOST_ADDRESS": "127.0.0.1",
        "HOST_PORT": "0",
        "OFFERING_FETCH_INTERVAL": "60",
        "NODE_PROTOCOL": protocol,
    }
    for name in ("DLT_BASE_URL", "CATALOGUE_LIST", "OPERATOR_PROVIDED", "CENTRALISED"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "topology.cli", "up", *(item for one in scale for item in ("--scale", one))]
    if kafka:
        command += ["-k", kafka]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def messages(endpoint: str, topic: str) -> list[Any]:
    """Every message of a topic."""
    consumer = Consumer({"bootstrap.servers": endpoint, "group.id": "bench", "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    found: list[Any] = []
    ended: set[int] = set()
    while len(ended) < len(partitions):
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                found.append(message)
            else:
                ended.add(message.partition())
    consumer.close()
    return found


def cpu_seconds(runner: int) -> dict[str, float]:
    """Processor seconds of the runner and its processes, by what they run."""
    ticks = os.sysconf("SC_CLK_TCK")
    used: dict[str, float] = defaultdict(float)
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text().split("\0")
        except (OSError, IndexError):
            continue
        if int(stat[1]) == runner:
            name = next((part.rpartition(".")[2] for part in command if part.startswith(("links.", "sandbox."))), "?")
        elif folder.name == str(runner):
            name = "runner and embedded broker"
        else:
            continue
        used[name] += (int(stat[11]) + int(stat[12])) / ticks
    return used


def span(endpoint: str, offerings: int) -> tuple[float, float]:
    """Seconds from the first address to the last description, and to the last offering's second copy."""
    first = min(message.timestamp()[1] for message in messages(endpoint, topics.ADDRESSES))
    described = max(message.timestamp()[1] for message in messages(endpoint, topics.OFFERINGS))
    copies: dict[bytes, set[bytes]] = defaultdict(set)
    last = 0
    for message in sorted(messages(endpoint, topics.PLACEMENTS), key=lambda message: message.timestamp()[1]):
        node, _, graph = message.key().partition(b" ")
        if len(copies[graph]) < 2:
            copies[graph].add(node)
            last = message.timestamp()[1]
    full = sum(len(nodes) == 2 for nodes in copies.values())
    if full != offerings:
        raise click.ClickException(f"only {full} of {offerings} offerings have two copies")
    return (described - first) / 1000, (last - first) / 1000


@click.command()
@click.option("-k", "--kafka", metavar="HOST:PORT", help="Use this Kafka, with fresh topics, not the embedded one.")
@click.option("--offerings", default=1000, show_default=True, help="How many offerings the sandbox lists.")
@click.option("--scale", multiple=True, metavar="LINK=N", help="As for catena up.")
@click.option("--runs", default=3, show_default=True, help="How often to measure.")
def main(kafka: str | None, offerings: int, scale: tuple[str, ...], runs: int) -> None:
    """Measure how fast offerings reach two nodes each."""
    click.echo(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {offerings} offerings, 3 sandbox nodes, 2 copies"
    )
    for protocol, meaning in PROTOCOLS.items():
        click.echo(f"\nnodes written to by the {meaning} (NODE_PROTOCOL={protocol})")
        rates = []
        for run in range(runs):
            placed, fetched, used = measure(kafka, offerings, scale, protocol)
            rates.append(offerings / placed)
            click.echo(
                f"  run {run + 1}: {rates[-1]:4.0f} offerings/s ({placed:.2f} s; last description after {fetched:.2f} s)"
            )
        median = sorted(rates)[len(rates) // 2]
        click.echo(
            f"  median {median:.0f} offerings/s, {median / BEFORE[1]:.1f} to {median / BEFORE[0]:.1f} times those of before"
        )
        click.echo(
            f"  where the last run's time went: milliseconds of processor for each offering, {sum(used.values()):.1f} in all"
        )
        for name, milliseconds in sorted(used.items(), key=lambda item: -item[1]):
            click.echo(f"    {name:28} {milliseconds:5.2f}")


def measure(
    kafka: str | None, offerings: int, scale: tuple[str, ...], protocol: str
) -> tuple[float, float, dict[str, float]]:
    """One run: seconds until all is placed, seconds until all is fetched, milliseconds of processor by process."""
    process = start(kafka, offerings, scale, protocol)
    before: dict[str, float] = {}
    endpoint = kafka or ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"broker: (\S+)", line):
                endpoint = found[1]
            if line.startswith("listed 0") and not before:
                before = cpu_seconds(process.pid)
            if line.startswith("all "):
                break
        else:
            raise click.ClickException("catena up ended early")
        used = cpu_seconds(process.pid)
        fetched, placed = span(endpoint, offerings)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    return placed, fetched, {name: 1000 * (used[name] - before.get(name, 0)) / offerings for name in used}


if __name__ == "__main__":
    main()
