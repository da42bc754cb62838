"""A broker for trying things out: no Java, no Docker, nothing kept.

librdkafka, inside the confluent-kafka wheel, carries a mock cluster that speaks Kafka's protocol over TCP to any process
of the machine: groups, idempotence and transactions, in memory. Its C functions are reached by ctypes
(https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h), because the Python surface offers neither the
number of partitions nor the first rebalance's delay. It keeps at most 5 MiB or 100,000 batches of messages for a partition,
dropping the oldest, and does not compact; for real work use Apache Kafka. The command says when it drops messages. The links of
the catalogue end when it has dropped messages that must last (:func:`catena_core.topics.check_whole`).

``python -m catena_core.embedded --topic words:4`` runs it as a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import confluent_kafka
from confluent_kafka.admin import AdminClient

from catena_core.errors import CatenaError
from catena_core.topics import TopicSpec, dropped

_PRODUCER = 0

# Seconds between two looks at what the broker has dropped.
_CHECK_EVERY = 2.0

# Properties that clients of the embedded broker should set: it waits out the session timeout at each rebalance.
CLIENT_PROPERTIES = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}


class EmbeddedBroker:
    """A mock cluster of one broker inside this process, listening on a free port of 127.0.0.1.

    Use it as a context manager: the broker ends with the block, and its messages are gone.

    Args:
        topics: Topics to make at once. Others come into being when first asked for, with 4 partitions.
        first_rebalance_delay: Seconds that a new group waits for further members. The default is long enough for the processes
            of one machine to join together: each later change of a group costs the session timeout less a second. Groups of
            one member, as in tests, need not wait.
    """

    def __init__(self, topics: Iterable[TopicSpec] = (), first_rebalance_delay: float = 1.0) -> None:
        self._library = _load_library()
        error = ctypes.create_string_buffer(512)
        configuration = self._library.rd_kafka_conf_new()
        for name, value in (("log_level", "0"), ("client.id", "embedded-broker")):
            self._library.rd_kafka_conf_set(configuration, name.encode(), value.encode(), error, len(error))
        self._client = self._library.rd_kafka_new(_PRODUCER, configuration, error, len(error))
        if not self._client:
            raise CatenaError(f"the embedded broker did not start: {error.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, int(1000 * first_rebalance_delay))
        self.endpoint: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        try:
            for topic in topics:
                self.create_topic(topic.name, topic.partitions)
        except BaseException:
            self.close()
            raise

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic with this number of partitions.

        Raises:
            CatenaError: It exists already.
        """
        if self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1):
            raise CatenaError(f"the embedded broker has a topic {name} already")

    def close(self) -> None:
        """End the broker; safe to call twice."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)
            self._cluster = None

    def __enter__(self) -> EmbeddedBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _load_library() -> Any:
    """Load the wheel's own librdkafka, and declare the functions used here."""
    package = Path(confluent_kafka.__file__).parent
    candidates = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not candidates:
        raise CatenaError(
            "the embedded broker needs the librdkafka of the confluent-kafka wheel, and this installation has none; "
            "install it with pip from a wheel, or start Apache Kafka and name it with -k HOST:PORT"
        )
    library = ctypes.CDLL(str(candidates[0]))
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", number, [pointer, text, text, text, size]),
        ("rd_kafka_new", pointer, [number, pointer, text, size]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, number]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_topic_create", number, [pointer, text, number, number]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _read_topics(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[TopicSpec]:
    specs = []
    for value in values:
        name, _, number = value.rpartition(":")
        if not name or not number.isdecimal() or not 1 <= int(number) <= 1000:
            raise click.BadParameter(f"'{value}' should be NAME:PARTITIONS, for instance words:4")
        specs.append(TopicSpec(name, int(number)))
    return specs


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9092,
    show_default=True,
    help="Where links of this machine find it; 0 takes any free one.",
)
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="NAME:PARTITIONS",
    callback=_read_topics,
    help="A topic to make at once; may be repeated. Others come into being when first asked for, with 4 partitions.",
)
def main(port: int, topics: list[TopicSpec]) -> None:
    """Run the embedded broker until Ctrl-C, for links of this machine to try things out."""
    try:
        with EmbeddedBroker(topics) as broker:
            asyncio.run(_serve(broker.endpoint, port))
    except CatenaError as error:
        raise click.ClickException(str(error))


async def _serve(endpoint: str, port: int) -> None:
    """Lead clients from a port of one's choice to the broker, until SIGINT or SIGTERM.

    The mock cluster takes no port but chooses one itself. It is enough to forward the connection by which a client asks where
    the brokers are: the answer names the real port.
    """

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            broker_reader, broker_writer = await asyncio.open_connection(*endpoint.split(":"))
            await asyncio.gather(_copy(reader, broker_writer), _copy(broker_reader, writer))

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if port:
        try:
            await asyncio.start_server(forward, "localhost", port)
        except OSError as error:
            raise CatenaError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from error
    address = f"localhost:{port}" if port else endpoint
    properties = " ".join(f"-X {name}={value}" for name, value in CLIENT_PROPERTIES.items())
    click.echo(f"embedded broker on {address}; all it holds is gone when it ends, by Ctrl-C")
    click.echo(f"  python my_link.py -k {address} -i INPUT -o OUTPUT")
    click.echo(f"  quicker when links come and go: {properties}")
    watch = asyncio.create_task(_tell_of_drops(endpoint))
    await stop.wait()
    watch.cancel()


async def _tell_of_drops(endpoint: str) -> None:
    """Say once of each topic that its oldest messages are gone."""
    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2})
    told: set[str] = set()
    while True:
        await asyncio.sleep(_CHECK_EVERY)
        with contextlib.suppress(confluent_kafka.KafkaException):
            cluster = await asyncio.to_thread(admin.list_topics, timeout=5)
            counts = await asyncio.to_thread(dropped, admin, cluster, cluster.topics)
            for topic in counts.keys() - told:
                told.add(topic)
                click.echo(
                    f"WARNING {topic} has dropped {counts[topic]} of its oldest messages: this broker keeps 5 MiB of a "
                    "partition. Use Apache Kafka for more"
                )


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
