"""What a link stands on: Kafka, the test driver, or nothing at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from confluent_kafka import KafkaException

from catena_core.consuming.assignment import Batch
from catena_core.consuming.lanes import Lane
from catena_core.consuming.loop import ConsumerLoop
from catena_core.dead_letters import letter
from catena_core.delivery.at_least_once import AtLeastOnce, Delivery, ReadOnly
from catena_core.delivery.exactly_once import ExactlyOnce
from catena_core.delivery.producer import MessageProducer
from catena_core.electron import Electron
from catena_core.errors import DeliveryError, StoppedError, UsageError
from catena_core.kafka.partition import Partition
from catena_core.monitoring.monitoring import Monitoring
from catena_core.options import LinkOptions
from catena_core.rpc import Peer, RpcService
from catena_core.table import Table, TableContent
from catena_core.transforming.transformer import Outgoing, Transformer
from catena_core.wire.message import Message

if TYPE_CHECKING:
    from catena_core.link import Link

# Seconds between commits; in transactions, outputs wait for them.
_COMMIT_INTERVAL = {"at_least_once": 1.0, "exactly_once": 0.1}


class Runtime(Protocol):
    """What a link asks of what it stands on."""

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        """Send electrons.

        Args:
            electrons: What to send.
            done: Called once all have arrived, with the first error or ``None``.

        Returns:
            Whether that may be waited for here: not within a transform whose outputs go out together with its offset.
        """

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Read a compacted topic as a mapping."""

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has."""

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the link's single lane, between electrons."""

    def callback(self, function: Callable[[], Any]) -> None:
        """Run a callback of the link where it holds up nothing but other callbacks."""

    def rpc(self) -> Peer:
        """The link's part in remote calls, taken up when first asked for."""


