"""Does a link's memory stay flat? Runs one on Apache Kafka over ten million electrons.

Run with ``make soak``, or ``.venv/bin/python -m tests.bench.links.soak --help``. A process of its own feeds the link, never
more than 200,000 electrons ahead of the outputs that are counted here, so topics can be kept small. All electrons must come
out, each once. What start-up and first use allocate is not growth, so the first quarter does not count.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from ctypes import c_longlong
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import click
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from tests.bench.links import records
from tests.bench.links.contender import EXACTLY_ONCE, LINK, Contender, DiedError, Running, SkippedError
from tests.bench.links.topics import PARTITIONS, Topics
from tests.servers import ServerUnavailable, kafka_server

MIB = 1024 * 1024
AHEAD = 200_000  # electrons: well below what the topics keep
# Kafka looks every five minutes for what may go, so a topic holds what comes in that time at most.
KEPT = {"retention_bytes": str(64 * MIB), "segment_bytes": str(16 * MIB), "retention_ms": "600000"}
SHOWN = (0.10, 0.25, 0.50, 0.75, 1.0)
SETTLED, SETTLED_AT_LEAST = 0.25, 250_000  # the part of the electrons, and how many, before which it is start-up
NOISE = 8.0  # MiB that an allocator may come and go by, in runs too short for a slope to mean much

_SAMPLE_INTERVAL = 1.0  # seconds
_STALL_TIMEOUT = 60.0


@dataclass
class Soak:
    """What a run gave.

    Attributes:
        samples: Electrons counted so far, and MiB of the link's memory then, once a second.
        fed: How many electrons were sent.
        counted: How many came out.
        visits: The sum of their visits.
        seconds: How long it took.
    """

    samples: list[tuple[int, float]] = field(default_factory=list)
    fed: int = 0
    counted: int = 0
    visits: int = 0
    seconds: float = 0.0

    def at(self, part: float) -> float:
        """MiB when this part of the electrons had come out."""
        return next((memory for count, memory in self.samples if count >= part * self.counted), self.samples[-1][1])

    @property
    def settled(self) -> int:
        """How many electrons had come out when start-up was over."""
        return max(int(SETTLED * self.counted), SETTLED_AT_LEAST)

    @property
    def slope(self) -> float:
        """MiB for each million electrons, since start-up was over, by least squares.

        Raises:
            click.ClickException: Too few samples for one.
        """
        settled = [(count, memory) for count, memory in self.samples if count >= self.settled]
        if len(settled) < 5:
            raise click.ClickException("the run was too short to tell whether memory grows; give it more electrons")
        return statistics.linear_regression([count / 1e6 for count, _ in settled], [mib for _, mib in settled]).slope

    def wrong(self) -> str:
        """Describe the faults of the outputs, or return ``""``."""
        if self.counted != self.fed:
            return f"{self.counted:,} of {self.fed:,} electrons came out"
        return "" if self.visits == records.expected_sum(self.fed) else "the outputs' visits do not add up"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--electrons", default=10_000_000, show_default=True, help="How many.")
@click.option("--seconds", default=0.0, help="Feed for no longer than this, for a short check; 0: feed them all.")
@click.option("--size", default=100, show_default=True, type=click.IntRange(80), help="Bytes of a value.")
@click.option(
    "--bound",
    default=1.0,
    show_default=True,
    help=f"MiB by which memory may grow for each million electrons, or {NOISE:.0f} MiB in all, whichever is more.",
)
@click.option("--exactly-once", is_flag=True, help="Run the link with --delivery exactly_once.")
@click.option("--kafka", metavar="HOST:PORT", help="Use this Kafka; else one is started.")
def main(electrons: int, seconds: float, size: int, bound: float, exactly_once: bool, kafka: str | None) -> None:
    """Run a link for long and watch its memory, told by its resident set. Exits with status 1 if it grows or loses any."""
    contender = EXACTLY_ONCE if exactly_once else LINK
    try:
        contender.prepare()
        if kafka:
            soak = run(contender, kafka, electrons, seconds, size)
        else:
            with kafka_server(own=True) as server:
                soak = run(contender, server.bootstrap, electrons, seconds, size)
    except (ServerUnavailable, SkippedError, DiedError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if report(soak, bound) else 1)


def run(contender: Contender, endpoint: str, electrons: int, seconds: float, size: int) -> Soak:
    """Feed a link, count what comes out, and watch its memory."""
    topics = Topics(endpoint)
    source, target = topics.make("soak-source", **KEPT), topics.make("soak-target", **KEPT)
    processes = multiprocessing.get_context("spawn")
    counted: Synchronized[int] = processes.Value(c_longlong, 0)
    fed: Synchronized[int] = processes.Value(c_longlong, -1)
    feeder = processes.Process(
        target=feed, args=(endpoint, source, electrons, seconds, size, counted, fed), daemon=True
    )
    soak = Soak()
    try:
        with contender.running(endpoint, source, target, "soak") as running:
            feeder.start()
            started = time.monotonic()
            count(soak, running, endpoint, target, counted, fed)
            soak.seconds = time.monotonic() - started
    finally:
        feeder.terminate()
        topics.delete(source)
        topics.delete(target)
    return soak


def feed(
    endpoint: str,
    topic: str,
    electrons: int,
    seconds: float,
    size: int,
    counted: Synchronized[int],
    fed: Synchronized[int],
) -> None:
    """Send electrons, not too far ahead of those counted; then say in ``fed`` how many. A process of its own."""
    producer = Producer({"bootstrap.servers": endpoint, "compression.type": "lz4", "linger.ms": 20})
    deadline = time.monotonic() + seconds if seconds else None
    number = 0
    while number < electrons and (deadline is None or time.monotonic() < deadline):
        if number - counted.value > AHEAD:
            producer.poll(0.02)
            continue
        for _ in range(min(1000, electrons - number)):
            produce(producer, topic, number, size)
            number += 1
        producer.poll(0)
    producer.flush()
    fed.value = number


def produce(producer: Producer, topic: str, number: int, size: int) -> None:
    """Queue one electron; waits while the queue is full."""
    while True:
        try:
            key = f"user-{number % records.USERS:06}".encode()
            producer.produce(topic, records.record(number, size), key)
            return
        except BufferError:
            producer.poll(0.05)


def count(
    soak: Soak, running: Running, endpoint: str, topic: str, counted: Synchronized[int], fed: Synchronized[int]
) -> None:
    """Count outputs until all are there or none come any more, and sample the link's memory each second."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    moved = sampled = time.monotonic()
    told = 0
    for values in outputs(endpoint, topic):
        now = time.monotonic()
        running.check()
        if values:
            moved = now
            soak.counted += len(values)
            soak.visits += sum(decode(value)["visits"] for value in values)
            counted.value = soak.counted
        if now - sampled >= _SAMPLE_INTERVAL and soak.counted:
            sampled = now
            soak.samples.append((soak.counted, running.resident_bytes() / MIB))
            if soak.counted // 1_000_000 > told:
                told = soak.counted // 1_000_000
                click.echo(f"{told:4} million electrons, {soak.samples[-1][1]:.1f} MiB")
        soak.fed = fed.value
        all_there = soak.fed == soak.counted
        if (all_there and now - moved > 1) or now - moved > _STALL_TIMEOUT:
            return


