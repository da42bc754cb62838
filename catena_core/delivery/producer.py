"""The producer of a link."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from catena_core.errors import CodecError, DeliveryError, StoppedError, described
from catena_core.kafka.client import client_properties
from catena_core.monitoring.logs import LinkLogger
from catena_core.wire.message import Message

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

ENDED = "the link has ended, and sends nothing any more"

# Seconds without a sign that messages arrive, after which the queue takes no new ones until it has run empty once.
_DOUBTED_AFTER = 10.0

# Errors that no retry mends: the fault of the one message, not of the cluster.
_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._INVALID_ARG,
    }
)

# Its partition is gone, since its topic was made again with fewer: it goes to another one.
_MOVED = frozenset({KafkaError._DESTROY})

# Errors of a message with which a transaction would fail again and again; without transactions, all others are the end, too.
_FINAL = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._UNKNOWN_TOPIC,
    }
)


class Arrival:
    """A wait for the arrival of all messages that were sent before it.

    Attributes:
        error: The first delivery that failed for good, if one did; known once :attr:`done` is set.
        done: Set when all messages have arrived or failed.
    """

    __slots__ = ("_then", "done", "error")

    def __init__(self, then: Callable[[Exception | None], None] | None = None) -> None:
        self._then = then
        self.error: Exception | None = None
        self.done = threading.Event()

    def resolve(self, error: Exception | None) -> None:
        """Record how it ended, and make the call."""
        self.error = error
        self.done.set()
        if self._then is not None:
            self._then(error)


class MessageProducer:
    """Sends messages to Kafka: idempotent, compressed, in batches.

    Delivery is confirmed by flushing the queue, not by counting acknowledgements, which would cost as much as sending. For an
    :class:`Arrival` the queue takes no new messages until it has run empty once, a few milliseconds. Only failures are
    reported singly.

    Args:
        endpoint: Kafka's ``host:port``.
        logger: The log of trouble with brokers.
        properties: Further librdkafka properties.
        on_refused: Called with ``(reason, message)`` for each message that Kafka will never take; it may :meth:`send_now`
            another in its place. Outside of transactions such a message was sent by itself before, since Kafka refuses whole
            batches. Every other failure is final for the link, except in a transaction, which fails with it.
        on_failure: Called with the first failure of the other kind.
        transactional_id: The name under which it writes in transactions; ``None``: it does not.
        stop: Set when the link is to stop: a full queue is not waited for any more once Kafka has been silent for a while.

    Attributes:
        client: Kafka's own.
        transactional_id: As given.
        failures: How many messages of transactions did not arrive.
        last_failure: Why the last of these did not.
    """

    def __init__(
        self,
        endpoint: str,
        logger: LinkLogger,
        properties: Mapping[str, str],
        on_refused: Callable[[str, Message], None],
        on_failure: Callable[[Exception], None],
        transactional_id: str | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            # The partitioner of the Java clients, so that equal keys meet in one partition, whichever client sends them.
            "partitioner": "murmur2_random",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 256 * 1024,
            **client_properties(endpoint, logger, properties),
            "on_delivery": self._failed,
            "delivery.report.only.error": True,
        }
        if transactional_id is not None:
            settings["transactional.id"] = transactional_id
            # The open transaction of a crashed instance hides later messages until this has passed.
            settings.setdefault("transaction.timeout.ms", 10_000)
        self.transactional_id = transactional_id
        self._on_refused = on_refused
        self._on_failure = on_failure
        self._failure: Exception | None = None
        self._refused: deque[tuple[str, Message]] = deque()
        self._innocent: list[Message] = []  # of refused batches, where Kafka tells which messages are not valid
        self._settings = settings
        self.client = Producer(settings)
        self._produce = self.client.produce
        self._transactional = transactional_id is not None
        self.failures, self.last_failure = 0, ""
        self._stop = stop
        self._held = False  # the opposite of `_open`, quicker to read
        # The thread that serves deliveries holds it, so that an empty queue means that every failure has been reported.
        self._serving = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._waiting = 0
        self._moved_at = time.monotonic()
        self._awaited: list[Arrival] = []
        self._asked = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._close_by = math.inf
        self._deliveries = threading.Thread(target=self._run_deliveries, name="deliveries", daemon=True)
        self._deliveries.start()

    @property
    def transaction_timeout(self) -> float:
        """The seconds after which Kafka aborts a transaction that has neither been committed nor aborted."""
        return float(self._settings["transaction.timeout.ms"]) / 1000

    @property
    def silent_for(self) -> float:
        """The seconds for which messages have waited and Kafka has acknowledged none."""
        return time.monotonic() - self._moved_at if self._waiting else 0.0

    def send(self, message: Message) -> None:
        """Queue one message; wait while the queue is full or being emptied.

        Raises:
            CodecError: It is too large, or goes to a partition that its topic lacks.
            DeliveryError: The producer cannot send any more.
            StoppedError: It is closed: the sender has outlived the link.
        """
        while self._held and not self._open.wait(0.1):
            self._check_end()
        self.send_now(message)

    def send_plain(self, topic: str, value: bytes, key: bytes) -> None:
        """Queue a message of a value and a key: see :meth:`send`."""
        if not self._held:
            try:
                self._produce(topic, value, key)
                return
            except (BufferError, KafkaException, RuntimeError):
                pass  # `send` meets it again, and raises an error that names the reason
        self.send(Message(topic, value, key))

    def send_now(self, message: Message) -> None:
        """Queue one message even while the queue is being emptied: see :meth:`send`."""
        while True:
            try:
                if message.partition is None and message.timestamp is None:
                    if message.headers is None:
                        self._produce(message.topic, message.value, message.key)
                    else:
                        self._produce(
                            message.topic,
                            message.value,
                            message.key,
                            headers=message.headers,
                            on_delivery=partial(self._failed, sent=message),
                        )
                else:
                    self._produce_to(message)
                return
            except BufferError:
                self._check_end()
                self.serve(0.05)
            except RuntimeError as error:
                if not self._closing:
                    raise
                raise StoppedError(ENDED) from error  # its client is closed
            except KafkaException as error:
                code, reason = error.args[0].code(), error.args[0].str()
                if code not in _REFUSED:
                    raise DeliveryError(f"a message for {message.topic} cannot be sent: {reason}") from error
                if code == KafkaError.MSG_SIZE_TOO_LARGE:
                    reason = f"{message.size} bytes are too many for one message of Kafka"
                elif code == KafkaError._UNKNOWN_PARTITION:
                    reason = f"{message.topic} has no partition {message.partition}"
                raise CodecError(reason) from error

    def _check_end(self) -> None:
        if self._stop is not None and self._stop.is_set() and self.silent_for > _DOUBTED_AFTER:
            raise StoppedError("Kafka acknowledges no message, and the link is stopping")

    def _produce_to(self, message: Message) -> None:
        where: dict[str, int] = {}
        if message.partition is not None:
            where["partition"] = message.partition
        if message.timestamp is not None:
            where["timestamp"] = message.timestamp
        failed = partial(self._failed, sent=message)
        self._produce(message.topic, message.value, message.key, headers=message.headers, on_delivery=failed, **where)

    def arrival(self, then: Callable[[Exception | None], None] | None = None) -> Arrival:
        """Ask for the arrival of everything sent so far.

        Args:
            then: Called with the first failure or ``None``, in the thread that serves deliveries: it must not block.
        """
        arrival = Arrival(then)
        with self._asked:
            if not self._closing:
                self._awaited.append(arrival)
                self._asked.notify()
                return arrival
        arrival.resolve(self._failure or StoppedError())
        return arrival

    def serve(self, timeout: float = 0) -> None:
        """Serve deliveries that have come in; return at once if another thread does so."""
        if self._serving.acquire(blocking=False):
            try:
                self._ask(self.client.poll, timeout)
            finally:
                self._serving.release()
        elif timeout:
            time.sleep(timeout)

    def flush_linger(self) -> None:
        """Send the queued messages now, not when the linger time is over: no more follow for the moment."""
        if len(self.client) and self._serving.acquire(blocking=False):
            try:
                self._ask(self.client.flush, 0.001)
            finally:
                self._serving.release()

    def flush(self, timeout: float) -> bool:
        """Wait until all queued messages have arrived or failed, at most ``timeout`` seconds; return whether they have."""
        if not self._serving.acquire(timeout=max(timeout, 0.01)):
            return False
        try:
            return self._ask(self.client.flush, timeout) == 0
        finally:
            self._serving.release()

    def report_refused(self) -> bool:
        """Call ``on_refused`` for refused messages; return whether there were any."""
        found = False
        while self._refused:
            found = True
            self._on_refused(*self._refused.popleft())
        return found

    def _ask(self, serve: Callable[[float], int], timeout: float) -> int:
        """Serve deliveries by one of the client's calls, and report once if the client is at its end."""
        try:
            return serve(timeout)
        except (KafkaException, SystemError) as error:
            if not self._transactional:  # else the transaction fails, which knows what to do
                self._at_end(f"the producer is at its end: {error}")
            time.sleep(min(timeout, 0.05))
            return len(self.client)
        except RuntimeError:
            if not self._closing:
                raise
            return 0  # its client is closed, which is done only once nothing is left

    def partition_count(self, topic: str) -> int:
        """Count the partitions of a topic.

        Raises:
            KafkaException: The broker does not know it, or does not answer.
        """
        found = self.client.list_topics(topic, timeout=5).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def abandon_client(self) -> None:
        """Do not close the client, which is stuck: leave it to itself with all its messages."""
        self._abandoned = True

    def replace_client(self) -> None:
        """Go on with a new client, and leave the old one, which is stuck, to itself with all its messages."""
        self.client = Producer(self._settings)
        self._produce = self.client.produce

    def close(self, timeout: float) -> int:
        """Wait for the acknowledgement of queued messages, at most ``timeout`` seconds.

        Returns:
            The number of messages that were not acknowledged in that time.
        """
        deadline = time.monotonic() + timeout
        with self._asked:
            self._closing, self._close_by = True, deadline
            self._asked.notify()
        self._deliveries.join(timeout)
        self.flush(max(0.0, deadline - time.monotonic()))
        left = len(self.client)
        if not left and self._failure is None and not self._abandoned:
            with suppress(KafkaException, RuntimeError):
                self.client.close()  # its threads end now, not when it is collected some time
        return left

    def _failed(self, error: Any, message: Any, sent: Message | None = None) -> None:
        if error.code() in _REFUSED or (error.code() in _MOVED and not self._transactional):
            self._refused.append((error.str(), sent or _without_headers(message)))
        elif error.code() == KafkaError._INVALID_DIFFERENT_RECORD and not self._transactional:
            self._innocent.append(sent or _without_headers(message))
        elif self._transactional and error.code() not in _FINAL:
            self.last_failure = f"a message for {message.topic()} was not delivered: {error.str()}"
            self.failures += 1  # the transaction fails as a whole, and is tried again
        else:
            self._at_end(f"Kafka did not take a message for {message.topic()}: {error.str()}")

    def _at_end(self, reason: str) -> None:
        if self._failure is None:
            self._failure = DeliveryError(reason)
            self._on_failure(self._failure)

    def _run_deliveries(self) -> None:
        try:
            self._deliver()
        except BaseException as error:
            self._at_end(f"the thread of deliveries ended: {described(error)}")
            self._open.set()

    def _deliver(self) -> None:
        """Empty the queue for each arrival that is asked for, and serve deliveries now and then otherwise."""
        while True:
            with self._asked:
                if not (self._awaited or self._closing or self._has_refused):
                    self._asked.wait(0.02)
                awaited, self._awaited = self._awaited, []
                is_hopeless = self._failure is not None or time.monotonic() > self._close_by
                if self._closing and not awaited and (is_hopeless or not self._has_refused):
                    return
            if not awaited and not self._has_refused:
                self.serve()
                self._watch_queue()
                if time.monotonic() - self._moved_at < _DOUBTED_AFTER:
                    continue
            self._open.clear()
            self._held = True
            began = time.monotonic()
            empty = self._empty()
            self._held = False
            self._open.set()
            error = self._failure or (
                None if empty else DeliveryError("Kafka did not acknowledge it before the link ended")
            )
            for arrival in awaited:
                arrival.resolve(error)
            # Senders get as much time as they were held up, or a stream of such requests would starve them.
            time.sleep(min(time.monotonic() - began, 0.002))

    def _watch_queue(self) -> None:
        """Note whether messages arrive: the queue is empty, or shorter than at the last look."""
        waiting = len(self.client)
        if not waiting or waiting < self._waiting:
            self._moved_at = time.monotonic()
        self._waiting = waiting

    @property
    def _has_refused(self) -> bool:
        """True if there are messages to send once more; a transaction repeats all of its messages instead."""
        return bool(self._refused or self._innocent) and not self._transactional

    def _empty(self) -> bool:
        """Wait until everything in the queue has arrived or was refused; return whether it has."""
        while True:
            while not self.flush(0.1):
                self._watch_queue()
                if time.monotonic() > self._close_by or self._failure is not None:
                    return False
            self._watch_queue()
            if not self._has_refused:
                return True
            # Kafka refuses a whole batch because of one message in it. Where it does not tell which one, each is sent once more
            # by itself.
            innocent, self._innocent = self._innocent, []
            for message in innocent:
                self.send_now(message)
            if innocent or not self._refused:
                continue
            _, message = self._refused.popleft()
            others = len(self._refused)
            try:
                self.send_now(message)
            except CodecError as error:
                self._on_refused(str(error), message)
                continue
            while not self.flush(0.1):
                if time.monotonic() > self._close_by or self._failure is not None:
                    return False
            if len(self._refused) > others:
                self._on_refused(*self._refused.pop())


def _without_headers(message: Any) -> Message:
    """Make the message again that Kafka's client gives back: it lacks the headers."""
    return Message(message.topic(), message.value(), message.key())