class NoRuntime:
    """For a link that needs no Kafka: it neither reads nor sends."""

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        raise UsageError("there is no Kafka to send to; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        raise UsageError("there is no Kafka to read from; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def partition_count(self, topic: str) -> int:
        raise UsageError("there is no Kafka to ask; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        function(*args)

    def callback(self, function: Callable[[], Any]) -> None:
        function()

    def rpc(self) -> Peer:
        raise UsageError("there is no Kafka to call through; name one with -k HOST:PORT or KAFKA_ENDPOINT")


class KafkaRuntime:
    """Runs one link against Kafka.

    Args:
        link: The link.
        options: Its options, with a Kafka endpoint.
        stop: Set when the link is to stop.
        monitoring: Its metrics, its health and what watches it.
    """

    def __init__(self, link: Link, options: LinkOptions, stop: threading.Event, monitoring: Monitoring) -> None:
        assert options.kafka_endpoint is not None
        self._link = link
        self._options = options
        self._stop = stop
        self._endpoint = options.kafka_endpoint
        self._monitoring = monitoring
        self._metrics = monitoring.metrics
        outgoing = self._outgoing = Outgoing()
        link.life.transforming = lambda: outgoing.assignment
        self._callbacks = Lane("callbacks")
        self._tables: list[Table[Any]] = []
        self._partition_counts: dict[str, int] = {}
        self._loop: ConsumerLoop | None = None
        self._rpc: RpcService | None = None
        self._rpc_lock = threading.Lock()
        exactly_once = options.delivery == "exactly_once" and not link.replay
        try:
            self._producer = MessageProducer(
                self._endpoint,
                link.logger,
                options.properties,
                on_refused=self._refused,
                on_failure=self.fail,
                transactional_id=f"{link.consumer_group}.{options.instance_id or link.uid}" if exactly_once else None,
            )
        except KafkaException as error:
            raise UsageError(f"Kafka's client does not take these properties: {error.args[0].str()}") from error
        self._delivery = self._promise(exactly_once)
        self._transformer = Transformer(link, self._delivery, self._outgoing, self.callback, self._metrics, stop)

    def _promise(self, exactly_once: bool) -> Delivery:
        interval = 0.0 if self._options.synchronous else _COMMIT_INTERVAL[self._options.delivery]
        logger = self._link.logger
        if self._link.replay:
            return ReadOnly(self._producer)
        if not exactly_once:
            return AtLeastOnce(self._producer, logger, self._metrics, interval)
        delivery = ExactlyOnce(
            self._producer, logger, self._metrics, self._stop, self.fail, self._dead_output, interval
        )
        try:
            delivery.begin()
        except KafkaException as error:
            raise DeliveryError(f"Kafka gives no transactions: {error.args[0].str()}") from error
        return delivery

    # What a link asks for

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        """Queue electrons; see :class:`Runtime`."""
        own = self._outgoing.sink
        sink = own or self._delivery.sink(None)
        for message in [self._transformer.message_of(electron) for electron in electrons]:
            sink.send(message)
            self._metrics.produced(message.topic, 1)
        if done is not None:
            sink.then(done)
        return own is None or not isinstance(self._delivery, ExactlyOnce)

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Start to read a compacted topic as a table."""
        table: Table[Any] = Table(self._endpoint, topic, self._link.logger, self._options.properties, **content)
        self._tables.append(table)
        return table

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; asked once."""
        if topic not in self._partition_counts:
            try:
                self._partition_counts[topic] = self._producer.partition_count(topic)
            except KafkaException as error:
                raise UsageError(f"the topic {topic} cannot be looked up: {error.args[0].str()}") from error
        return self._partition_counts[topic]

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the link's single lane, between electrons."""
        if self._loop is not None:
            self._loop.submit(self._guarded, function, args, soon=True)

    def callback(self, function: Callable[[], Any]) -> None:
        """Run a callback of the link in the thread of callbacks."""
        self._callbacks.put(self._guarded, function, ())

    def rpc(self) -> Peer:
        """The link's part in remote calls, taken up when first asked for."""
        with self._rpc_lock:
            if self._rpc is None:
                self._rpc = RpcService(
                    self._link,
                    uid=self._link.uid,
                    group=self._link.consumer_group,
                    endpoint=self._endpoint,
                    properties=self._options.properties,
                    logger=self._link.logger,
                    threads=self._options.num_rpc_threads,
                )
                self._rpc.start()
            return self._rpc

    def fail(self, error: Exception) -> None:
        """Stop the link because of an error that no retry can mend."""
        self._link.life.failed(error)

    # Its life

    def run(self) -> None:
        """Read until the link stops, then drain; returns when everything is acknowledged or given up."""
        for table in self._tables:
            table.wait_until_complete(self._stop)
        if self._link.reads:
            self._loop = self._make_loop()
            self._monitoring.watch(self._loop)
            self._link.life.running()
            self._loop.run(self._stop)
        else:
            self._link.life.running()
            while not self._stop.wait(0.05):
                self._delivery.advance(())

    def close(self) -> None:
        """Let go of tables and of the producer, whose queue is flushed first."""
        self._delivery.settle((), time.monotonic() + self._link.drain_timeout)
        if self._rpc is not None:
            self._rpc.close()
        for table in self._tables:
            table.close()
        left = self._producer.close(self._link.drain_timeout)
        drained = threading.Event()
        self._callbacks.put(drained.set)
        self._callbacks.close()
        drained.wait(self._link.drain_timeout)
        if left:
            self._link.logger.log(f"{left} messages were not acknowledged before the end", level="warning")

    def _make_loop(self) -> ConsumerLoop:
        link, options = self._link, self._options
        try:
            return ConsumerLoop(
                endpoint=self._endpoint,
                group=link.consumer_group,
                instance_id=options.instance_id,
                topics=lambda: link.input_topics,
                handler=self,
                delivery=self._delivery,
                lanes=link.lane_count,
                replay=link.replay,
                batch_size=link.batch_size,
                one_by_one=options.synchronous,
                input_mode=options.input_mode,
                window=options.exp_window_size,
                drain_timeout=link.drain_timeout,
                properties=options.properties,
                logger=link.logger,
                metrics=self._metrics,
                watchdog=self._monitoring.watchdog,
            )
        except KafkaException as error:
            raise UsageError(f"Kafka's client does not take these properties: {error.args[0].str()}") from error

    # What the consumer loop calls

    def process(self, batch: Batch) -> None:
        """Transform a batch, in a lane."""
        self._transformer.process(batch)
        self._producer.serve()

    def idle(self) -> None:
        """Have what lanes sent go out at once, since nothing more comes for the moment."""
        self._producer.hurry()

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Tell the link of its new partitions, in its lane when it has a single one."""
        self._monitoring.health.ready = True
        if partitions:
            self._tell(self._link.assigned, partitions)
        self._link.life.ready.set()

    def revoked(self, partitions: Sequence[Partition], deadline: float) -> None:
        """Tell the link that partitions are gone, and wait until it has taken that in, at most to the deadline."""
        told = threading.Event()
        self._tell(self._link.revoked, partitions, then=told.set)
        told.wait(max(0.0, deadline - time.monotonic()))

    def replayed(self, partition: Partition) -> None:
        """Tell the link that it has seen all of a partition."""
        self._tell(self._link.replayed, partition)

    def _tell(self, hook: Callable[..., None], *args: Any, then: Callable[[], None] | None = None) -> None:
        def call() -> None:
            self._guarded(hook, args)
            if then is not None:
                then()

        if self._link.lane_count == 1 and self._loop is not None:
            self._loop.submit(call)
        else:
            call()

    def _guarded(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except (StoppedError, SystemExit):
            pass
        except Exception as error:
            self._link.logger.log(f"{getattr(function, '__name__', function)} failed: {error!r}", level="error")
            self.fail(error)

    # What Kafka refuses

    def _refused(self, reason: str, output: Message) -> None:
        """Set an output aside that Kafka will never take, for instance because it is too large for its topic."""
        if isinstance(self._delivery, ExactlyOnce):
            self._delivery.refused(output)
            return
        try:
            self._producer.send_now(self._dead_output(output, reason))
        except DeliveryError as error:
            self.fail(error)

    def _dead_output(self, output: Message, reason: str = "too large, or not valid there") -> Message:
        """What takes the place of an output that Kafka refuses: its dead letter, or, where it is one, that without its value.

        Raises:
            DeliveryError: The topic of dead letters takes not even this.
        """
        letters = self._link.dead_letters
        if output.topic == letters and output.value is None:
            raise DeliveryError(f"{letters} refuses dead letters: {reason}; look at its max.message.bytes")
        self._link.logger.log(f"Kafka refuses a message for {output.topic}: {reason}", level="error")
        self._metrics.dead_letters(output.topic)
        if output.topic == letters:
            return letter.without_value(output)
        error = DeliveryError(f"Kafka refuses it for {output.topic}: {reason}")
        return letter.from_output(letters, output, error, type(self._link).__name__)
