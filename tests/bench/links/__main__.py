"""The command: starts Apache Kafka, lets the contenders take turns, and prints one table."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from confluent_kafka import KafkaException
from rich.console import Console

from tests.bench.links import latency, records, throughput
from tests.bench.links.contender import CONTENDERS, RAW, Contender, DiedError, SkippedError
from tests.bench.links.environments import NotInstallableError
from tests.bench.links.report import Results, show
from tests.bench.links.topics import Topics
from tests.servers import ServerUnavailable, kafka_server
from tests.servers.kafka import NAME, VERSION

SIZES = (100, 1000)
NAMES = tuple(contender.name for contender in CONTENDERS)

console = Console(width=128)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--messages",
    default=600_000,
    show_default=True,
    type=click.IntRange(20_000),
    help="The most messages in a round; slow contenders get fewer, so that a round of one lasts no longer than 15 s.",
)
@click.option(
    "--rounds", default=3, show_default=True, help="How many rounds; in each one every contender has its turn."
)
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="This one and raw only; may be repeated.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(80),
    default=SIZES,
    show_default=True,
    help="Bytes of a value.",
)
@click.option(
    "--latency-seconds",
    default=10.0,
    show_default=True,
    help="How long each is sent 200 messages a second to measure its latency; 0: do not.",
)
@click.option(
    "--kafka", metavar="HOST:PORT", help="Use this Kafka, which must have no other load; else one is started."
)
def main(
    messages: int, rounds: int, only: tuple[str, ...], sizes: tuple[int, ...], latency_seconds: float, kafka: str | None
) -> None:
    """Measure what one hop costs: by hand, as a link, and in other libraries.

    Each contender reads a topic of four partitions, decodes JSON, adds one to a field, encodes JSON and writes it under the
    same key. The rate is told by the broker's clock, from the first batch to the last. Exits with status 1 when a target that
    was measured is not met.
    """
    contenders = [one for one in CONTENDERS if not only or one.name in only or one is RAW]
    results = Results()
    if kafka:
        met = compare(results, contenders, kafka, kafka, messages, rounds, sizes, latency_seconds)
    else:
        try:
            with kafka_server(own=True) as server:
                met = compare(
                    results, contenders, server.bootstrap, f"{NAME} {VERSION}", messages, rounds, sizes, latency_seconds
                )
        except ServerUnavailable as error:
            raise click.ClickException(str(error)) from error
    sys.exit(0 if met else 1)


def compare(
    results: Results,
    contenders: Sequence[Contender],
    endpoint: str,
    named: str,
    messages: int,
    rounds: int,
    sizes: Sequence[int],
    latency_seconds: float,
) -> bool:
    """Measure all, print all, and tell whether the targets were met."""
    topics = Topics(endpoint)
    ready = [contender for contender in contenders if prepare(results, contender)]
    for size in sizes:
        measure_throughput(results, ready, topics, messages, rounds, size)
    if latency_seconds:
        measure_latency(results, ready, topics, latency_seconds)
    return show(console, results, contenders, named)


def prepare(results: Results, contender: Contender) -> bool:
    """Make a contender ready, and tell whether that went well."""
    try:
        results.versions[contender.name] = contender.prepare()
    except (NotInstallableError, SkippedError) as reason:
        results.note(contender.name, f"skipped: {reason}")
        return False
    return True


def measure_throughput(
    results: Results, contenders: Sequence[Contender], topics: Topics, messages: int, rounds: int, size: int
) -> None:
    """Let contenders take turns on values of one size."""
    counts = {contender.name: min(messages, contender.most) for contender in contenders}
    sources = {count: topics.make(f"source-{size}-{count}") for count in sorted(set(counts.values()))}
    for count, source in sources.items():
        records.fill(topics.endpoint, source, count, size)
    runs = results.throughputs.setdefault(size, {contender.name: [] for contender in contenders})
    for turn in range(rounds):
        for contender in contenders:
            count = counts[contender.name]
            told = f"{size} B, round {turn + 1}, {contender.name}: "
            try:
                found = throughput.measure(topics, contender, sources[count], count)
            except (DiedError, KafkaException) as error:
                runs[contender.name].append(None)
                results.note(contender.name, str(error))
                console.print(f"{told}{error}", markup=False, highlight=False)
                continue
            runs[contender.name].append(found)
            if found.wrong:
                results.note(contender.name, f"{size} B, round {turn + 1}: {found.wrong}")
            cpu = "-" if found.cpu is None else f"{found.cpu:.4f}"
            console.print(
                f"{told}{found.rate:,.0f} messages/s, {cpu} CPU s per 1,000, of {count:,} messages {found.wrong}",
                markup=False,
                highlight=False,
            )
    for source in sources.values():
        topics.delete(source)


def measure_latency(results: Results, contenders: Sequence[Contender], topics: Topics, seconds: float) -> None:
    """Measure each contender's latency, one after the other."""
    for contender in contenders:
        try:
            found = latency.measure(topics, contender, seconds)
        except (DiedError, KafkaException) as error:
            results.note(contender.name, str(error))
            continue
        results.latencies[contender.name] = found
        if found.lost:
            results.note(contender.name, f"{found.lost} messages did not arrive while latency was measured")
        console.print(
            f"latency, {contender.name}: p50 {found.p50:.2f} ms, p95 {found.p95:.2f} ms, p99 {found.p99:.2f} ms",
            highlight=False,
        )


if __name__ == "__main__":
    main()
