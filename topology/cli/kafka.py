"""Kafka on the command line: the options that name it, and its errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from catena_core.cli import environment_properties
from catena_core.errors import CatenaError, UsageError
from catena_core.kafka.broker_errors import BrokerErrors
from catena_core.kafka.client import client_properties, error_log
from catena_core.kafka.properties import refused
from catena_core.monitoring.logs import LinkLogger
from catena_core.options import check_brokers, split_properties
from catena_core.table import Table
from catena_core.text import printable

TIMEOUT = 15.0
_LOGGER = LinkLogger("catena")

_properties_option = click.option(
    "-X", "properties", multiple=True, metavar="NAME=VALUE", help="Any librdkafka property; may be repeated."
)
_endpoint_option = click.option(
    "-k", "--kafka", envvar="KAFKA_ENDPOINT", show_envvar=True, metavar="HOST:PORT", help="Kafka, as links get it."
)


def kafka_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name Kafka; :func:`connection` reads them."""
    return _endpoint_option(_properties_option(command))


@dataclass
class Connection:
    """The way to Kafka.

    Attributes:
        endpoint: Its ``host:port``.
        properties: Further librdkafka properties.
    """

    endpoint: str
    properties: dict[str, str]
    _errors: BrokerErrors = field(default_factory=lambda: BrokerErrors(error_log(_LOGGER)), init=False)

    def client(self) -> dict[str, Any]:
        """Return the configuration of a client; it logs no errors before :meth:`metadata`, which tells of them itself."""
        return {**client_properties(self.endpoint, _LOGGER, self.properties), "error_cb": self._errors}

    def consumer(self) -> Consumer:
        """Return a consumer that joins no group and commits nothing."""
        return Consumer(
            {
                **self.client(),
                "group.id": "catena",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )

    def rows(self, topic: str, decode: Callable[[str, Any], Any], **content: Any) -> dict[str, Any]:
        """Read a compacted topic once.

        Args:
            topic: The topic.
            decode: Gives the row of a key and a value; ``None`` leaves it out.
            content: Further arguments of :class:`~catena_core.table.TableContent`.

        Raises:
            CatenaError: It cannot be read.
        """
        with closing(self.table(topic, decode=decode, **content)) as table:
            return table.copy()

    def table(self, topic: str, **content: Any) -> Table[Any]:
        """Read a compacted topic to its end, and follow it.

        Args:
            topic: The topic.
            content: Further arguments of :class:`~catena_core.table.TableContent`.

        Raises:
            CatenaError: It cannot be read.
        """
        self.metadata(AdminClient(self.client()))  # a table that waits for a broker does not say why none answers
        table = Table[Any](self.endpoint, topic, _LOGGER, self.properties, **content)
        table.wait_until_complete()
        return table

    def metadata(self, admin: AdminClient | Consumer) -> ClusterMetadata:
        """Ask for the brokers and topics.

        Raises:
            CatenaError: No broker answers.
        """
        found: ClusterMetadata = self._errors.metadata(
            admin, self.endpoint, TIMEOUT, lambda said: click.echo(said, err=True)
        )
        return found


def connection(kafka: str | None, properties: tuple[str, ...]) -> Connection:
    """Return the way to Kafka that the options, the environment and ``.env`` tell.

    Raises:
        UsageError: None of them names it.
    """
    endpoint = kafka or endpoint_of_settings()
    if endpoint is None:
        raise click.UsageError(
            "no Kafka endpoint; name one with -k HOST:PORT or KAFKA_ENDPOINT ('catena up' prints that of its broker)"
        )
    with kafka_errors():
        check_brokers(endpoint)
        return Connection(endpoint, {**properties_of_settings(), **split_properties(properties)})


def properties_of_settings() -> dict[str, str]:
    """Return the librdkafka properties that the environment or ``.env`` sets.

    Raises:
        UsageError: The file, or that of a secret, cannot be read.
    """
    try:
        from topology.kafka_properties import kafka_properties
    except (ImportError, UsageError):  # without the extra [catalogue] nothing reads .env
        return environment_properties()
    return {**kafka_properties(), **environment_properties()}


def endpoint_of_settings() -> str | None:
    """Return the address of Kafka that the environment or ``.env`` names; ``None`` if none does."""
    try:
        from topology import settings
    except (ImportError, UsageError):  # without the extra [catalogue] nothing reads .env
        return None
    return settings.kafka_endpoint()


@contextmanager
def kafka_errors() -> Iterator[None]:
    """Turn the errors of asking Kafka into errors of the command line."""
    try:
        yield
    except KafkaException as error:
        raise click.ClickException(f"Kafka refuses it: {printable(refused(error))}") from error
    except CatenaError as error:
        raise click.ClickException(printable(str(error))) from error


class Sender:
    """Sends messages, and learns whether Kafka has taken all of them."""

    def __init__(self, kafka: Connection) -> None:
        self._producer = Producer({**kafka.client(), "enable.idempotence": True, "partitioner": "murmur2_random"})
        self._error = ""

    def send(self, topic: str, value: str | bytes | None, key: str | None, **details: Any) -> None:
        """Send one message.

        Args:
            topic: The topic.
            value: Its value; ``None`` for a tombstone.
            key: Its key; ``None`` for none.
            details: ``partition`` and ``headers``, as confluent-kafka takes them.

        Raises:
            click.ClickException: Kafka does not take it.
        """
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **details)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise click.ClickException(f"Kafka does not take it: {error.args[0].str()}") from error

    def flush(self) -> None:
        """Wait until Kafka has acknowledged everything.

        Raises:
            click.ClickException: It has not.
        """
        left = self._producer.flush(TIMEOUT)
        if self._error or left:
            raise click.ClickException(f"Kafka does not take it: {self._error or 'no answer'}")

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            hint = (
                "; a compacted topic takes no message without a key"
                if error.code() == KafkaError.INVALID_RECORD
                else ""
            )
            self._error = self._error or f"{error.str()}{hint}"
