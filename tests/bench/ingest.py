"""Offerings per second from the first fetch to two copies each, on nodes of several kinds, and where the time goes.

Run with ``make bench``, or ``.venv/bin/python tests/bench/ingest.py --help``. The clock is the broker's: it starts at the first
address that is emitted to the fetchers, and stops when the last node has acknowledged the second copy of the last offering.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from topology import topics

ROOT = Path(__file__).resolve().parents[2]
# What the coordinator before this one reached on two cores, mended enough to run.
BEFORE = (61, 81)
NODES = 3


class Kind(NamedTuple):
    """A kind of nodes, and the protocol by which they are written to: NODE_PROTOCOL, which updates precede where they can."""

    name: str
    protocol: str
    meaning: str


KINDS = {
    "sandbox": Kind("sandbox", "sedimark", "sandbox, as SEDIMARK catalogues"),
    "sandbox-graph-store": Kind("sandbox", "graph-store", "sandbox, by the Graph Store Protocol"),
    "fuseki": Kind("fuseki", "auto", "Apache Jena Fuseki"),
    "oxigraph": Kind("oxigraph", "auto", "Oxigraph server"),
}


class Row(NamedTuple):
    """The result of one kind: offerings per second, and milliseconds of processor for each, of links and of nodes."""

    meaning: str
    rate: float
    links: float
    nodes: float


@contextmanager
def servers(kind: str) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Run nodes of a kind; their settings, and their processes as far as `catena up` does not run them."""
    if kind == "sandbox":
        yield {}, []
        return
    sys.path.insert(0, str(ROOT))  # run as a program, this file finds only those beside it
    from tests.servers import fuseki_server
    from tests.servers.process import free_port

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls, pids = [], []
        for _ in range(NODES):
            if kind == "fuseki":
                server = stack.enter_context(fuseki_server(own=True))
                urls.append(server.url)
                pids.append(getattr(server._engine, "pid", 0))
            else:
                port = free_port()
                program = str(Path(sys.executable).with_name("oxigraph"))
                process = subprocess.Popen([program, "serve", "--bind", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
                stack.callback(process.wait)
                stack.callback(process.kill)
                urls.append(f"http://127.0.0.1:{port}")
                pids.append(process.pid)
        listed = {f"node_{number}": {"catalogue_url": url} for number, url in enumerate(urls)}
        (folder / "nodes.json").write_text(json.dumps(listed))
        yield {"OPERATOR_PROVIDED": "1", "CATALOGUE_LIST": str(folder / "nodes.json")}, pids


def start(
    kafka: str | None, offerings: int, scale: tuple[str, ...], protocol: str, settings: dict[str, str]
) -> subprocess.Popen[str]:
    """`catena up` on the sandbox's ledger."""
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
    environment |= settings
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


def await_first_address(endpoint: str) -> None:
    """Wait until the ledger's first address is emitted: the links have started by then."""
    consumer = Consumer({"bootstrap.servers": endpoint, "group.id": "bench"})
    partitions = consumer.list_topics(topics.ADDRESSES, timeout=10).topics[topics.ADDRESSES].partitions
    consumer.assign([TopicPartition(topics.ADDRESSES, partition, OFFSET_BEGINNING) for partition in partitions])
    while (message := consumer.poll(1)) is None or message.error() is not None:
        pass
    consumer.close()


def cpu_seconds(runner: int, nodes: list[int]) -> dict[str, float]:
    """Processor seconds of the runner, its processes and theirs, by what they run, and of nodes beside them."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    names = {runner: "runner and embedded broker", **dict.fromkeys(nodes, "node")}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text().split("\0")
        except (OSError, IndexError):
            continue
        pid = int(folder.name)
        parents[pid], seconds[pid] = int(stat[1]), (int(stat[11]) + int(stat[12])) / ticks
        if parents[pid] == runner:
            names[pid] = next(
                (part.rpartition(".")[2] for part in command if part.startswith(("links.", "sandbox."))), "?"
            )
    used: dict[str, float] = defaultdict(float)
    for pid, parent in parents.items():
        if pid in names:
            used[names[pid]] += seconds[pid]
        elif parent in names:
            used[f"processes of the {names[parent]}"] += seconds[pid]
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
@click.option(
    "--nodes", "kinds", type=click.Choice(list(KINDS)), multiple=True, default=list(KINDS)[:2], show_default=True
)
def main(kafka: str | None, offerings: int, scale: tuple[str, ...], runs: int, kinds: tuple[str, ...]) -> None:
    """Measure how fast offerings reach two nodes each."""
    click.echo(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {offerings} offerings, {NODES} nodes, 2 copies"
    )
    rows = [measure_kind(kafka, offerings, scale, runs, KINDS[kind]) for kind in kinds]
    click.echo("\n| nodes | offerings/s | processor, ms for each offering: links | nodes |\n|---|---|---|---|")
    for row in rows:
        click.echo(f"| {row.meaning} | {row.rate:.0f} | {row.links:.1f} | {row.nodes:.1f} |")


def measure_kind(kafka: str | None, offerings: int, scale: tuple[str, ...], runs: int, kind: Kind) -> Row:
    """Measure one kind of nodes several times, and print where the time of the last run goes."""
    click.echo(f"\n{kind.meaning}")
    rates = []
    for run in range(runs):
        with servers(kind.name) as (settings, nodes):
            placed, fetched, used = measure(kafka, offerings, scale, kind.protocol, settings, nodes)
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
    return Row(kind.meaning, median, sum(used.values()) - used.get("node", 0), used.get("node", 0))


def measure(
    kafka: str | None, offerings: int, scale: tuple[str, ...], protocol: str, settings: dict[str, str], nodes: list[int]
) -> tuple[float, float, dict[str, float]]:
    """One run: seconds until all is placed, seconds until all is fetched, milliseconds of processor by process."""
    process = start(kafka, offerings, scale, protocol, settings)
    before: dict[str, float] = {}
    endpoint = kafka or ""

    def start_clock() -> None:
        await_first_address(endpoint)
        before.update(cpu_seconds(process.pid, nodes))

    clock = threading.Thread(target=start_clock, daemon=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"broker: (\S+)", line):
                endpoint = found[1]
            if line.startswith("listed 0") and not clock.is_alive():
                clock.start()
            if line.startswith("all "):
                break
        else:
            raise click.ClickException("catena up ended early")
        used = cpu_seconds(process.pid, nodes)
        fetched, placed = span(endpoint, offerings)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    return placed, fetched, {name: 1000 * (used[name] - before.get(name, 0)) / offerings for name in used}


if __name__ == "__main__":
    main()
