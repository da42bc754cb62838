"""How much faster four fetchers are than one, where each description takes its provider some time.

Run with ``.venv/bin/python tests/bench/fetchers.py``. Only the fetching is measured: an embedded broker, the booth of the
sandbox with a delay before each description, and the fetchers. The clock starts when all of them have their partitions and the
addresses are sent, and stops with the last offering. A fetcher takes some 3 ms of processor for an offering. So where the cores
are few, a smaller pool shows how the waiting is shared, and a larger one how the processors are.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from catena_core.embedded import EmbeddedBroker
from topology import records, topics
from topology.records import AddressEvent

ROOT = Path(__file__).resolve().parents[2]
_JOIN_WITHIN = 60.0
_FETCH_WITHIN = 120.0
_PARTITIONS = 12


@contextmanager
def booth(count: int, delay: float) -> Iterator[str]:
    """Run the sandbox's booth, whose descriptions take so many seconds; yield its URL."""
    command = [sys.executable, "-m", "sandbox.booth", "--port", "0", "--count", str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        faults = {"delay": delay, "paths": ["/descriptions/"]}
        requests.put(f"{url.removesuffix('/api')}/faults", json=faults, timeout=10).raise_for_status()
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def fetcher(endpoint: str, url: str, pool: int) -> Iterator[int]:
    """Run one fetcher; yield its process id."""
    environment = {**os.environ, "DLT_BASE_URL": url, "REDIS_HOST": "", "WORKER_POOL_SIZE": str(pool)}
    command = [sys.executable, "-m", "links.fetcher", "-k", endpoint]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(fetchers: int, count: int, delay: float, pool: int) -> tuple[float, float]:
    """Return the offerings per second of so many fetchers, and the seconds of processor that they take for each."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(EmbeddedBroker(topics.SPECS)).endpoint
        url = stack.enter_context(booth(count, delay))
        processes = [stack.enter_context(fetcher(endpoint, url, pool)) for _ in range(fetchers)]
        consumer = Consumer({"bootstrap.servers": endpoint, "group.id": "bench"})
        consumer.assign([TopicPartition(topics.OFFERINGS, number, OFFSET_BEGINNING) for number in range(_PARTITIONS)])
        stack.callback(consumer.close)
        addresses = requests.get(f"{url}/offerings", timeout=10).json()["addresses"]
        producer = Producer({"bootstrap.servers": endpoint, "linger.ms": 5})

        def send(some: list[str]) -> None:
            for address in some:
                event = records.to_text(AddressEvent("listed", int(time.time() * 1000)))
                producer.produce(topics.ADDRESSES, event, address, zlib.crc32(address.encode()) % _PARTITIONS)
            producer.flush(10)

        # A first address for each partition shows that each has its fetcher; a rebalance takes a while.
        first = list({zlib.crc32(address.encode()) % _PARTITIONS: address for address in addresses}.values())
        time.sleep(8)
        send(first)
        _await(consumer, len(first), _JOIN_WITHIN)
        others = [address for address in addresses if address not in first]
        started, used = time.monotonic(), sum(map(processor_seconds, processes))
        send(others)
        _await(consumer, len(others), _FETCH_WITHIN)
        used = sum(map(processor_seconds, processes)) - used
        return len(others) / (time.monotonic() - started), used / len(others)


def _await(consumer: Consumer, count: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while count > 0:
        count -= sum(message.error() is None for message in consumer.consume(500, 0.05))
        if time.monotonic() > end:
            raise click.ClickException(f"{count} offerings are missing after {seconds:g} s")


@click.command()
@click.option("--offerings", default=1200, show_default=True, help="How many offerings to fetch.")
@click.option("--delay", default=0.05, show_default=True, help="Seconds that each description takes.")
@click.option("--pool", default=10, show_default=True, help="Requests at a time of each fetcher: WORKER_POOL_SIZE.")
@click.option("--fetchers", default=4, show_default=True, help="How many fetchers to compare with one.")
def main(offerings: int, delay: float, pool: int, fetchers: int) -> None:
    """Compare the speed of several fetchers with that of one."""
    click.echo(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {offerings} offerings, {delay:g} s each, {pool=}"
    )
    rates = {}
    for number in (1, fetchers):
        rates[number], used = measure(number, offerings, delay, pool)
        name = f"{number} fetcher{'s' if number > 1 else ' '}"
        click.echo(f"  {name} {rates[number]:6.0f} offerings/s, {1000 * used:.2f} ms of processor each")
    click.echo(f"  ratio {rates[fetchers] / rates[1]:.2f}")


if __name__ == "__main__":
    main()
