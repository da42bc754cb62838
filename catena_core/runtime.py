"""The ground a link runs on: Kafka, the test driver, or nothing at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaException

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Lane
from catena_core.consuming.loop import ConsumerLoop
from catena_core.dead_letters import letter
from catena_core.definition import LinkDefinition
from catena_core.delivery.at_least_once import AtLeastOnce, NoCommits
from catena_core.delivery.base import Delivery
from catena_core.delivery.committer import Committer
from catena_core.delivery.exactly_once import ExactlyOnce
from catena_core.delivery.producer import MessageProducer
from catena_core.electron import Electron
from catena_core.errors import DeliveryError, ReadingError, StoppedError, UsageError, described
from catena_core.kafka.partition import Partition
from catena_core.kafka.patience import Patience
from catena_core.mistakes import run_plain
from catena_core.monitoring.monitoring import Monitoring
from catena_core.options import LinkOptions
from catena_core.rpc import Peer, RpcService
from catena_core.rpc.service import TOPIC as RPC_TOPIC
from catena_core.table import Table, TableContent
from catena_core.transforming.concurrent import ConcurrentLane
from catena_core.transforming.transformer import Transformer
from catena_core.wire.message import Message

# Seconds between commits; in transactions, outputs wait for them.
_COMMIT_INTERVAL = {"at_least_once": 1.0, "exactly_once": 0.1}

# Seconds without an acknowledgement that are a problem of the link's health.
_SILENT_AFTER = 20.0

# Seconds for which a count of partitions holds.
_COUNTED_FOR = 30.0


class Runtime(Protocol):
    """The services that a link asks for."""

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        """Send electrons.

        Args:
            electrons: The electrons.
            done: Called once all have arrived, with the first error or ``None``.

        Returns:
            Whether the caller may wait for that: not where it holds up the transaction in which they go out, as in a transform.
        """

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Read a compacted topic as a mapping."""

    def partition_count(self, topic: str) -> int:
        """Count the partitions of a topic."""

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the link's single lane, between electrons."""

    def callback(self, function: Callable[[], Any]) -> None:
        """Run a callback of the link where it delays nothing but other callbacks."""

    def current_assignment(self) -> Assignment | None:
        """Give the partition of the electron that the calling thread transforms; ``None`` if it transforms none."""

    def rpc(self) -> Peer:
        """Give the link's part in remote calls, started when first asked for."""


