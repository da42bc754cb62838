"""Links on a broker, for tests: the objects behind the fixtures of :mod:`catena_core.testing.pytest_plugin`."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from catena_core.cli import environment_properties
from catena_core.electron import Electron
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.errors import CatenaError, DeliveryError, UsageError
from catena_core.link import Link
from catena_core.monitoring.watchdog import stacks
from catena_core.topics import TopicSpec, ensure
from catena_core.wire.message import reader, writer

# Of the electrons that arrived in place of those expected, so many are named.
_SHOWN = 20

# Seconds.
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 20.0


@contextmanager
def open_broker(endpoint: str | None) -> Iterator[TestBroker]:
    """Give a broker for tests.

    Args:
        endpoint: The ``host:port`` of one that runs, whose further properties are read from ``KAFKA_*`` variables; ``None``
            starts the embedded one, which ends with the block.

    Raises:
        CatenaError: None answers there.
    """
    if endpoint is None:
        with EmbeddedBroker(first_rebalance_delay=0.1) as embedded:
            yield TestBroker(embedded.endpoint, CLIENT_PROPERTIES, embedded.create_topic)
    else:
        properties = environment_properties()
        ensure(endpoint, (), properties)
        yield TestBroker(endpoint, properties)


class TestBroker:
    """A broker for tests of links: topics of one's own, electrons in, electrons out.

    Args:
        endpoint: Kafka's ``host:port``.
        properties: The librdkafka properties with which its clients, links included, reach it.
        create_topic: Makes a topic of a name with a number of partitions; ``None``: Kafka does.

    Attributes:
        endpoint: As given.
        properties: As given.
    """

    __test__ = False  # to pytest: this is no test

    def __init__(
        self,
        endpoint: str,
        properties: Mapping[str, str],
        create_topic: Callable[[str, int], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.properties = dict(properties)
        self._create_topic = create_topic
        self._positions: dict[tuple[str, int], int] = {}
        self._links: list[Link] = []

    def topic(self, name: str, partitions: int = 4, compacted: bool = False) -> str:
        """Make a topic that no other test uses.

        Args:
            name: The beginning of its name.
            partitions: The number of its partitions.
            compacted: Whether Kafka keeps the newest message of each key for ever; the embedded broker never compacts.

        Returns:
            Its full name, another one at each call.
        """
        full_name = f"{name}-{uuid.uuid4().hex[:8]}"
        if self._create_topic is not None:
            self._create_topic(full_name, partitions)
        else:
            ensure(self.endpoint, [TopicSpec(full_name, partitions, compacted)], self.properties)
        return full_name

    def produce(self, topic: str, items: Iterable[Any], value_format: str = "auto") -> None:
        """Put electrons into a topic, and wait until Kafka has them.

        Args:
            topic: The topic.
            items: Values, ``(key, value)`` pairs, electrons, or a mixture.
            value_format: How values are written, as ``output_format`` of a link.

        Raises:
            UsageError: It is one item, where a list of them is wanted.
            DeliveryError: Kafka did not take one of them.
        """
        if isinstance(items, (str, bytes, Mapping, Electron)):
            raise UsageError(f"produce takes a list of items; write produce(topic, [{items!r}])")
        refused: list[str] = []

        def on_delivery(error: Any, _message: Any) -> None:
            if error is not None:
                refused.append(error.str())

        write = writer(value_format, topic)
        producer = Producer({"log_level": 2, **self.properties, "bootstrap.servers": self.endpoint, "linger.ms": 1})
        for item in items:
            message = write(_electron_of(item).replace(topic=topic))
            place = {} if message.partition is None else {"partition": message.partition}
            moment = {} if message.timestamp is None else {"timestamp": message.timestamp}
            further = {"headers": message.headers, "on_delivery": on_delivery, **place, **moment}
            while True:
                try:
                    producer.produce(topic, message.value, message.key, **further)
                    break
                except BufferError:  # its queue is full
                    producer.poll(0.1)
                except KafkaException as error:
                    refused.append(error.args[0].str())
                    break
            producer.poll(0)
        left = producer.flush(30)
        if refused or left:
            raise DeliveryError(
                f"{len(refused) + left} electrons for {topic} did not arrive: {(refused or ['timeout'])[0]}"
            )

    def consume(
        self, topic: str, count: int, timeout: float = 30.0, settle: float = 0.0, value_format: str = "auto"
    ) -> list[Electron]:
        """Wait for the next electrons of a topic: at first from its beginning, at each further call from where the last ended.

        Args:
            topic: The topic.
            count: How many there must be.
            timeout: Seconds to wait for them.
            settle: Seconds for which it then looks whether there are more than that; if so, it fails.
            value_format: How values without a content type are read, as ``input_format`` of a link.

        Returns:
            The electrons as they arrived; those of one partition in its order. Their ``previous_topic`` is the topic.

        Raises:
            AssertionError: There were fewer in time, or more; it says which.
            Exception: A link that ``run_link`` runs has failed: its error.
        """
        read = reader(value_format)
        found: list[Electron] = []
        deadline = time.monotonic() + timeout
        consumer = Consumer(
            {
                "log_level": 2,
                "fetch.wait.max.ms": 50,
                **self.properties,
                "bootstrap.servers": self.endpoint,
                "group.id": "catena-tests",  # librdkafka wants one; no group is joined, nothing is committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        try:
            self._assign(consumer, topic, deadline)

            def take(most: int) -> None:
                for message in consumer.consume(most, 0.05):
                    if message.error() is None:
                        place = (topic, message.partition())
                        found.append(read(message, *place, message.offset()))
                        self._positions[place] = message.offset() + 1
                self._check_links()

            while len(found) < count and time.monotonic() < deadline:
                take(count - len(found))
            settled = time.monotonic() + settle
            while len(found) >= count and time.monotonic() < settled:
                take(1000)
        finally:
            consumer.close()
        if len(found) != count:
            waited = f"in {timeout:g} s" if len(found) < count else f"within {settle:g} s after"
            raise AssertionError(f"{topic}: {count} electrons expected, {len(found)} arrived {waited}{_listed(found)}")
        return found

    def watch(self, link: Link) -> None:
        """Let :meth:`consume` fail at once when this link does."""
        self._links.append(link)

    def forget(self, link: Link) -> None:
        """Stop to watch a link.

        Raises:
            Exception: It has failed, and no call has raised that yet: its error.
        """
        if link in self._links:
            self._links.remove(link)
            if link.failure is not None:
                raise link.failure

    def _assign(self, consumer: Consumer, topic: str, deadline: float) -> None:
        """Assign all of a topic as soon as the topic exists: that of dead letters does not before the first one."""
        while True:
            try:
                found = consumer.list_topics(topic, timeout=5).topics[topic]
            except KafkaException as error:
                raise CatenaError(f"{topic} cannot be read: {error.args[0].str()}") from error
            if found.error is None and found.partitions:
                break
            self._check_links()
            if time.monotonic() >= deadline:
                return
            time.sleep(0.1)
        places = [(topic, partition) for partition in found.partitions]
        consumer.assign([TopicPartition(*place, self._positions.get(place, OFFSET_BEGINNING)) for place in places])

    def _check_links(self) -> None:
        for link in list(self._links):
            if link.failure is not None:
                self.forget(link)


class RunLink:
    """Runs links in threads on a broker.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: TestBroker) -> None:
        self._broker = broker
        self._test = uuid.uuid4().hex[:8]
        self._links: list[Link] = []

    def __call__(
        self, link: Link, setup_kwargs: Mapping[str, Any] | None = None, timeout: float = _START_TIMEOUT
    ) -> Link:
        """Start a link, and wait until it has partitions, or runs where it reads none.

        Kafka's address, and a consumer group that all links of one class in this test share, are filled in where the link
        was made without.

        Args:
            link: The link.
            setup_kwargs: Handed to :meth:`~catena_core.Link.setup`.
            timeout: Seconds to wait.

        Returns:
            The link. ``stop()`` and ``join()`` end it before the test does.

        Raises:
            CatenaError: It was not ready in time.
            Exception: It failed to start: its error.
        """
        options = link.options
        link._catena.definition.use(
            replace(
                options,
                kafka_endpoint=self._broker.endpoint,
                properties={**self._broker.properties, **options.properties},
                consumer_group=options.consumer_group or f"{type(link).__name__}-{self._test}",
            )
        )
        assigned = threading.Event()
        hook = link.assigned

        def note(partitions: Sequence[tuple[str, int]]) -> None:
            hook(partitions)
            assigned.set()

        link.assigned = note  # type: ignore[method-assign]
        link.start(embedded=True, setup_kwargs=setup_kwargs)
        self._links.append(link)
        self._broker.watch(link)
        deadline = time.monotonic() + timeout
        while link._catena.definition.reads and link.input_topics and not assigned.wait(0.02):
            if link.join(0):
                self._broker.forget(link)
                break
            if time.monotonic() > deadline:
                raise CatenaError(
                    f"{type(link).__name__} was given no partition of {', '.join(link.input_topics)} within {timeout:g} s; "
                    "there must be such topics, with at least as many partitions as the link has instances"
                )
        return link

    def wait(self, link: Link, timeout: float = _STOP_TIMEOUT) -> None:
        """Wait until a link has ended by itself.

        Args:
            link: The link.
            timeout: Seconds to wait.

        Raises:
            CatenaError: It goes on.
            Exception: It failed: its error, which then fails nothing else.
        """
        if not link.join(timeout):
            raise CatenaError(f"{type(link).__name__} has not ended within {timeout:g} s")
        self._broker.forget(link)

    def close(self) -> None:
        """Stop all links.

        Raises:
            CatenaError: One did not stop; it says where its threads stand.
            Exception: One failed: the first error.
        """
        links = list(self._links)
        for link in links:
            link.stop()
        for link in links:
            if not link.join(_STOP_TIMEOUT):
                raise CatenaError(
                    f"{type(link).__name__} did not stop within {_STOP_TIMEOUT:g} s; threads:\n{stacks()}"
                )
        failures = []
        for link in links:
            try:
                self._broker.forget(link)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]


def _electron_of(item: Any) -> Electron:
    if isinstance(item, Electron):
        return item
    if isinstance(item, tuple) and len(item) == 2:
        return Electron(*item)
    return Electron(value=item)


def _listed(electrons: Sequence[Electron]) -> str:
    if not electrons:
        return ""
    names = Counter(f"{electron.key!r}: {electron.value!r}"[:200] for electron in electrons)
    lines = [f"  {name}{f' ({count} times)' if count > 1 else ''}" for name, count in list(names.items())[:_SHOWN]]
    more = [f"  … and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ":\n" + "\n".join(lines + more)