def outputs(endpoint: str, topic: str) -> Iterator[list[bytes]]:
    """Yield the values of a topic as they come, many at a time, or none; without end."""
    consumer = Consumer(
        {
            "bootstrap.servers": endpoint,
            "group.id": "soak-count",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    try:
        while True:
            messages = consumer.consume(10_000, 0.1)
            # An error that is not fatal is a leader that is not known yet: librdkafka asks again by itself.
            if fatal := next((item.error() for item in messages if item.error() and item.error().fatal()), None):
                raise KafkaException(fatal)
            yield [message.value() for message in messages if not message.error()]
    finally:
        consumer.close()


def report(soak: Soak, bound: float) -> bool:
    """Print what was found, and tell whether all electrons came out and memory stayed flat."""
    if not soak.samples:
        click.echo(f"no memory was sampled; {soak.wrong() or 'the run was too short'}")
        return False
    rate = soak.counted / soak.seconds
    click.echo(f"{soak.counted:,} electrons in {soak.seconds:.0f} s, {rate:,.0f}/s with their feeder on one machine")
    for part in SHOWN:
        click.echo(f"  RSS at {part:4.0%}: {soak.at(part):7.1f} MiB")
    millions = (soak.counted - soak.settled) / 1e6
    grown = soak.slope * millions
    allowed = max(bound * millions, NOISE)
    flat = grown <= allowed
    click.echo(
        f"slope after the first {soak.settled:,}: {soak.slope:+.3f} MiB per million electrons, {grown:+.1f} MiB in all "
        f"(bound {allowed:.1f} MiB): {'flat' if flat else 'it GROWS'}"
    )
    wrong = soak.wrong()
    click.echo(wrong or "every electron came out, once")
    return flat and not wrong


if __name__ == "__main__":
    main()