class NoRuntime:
    """The runtime of a link without Kafka: it neither reads nor sends."""

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        raise UsageError("there is no Kafka to send to; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        raise UsageError("there is no Kafka to read from; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def partition_count(self, topic: str) -> int:
        raise UsageError("there is no Kafka to ask; name one with -k HOST:PORT or KAFKA_ENDPOINT")

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        run_plain(function, *args)

    def callback(self, function: Callable[[], Any]) -> None:
        run_plain(function)

    def current_assignment(self) -> Assignment | None:
        return None

    def rpc(self) -> Peer:
        raise UsageError("there is no Kafka to call through; name one with -k HOST:PORT or KAFKA_ENDPOINT")


class KafkaRuntime:
    """Runs one link against Kafka.

    Args:
        definition: The link.
        options: Its options, with a Kafka endpoint.
        stop: Set when the link is to stop.
        ready: To be set once it has joined its consumer group.
        fail: Called with an error that no retry can mend.
        monitoring: Its metrics, its health and its watchdog.
    """

    def __init__(
        self,
        definition: LinkDefinition,
        options: LinkOptions,
        stop: threading.Event,
        ready: threading.Event,
        fail: Callable[[BaseException], None],
        monitoring: Monitoring,
    ) -> None:
        assert options.kafka_endpoint is not None
        link = self._link = definition.link
        self._definition = definition
        self._options = options
        self._stop = stop
        self._ready = ready
        self._fail = fail
        self._endpoint = options.kafka_endpoint
        self._monitoring = monitoring
        self._metrics = monitoring.metrics
        self._callbacks = Lane("callbacks", fail)
        self._tables: list[Table[Any]] = []
        self._partition_counts: dict[str, tuple[int, float]] = {}
        self._loop: ConsumerLoop | None = None
        self._concurrent: ConcurrentLane | None = None
        self._rpc: RpcService | None = None
        self._rpc_lock = threading.Lock()
        self._holding_up: set[int] = set()  # threads for which the consumer's thread waits
        self._submitting = threading.Lock()
        self._submitted: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # before there was a lane
        self._patience = Patience(options.consumer_timeout, stop)
        monitoring.health.ask(self._patience.problems)
        exactly_once = options.delivery == "exactly_once" and not link.replay
        try:
            self._producer = MessageProducer(
                self._endpoint,
                link.logger,
                options.properties,
                on_refused=lambda reason, output: self._delivery.refused(reason, output),
                on_failure=fail,
                transactional_id=f"{link.consumer_group}.{options.instance_id or link.uid}" if exactly_once else None,
                stop=stop,
            )
        except KafkaException as error:
            raise UsageError(f"Kafka's client does not take these properties: {error.args[0].str()}") from error
        self._delivery = self._make_delivery(exactly_once)
        self._committer = Committer(self._delivery, fail)
        monitoring.health.ask(self._problems)
        self._transformer = Transformer(
            definition, self._delivery, self._producer.serve, self.callback, fail, self._metrics, stop
        )

    def _problems(self) -> dict[str, str]:
        silent = self._delivery.silent_for
        if silent < _SILENT_AFTER:
            return {}
        return {"delivery": f"Kafka has acknowledged no message for {silent:.0f} s, though some wait"}

    def _make_delivery(self, exactly_once: bool) -> Delivery:
        interval = 0.0 if self._options.synchronous else _COMMIT_INTERVAL[self._options.delivery]
        producer, replace, fail, logger = self._producer, self._dead_output, self._fail, self._link.logger
        if self._link.replay:
            return NoCommits(producer, replace, fail)
        if not exactly_once:
            return AtLeastOnce(producer, replace, fail, logger, self._metrics, interval)
        patience = self._options.consumer_timeout
        delivery = ExactlyOnce(producer, replace, fail, logger, self._metrics, self._stop, interval, patience)
        try:
            with self._patience.waiting(
                "delivery", f"Kafka gives no transactions under the id {producer.transactional_id}"
            ):
                delivery.begin()
        except KafkaException as error:
            if self._stop.is_set():
                raise StoppedError("Kafka gave no transactions before the link was to stop") from error
            raise DeliveryError(
                f"Kafka gives no transactions under the id {producer.transactional_id}: {error.args[0].str()}"
            ) from error
        return delivery

    # Services for the link

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        """Queue electrons; see :class:`Runtime`."""
        own = self._transformer.context.sink
        sink = own or self._delivery.sink(None)
        for message in [self._transformer.message_of(electron) for electron in electrons]:
            sink.send(message)
            self._metrics.produced(message.topic, 1)
            if message.topic == self._definition.dead_letter_topic:
                self._metrics.dead_letters(letter.origin_of(message))
        if done is not None:
            sink.then(done)
        holds_up = own is not None or threading.get_ident() in self._holding_up
        return not (holds_up and self._delivery.transactional)

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Start to read a compacted topic as a table."""
        table: Table[Any] = Table(
            self._endpoint, topic, self._link.logger, self._options.properties, self._fail, self._patience, **content
        )
        self._tables.append(table)
        return table

    def partition_count(self, topic: str) -> int:
        """Count the partitions of a topic; Kafka is asked once in a while, as partitions may be added."""
        count, asked_at = self._partition_counts.get(topic, (0, -_COUNTED_FOR))
        if time.monotonic() - asked_at >= _COUNTED_FOR:
            try:
                count = self._patience.ask(
                    f"topic {topic}", lambda: self._producer.partition_count(topic), 0 if count else None
                )
            except KafkaException as error:
                if not count:
                    raise UsageError(f"the topic {topic} cannot be looked up: {error.args[0].str()}") from error
            self._partition_counts[topic] = count, time.monotonic()
        return count

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run a call in the link's single lane, between electrons."""
        self._definition.check_single_lane()
        if not self._definition.reads:
            self._guarded(function, args)
            return
        with self._submitting:
            if self._loop is None:
                self._submitted.append((function, args))
                return
        self._loop.submit(self._guarded, function, args, soon=True)

    def callback(self, function: Callable[[], Any]) -> None:
        """Run a callback of the link in the thread of callbacks."""
        self._callbacks.put(self._guarded, function, ())

    def rpc(self) -> Peer:
        """Give the link's part in remote calls, started when first asked for."""
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
                    end=self._fail,
                )
                self._rpc.start()
            return self._rpc

    def current_assignment(self) -> Assignment | None:
        """Give the partition of the electron that the calling thread transforms."""
        return self._transformer.context.assignment

    # Its lifecycle

    def run(self, running: Callable[[], None]) -> None:
        """Read until the link stops, then drain; return when everything is acknowledged or given up.

        Args:
            running: Called once the tables are complete, before the first electron is transformed.
        """
        for table in self._tables:
            table.wait_until_complete(self._stop)
        if self._definition.reads:
            loop = self._make_loop()
            with self._submitting:
                self._loop = loop
            for function, args in self._submitted:
                loop.submit(self._guarded, function, args)
            self._monitoring.watch(self._loop)
            self._monitoring.health.ask(self._loop.problems)
            running()
            with self._committer.paused():
                try:
                    self._loop.run(self._stop)
                except KafkaException as error:
                    raise ReadingError(f"Kafka's client cannot read: {error.args[0].str()}") from error
        else:
            running()
            self._stop.wait()

    def close(self) -> None:
        """Close tables and the producer, after flushing its queue."""
        self._committer.close()
        self._delivery.close()
        self._delivery.flush_and_commit((), time.monotonic() + self._link.drain_timeout)
        if self._concurrent is not None:
            self._concurrent.close()
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
        link, options, definition = self._link, self._options, self._definition
        if definition.is_concurrent:
            self._concurrent = ConcurrentLane(
                self._transformer.process_async, link.concurrency, definition.keeps_order, self._fail
            )
        try:
            return ConsumerLoop(
                endpoint=self._endpoint,
                group=link.consumer_group,
                instance_id=options.instance_id,
                subscription=self._definition.subscription,
                process=self._transformer.process,
                idle=self._producer.flush_linger,
                listener=self,
                delivery=self._delivery,
                lanes=self._definition.lane_count,
                replay=link.replay,
                batch_size=link.batch_size,
                batch_linger=link.batch_linger,
                one_by_one=options.synchronous,
                input_mode=options.input_mode,
                window=options.exp_window_size,
                drain_timeout=link.drain_timeout,
                properties=options.properties,
                left_out=(definition.dead_letter_topic, RPC_TOPIC, *options.output_topics),
                logger=link.logger,
                metrics=self._metrics,
                concurrent=self._concurrent,
            )
        except KafkaException as error:
            raise UsageError(f"Kafka's client does not take these properties: {error.args[0].str()}") from error

    # News of partitions, from the consumer loop

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Tell the link of its new partitions, in its lane when it has a single one."""
        self._monitoring.health.ready = True
        if partitions:
            self._tell(self._link.assigned, partitions)
        self._ready.set()

    def revoked(self, partitions: Sequence[Partition], deadline: float) -> None:
        """Tell the link that partitions are gone, and wait until its hook has returned, at most to the deadline."""
        returned = threading.Event()
        self._tell(self._link.revoked, partitions, then=returned.set, waits=True)
        returned.wait(max(0.0, deadline - time.monotonic()))

    def replayed(self, assignment: Assignment) -> None:
        """Tell the link that it has transformed all of a partition."""

        def call() -> None:
            if not assignment.revoked:
                self._guarded(self._link.replayed, (assignment.partition,))

        if self._definition.lane_count == 1 and self._loop is not None:
            self._loop.submit(call)
        else:
            call()

    def _tell(
        self, hook: Callable[..., None], *args: Any, then: Callable[[], None] = lambda: None, waits: bool = False
    ) -> None:
        """Call a hook in the single lane of a link, before the next electron, or at once where it has several."""
        teller = threading.get_ident()

        def call() -> None:
            own = threading.get_ident()
            if waits or own == teller:
                self._holding_up.add(own)
            self._guarded(hook, args)
            self._holding_up.discard(own)
            then()

        if self._definition.lane_count == 1 and self._loop is not None:
            self._loop.submit_urgent(call)
        else:
            call()

    def _guarded(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            run_plain(function, *args)
        except StoppedError:
            pass
        except BaseException as error:
            if not isinstance(error, SystemExit):
                name = getattr(function, "__name__", function)
                self._link.logger.log(f"{name} failed: {described(error)}", level="error")
            self._fail(error)

    # Outputs that Kafka refuses

    def _dead_output(self, output: Message, reason: str) -> Message:
        """Make the dead letter of an output that Kafka refuses; of one that is a letter itself, leave out the value.

        Raises:
            DeliveryError: The topic of dead letters takes not even this.
        """
        letters = self._definition.dead_letter_topic
        if output.topic == letters and output.value is None:
            raise DeliveryError(f"{letters} refuses dead letters: {reason}; look at its max.message.bytes")
        self._link.logger.log(f"Kafka refuses a message for {output.topic}: {reason}", level="error")
        self._metrics.dead_letters(output.topic)
        if output.topic == letters:
            return letter.without_value(output)
        error = DeliveryError(f"Kafka refuses it for {output.topic}: {reason}")
        return letter.from_output(letters, output, error, self._definition.name)
