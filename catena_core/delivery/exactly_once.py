"""Exactly once: outputs and offsets in one transaction.

It uses Kafka's transactions (KIP-98, https://cwiki.apache.org/confluence/display/KAFKA/KIP-98) with the group's metadata: one
producer serves all partitions of a member, and a member that was thrown out cannot commit (KIP-447). An output waits until
every electron before its own in the partition is finished; then the finished runs of all partitions, outputs and offsets, make
one short transaction. Lanes go on meanwhile, and a slow electron delays only its own partition. An aborted transaction is
tried again with the same outputs: no transform runs twice for it.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from catena_core.consuming.assignment import Assignment, Output, size_of
from catena_core.consuming.lanes import Batch
from catena_core.consuming.starting_points import StartingPoints
from catena_core.delivery.base import REBALANCE_ERRORS, Sink
from catena_core.delivery.producer import ENDED, MAX_MESSAGE_BYTES, MessageProducer
from catena_core.errors import CodecError, DeliveryError, StoppedError
from catena_core.kafka.in_time import StuckError, in_time
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.topics import INTERNAL_TOPICS
from catena_core.wire.message import Message

# Seconds that one request of a transaction may take before it is asked for again.
_REQUEST_TIMEOUT = 5.0

# How often such a request is made.
_ATTEMPTS = 12

# Seconds after which a request that has a timeout counts as stuck.
_STUCK_AFTER = 2 * _REQUEST_TIMEOUT

# Bytes of a value that leave room for key, headers and framing.
_LARGEST = MAX_MESSAGE_BYTES - 64 * 1024

# Bytes of outputs that wait for their transaction: with more, whoever sends others waits until it is over.
_MOST_HELD = 64 * 1024 * 1024

# Bytes of outputs that one electron may have: they are all held until it is done.
_MOST_OF_ONE = 256 * 1024 * 1024

# Seconds that a transaction may take before lanes wait for it.
_SILENT_AFTER = 1.0

# How often in a row a transaction may fail for a reason that is neither a rebalance nor a silent broker.
_MOST_ABORTS = 20

# The latter is raised here, where an input topic was made again.
_EXPECTED = REBALANCE_ERRORS | {KafkaError.UNKNOWN_TOPIC_ID}
_PASSING = _EXPECTED | {
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
}
_FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
_FENCED = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})

_offset_of = itemgetter(0)


class HeldOutputs:
    """The sink of a batch: the outputs of its electrons wait with their offsets."""

    __slots__ = ("_batch", "_wait_for_room")

    def __init__(self, batch: Batch, wait_for_room: Callable[[Batch, int], None]) -> None:
        self._batch = batch
        self._wait_for_room = wait_for_room

    def send(self, message: Message) -> None:
        """Hold a message of the electron that is being transformed.

        Raises:
            CodecError: It is too large, or the electron has too many outputs; in the transaction it would be too late to set
                the electron aside.
        """
        value, key = message.value or b"", message.key or b""
        if len(value) + len(key) > _LARGEST or (message.headers is not None and message.size > _LARGEST):
            raise CodecError(f"{message.size} bytes are too many for one message of Kafka")
        batch = self._batch
        if batch.held > _MOST_OF_ONE:
            raise CodecError(
                f"the outputs of one electron are more than {_MOST_OF_ONE >> 20} MiB, too many for one transaction"
            )
        size = size_of(message)
        self._wait_for_room(batch, size)
        batch.held += size
        batch.outputs.append((batch.offsets[batch.done], message))

    def send_plain(self, topic: str, value: bytes, key: bytes) -> None:
        """Hold a message of a value and a key."""
        self.send(Message(topic, value, key))

    def then(self, call: Callable[[Exception | None], None]) -> None:
        """Hold a call of the electron that is being transformed."""
        batch = self._batch
        batch.outputs.append((batch.offsets[batch.done], call))


class ExactlyOnce:
    """Brings outputs and offsets to Kafka in transactions, with the sink of outputs that belong to no electron.

    Args:
        producer: A producer with a transactional id.
        replace: Makes the dead letter of a message that Kafka refuses, given the reason.
        fail: Called with an error that no retry can mend.
        logger: The link's log.
        metrics: Counts transactions.
        stop: Set when the link is to stop.
        interval: Seconds between transactions; 0: after each electron.
        patience: The most seconds to wait for the transactional id.
    """

    transactional = True
    _is_abandoned = False
    _is_closed = False

    def __init__(
        self,
        producer: MessageProducer,
        replace: Callable[[Message, str], Message],
        fail: Callable[[Exception], None],
        logger: LinkLogger,
        metrics: Metrics,
        stop: threading.Event,
        interval: float = 0.1,
        patience: float = _ATTEMPTS * _REQUEST_TIMEOUT,
    ) -> None:
        self._producer = producer
        self._logger = logger
        self._metrics = metrics
        self._stop = stop
        self._fail = fail
        self._replace = replace
        self._interval = interval
        self._patience = patience
        self._due = 0.0
        self._consumer: Consumer | None = None
        self._starts: StartingPoints | None = None
        self._lock = threading.Condition()
        self._unbound_outputs: list[Output] = []  # those that belong to no electron
        self._unbound_bytes = 0
        self._held = 0  # bytes of outputs at the begin of the last transaction
        self._held_since = 0  # and of those since
        self._committing: set[threading.Thread] = set()  # they must not wait for a transaction, since they make it
        self._unfinished_since: float | None = None
        self._aborts = 0
        self._began = 0.0  # when the last transaction did
        self._suspected: set[_Identity] = set()
        self._refused: dict[_Identity, Message] = {}  # with their dead letters, so that another try has the same
        self._alone: _Identity | None = None

    @property
    def silent_for(self) -> float:
        """The seconds since the first try of the transaction that has not succeeded yet."""
        since = self._unfinished_since
        return 0.0 if since is None else time.monotonic() - since

    def commit_failed(self, error: KafkaError, assignments: Collection[Assignment]) -> None:
        pass  # offsets are committed in transactions only

    def attach(self, consumer: Consumer, starts: StartingPoints) -> None:
        """Set the consumer whose offsets are committed, and what knows of topics that were made again."""
        self._consumer, self._starts = consumer, starts

    def begin(self) -> None:
        """Take the transactional id, which ends the open transaction of its former holder.

        Raises:
            KafkaException: Kafka does not give it.
        """
        self._retry_transactional(
            lambda: self._producer.client.init_transactions(_REQUEST_TIMEOUT), self._patience / _REQUEST_TIMEOUT
        )

    def sink(self, batch: Batch | None) -> Sink:
        """Give the sink of a batch; ``None``: of the next transaction."""
        return self if batch is None else HeldOutputs(batch, self._wait_for_room)

    def _wait_for_room(self, batch: Batch, size: int) -> None:
        """Have a lane wait for a transaction that is large, or so slow that the brokers must be silent: outputs would pile up.

        Raises:
            StoppedError: The link is to stop, or the batch's partition is revoked.
        """
        while (since := self._unfinished_since) is not None and (
            self._held + self._held_since > _MOST_HELD or time.monotonic() - since > _SILENT_AFTER
        ):
            if self._stop.is_set() or batch.assignment.revoked:
                raise StoppedError
            time.sleep(0.02)
        self._held_since += size  # several lanes may do so at once: it need not be exact

    def send(self, message: Message) -> None:
        """Hold a message that belongs to no electron; wait while too much is held.

        Raises:
            StoppedError: The link is to stop meanwhile, or has ended: the sender has outlived it.
        """
        with self._lock:
            if self._is_closed:
                raise StoppedError(ENDED)
            while self._unbound_bytes > _MOST_HELD and threading.current_thread() not in self._committing:
                if self._stop.is_set():
                    raise StoppedError
                self._lock.wait(0.1)
            self._unbound_outputs.append(message)
            self._unbound_bytes += size_of(message)

    def send_plain(self, topic: str, value: bytes, key: bytes) -> None:
        """Hold a message of a value and a key that belongs to no electron."""
        self.send(Message(topic, value, key))

    def then(self, call: Callable[[Exception | None], None]) -> None:
        """Hold a call that belongs to no electron."""
        with self._lock:
            self._unbound_outputs.append(call)

    def close(self) -> None:
        """Take no further outputs: they would wait for a transaction that never comes."""
        with self._lock:
            self._is_closed = True

    def abandon(self) -> None:
        """Leave the client as it is: to close it would wait for Kafka to end its transaction."""
        if not self._is_abandoned:
            self._is_abandoned = True
            self._producer.abandon_client()
            self._logger.log(
                "Kafka does not answer; the last transaction is left open, and Kafka will abort it", level="warning"
            )

    def refused(self, reason: str, message: Message) -> None:
        """Note a message that Kafka refused, maybe because of another one in its batch.

        The transaction is tried again with each such message in a batch of its own. That identifies the
        ones that Kafka will never take, and the transaction is tried with their dead letters.
        """
        identity = _identity(message)
        if identity != self._alone:
            self._suspected.add(identity)
        elif identity not in self._refused:
            self._refused[identity] = self._replace(message, reason)
            self._aborts = 0  # for there is progress

    def maybe_commit(self, assignments: Collection[Assignment]) -> None:
        """Commit finished electrons if it is time."""
        if time.monotonic() >= self._due and not self._is_abandoned:
            self._commit(assignments)
            self._due = time.monotonic() + max(self._interval, min(0.05 * self._aborts, 1.0))

    def flush_and_commit(self, assignments: Collection[Assignment], deadline: float) -> bool:
        """Commit all finished electrons now, because these partitions leave; return whether they are."""
        if self._is_abandoned:
            return True
        while not (done := self._commit(assignments)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return done

    def _commit(self, assignments: Collection[Assignment]) -> bool:
        """Make one transaction of all finished electrons; return whether nothing is left to commit."""
        self._committing.add(threading.current_thread())
        offsets = {}
        outputs: list[Output] = []
        for assignment in assignments:
            next_offset = assignment.tracker.next_offset
            if next_offset > assignment.committed:
                offsets[assignment] = next_offset
                # Lanes finish in any order; the run that is complete goes out in the order of the partition.
                assignment.outputs.sort(key=_offset_of)
                ready = bisect_left(assignment.outputs, next_offset, key=_offset_of)
                outputs += [output for _, output in assignment.outputs[:ready]]
        with self._lock:
            unbound = len(self._unbound_outputs)
            outputs += self._unbound_outputs[:unbound]
        if not offsets and not outputs:
            self._unfinished_since = None
            return True
        if offsets and not self._is_member:
            self._unfinished_since = None
            return False
        self._held = self._unbound_bytes + sum(assignment.output_bytes for assignment in assignments)
        self._held_since = 0
        self._unfinished_since = self._unfinished_since or time.monotonic()
        try:
            self._transact(offsets, outputs)
        except KafkaException as exception:
            return self._failed(exception, outputs)
        except DeliveryError as error:
            # A transaction that has failed takes no more messages; anything else is the end.
            if isinstance(error.__cause__, KafkaException):
                return self._failed(error.__cause__, outputs)
            self._fail(error)
            return True
        except StuckError:
            return self._replace_client("Kafka's client is stuck in a transaction")
        self._unfinished_since = None
        self._aborts = 0
        self._metrics.transaction("committed")
        self._suspected.clear()
        self._refused.clear()
        for assignment, offset in offsets.items():
            assignment.committed = offset
            sent = bisect_left(assignment.outputs, offset, key=_offset_of)
            assignment.output_bytes -= sum(size_of(output) for _, output in assignment.outputs[:sent])
            del assignment.outputs[:sent]
        with self._lock:
            self._unbound_bytes -= sum(map(size_of, self._unbound_outputs[:unbound]))
            del self._unbound_outputs[:unbound]
            self._lock.notify_all()
        for output in outputs:
            if not isinstance(output, Message):
                output(None)
        return True

    def _transact(self, offsets: dict[Assignment, int], outputs: list[Output]) -> None:
        client = self._producer.client
        look = self._starts.look(offsets) if offsets and self._starts is not None else None
        client.begin_transaction()
        self._began = time.monotonic()
        failures = self._producer.failures
        for output in outputs:
            if isinstance(output, Message):
                self._send(output)
        if look is not None and self._starts is not None and self._starts.find_recreated(look):
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_ID))
        if offsets and self._consumer is not None:
            places = [assignment.place(offset) for assignment, offset in offsets.items()]
            metadata = self._consumer.consumer_group_metadata()
            if not self._is_member:  # looked up again, since only now the metadata is known to be a member's
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))
            self._retry_transactional(
                lambda: in_time(
                    lambda: client.send_offsets_to_transaction(places, metadata, _REQUEST_TIMEOUT), _STUCK_AFTER
                )
            )
        self._flush()
        if self._producer.report_refused():
            raise KafkaException(KafkaError(KafkaError._FAIL, "a message was refused"))
        if self._producer.failures != failures:
            raise KafkaException(KafkaError(KafkaError._FAIL, self._producer.last_failure))
        # Until it is known whether it is committed, neither is right: to go on, and to make it again.
        self._retry_transactional(lambda: client.commit_transaction(_REQUEST_TIMEOUT), math.inf, at_the_end=2)

    def _send(self, message: Message) -> None:
        if message.topic in INTERNAL_TOPICS:  # of those, transactions only tell that they may not
            message = self._replace(message, "clients may not write to a topic of Kafka's own")
        while (identity := _identity(message)) in self._refused:
            message = self._refused[identity]
        if identity not in self._suspected:
            self._send_or_replace(message)
            return
        self._flush()
        self._alone = identity
        try:
            self._send_or_replace(message)
            self._flush()
            if self._producer.report_refused():
                raise KafkaException(KafkaError(KafkaError._FAIL, "a message was refused"))
        finally:
            self._alone = None

    def _send_or_replace(self, message: Message) -> None:
        """Send a message, or its dead letter where Kafka's client does not take it."""
        while True:
            try:
                return self._producer.send_now(message)
            except CodecError as error:
                message = self._replace(message, str(error))

    def _flush(self) -> None:
        deadline = time.monotonic() + _REQUEST_TIMEOUT
        while not self._producer.flush(0.5) and time.monotonic() < deadline:
            pass

    @property
    def _is_member(self) -> bool:
        """True if the group knows the consumer: Kafka would take offsets that name no member from any client."""
        return self._consumer is not None and bool(self._consumer.memberid())

    def _failed(self, exception: KafkaException, outputs: Collection[Output]) -> bool:
        error = exception.args[0]
        self._metrics.transaction("aborted")
        if error.fatal() or error.code() == KafkaError._FATAL:
            return self._fatal(error)
        if error.code() in _FORBIDDEN:  # Kafka does not say which one
            topics = ", ".join(sorted({output.topic for output in outputs if isinstance(output, Message)}))
            own_id = self._producer.transactional_id
            self._fail(
                DeliveryError(f"{own_id} may not make transactions, or not write to all of {topics}: {error.str()}")
            )
            return True
        self._aborts += error.code() not in _PASSING and not error.retriable()
        if self._aborts > _MOST_ABORTS:
            self._fail(
                DeliveryError(
                    f"a transaction of {self._producer.transactional_id} failed {self._aborts} times in a row: {error.str()}"
                )
            )
            return True
        expected = error.code() in _EXPECTED
        self._logger.log(
            f"transaction aborted, again with the same outputs: {error.str()}", level="debug" if expected else "warning"
        )
        self._producer.report_refused()
        try:
            self._retry_transactional(lambda: self._producer.client.abort_transaction(_REQUEST_TIMEOUT))
        except KafkaException as further:
            if further.args[0].fatal():
                return self._fatal(further.args[0])
            if self._stop.is_set():
                self.abandon()
                return True
            self._logger.log(f"a transaction could not be aborted yet: {further.args[0].str()}", level="warning")
        return False

    def _fatal(self, error: KafkaError) -> bool:
        """End the link, or go on with a new client where only this one is at its end."""
        own_id = self._producer.transactional_id
        self._aborts += 1
        is_fenced = error.code() in _FENCED or "fenced" in error.str().lower() or "epoch" in error.str().lower()
        took_too_long = is_fenced and time.monotonic() - self._began > self._producer.transaction_timeout
        if took_too_long and self._aborts <= _MOST_ABORTS:
            # Kafka fences its producer when it aborts a transaction, for instance after a silence. It has not committed it: for
            # that it would not need to.
            return self._replace_client(f"Kafka has aborted a transaction that took too long ({error.str()})")
        if took_too_long:
            reason = (
                f"{self._aborts} transactions of {own_id} in a row took longer than Kafka allows them "
                f"({self._producer.transaction_timeout:g} s); raise -X transaction.timeout.ms, or send less for one electron"
            )
        elif is_fenced:
            reason = (
                f"another instance took the transactional id {own_id} ({error.str()}); give each instance an --instance-id, "
                "or a host name, of its own"
            )
        elif self._aborts <= _MOST_ABORTS:  # so it is where a topic was deleted and made again
            return self._replace_client(f"Kafka's client is at its end ({error.str()})")
        else:
            reason = f"transactions of {own_id} are at an end: {error.str()}"
        self._fail(DeliveryError(reason))
        return True

    def _retry_transactional(
        self, request: Callable[[], object], attempts: float = _ATTEMPTS, at_the_end: int = 1
    ) -> None:
        """Make a request of a transaction; repeat it where Kafka says that this may help.

        Args:
            request: The request.
            attempts: How often to make it.
            at_the_end: How often, once the link is to stop. Kafka ends an open transaction after its timeout, or when
                another producer takes the transactional id.

        Raises:
            KafkaException: It does not help, or not in so many attempts.
        """
        for attempt in itertools.count(1):
            try:
                request()
                return
            except KafkaException as exception:
                at_the_end -= self._stop.is_set()
                if not exception.args[0].retriable() or attempt >= attempts or at_the_end <= 0:
                    raise
                time.sleep(0.05)

    def _replace_client(self, reason: str) -> bool:
        """Go on with a new client, which takes the transactional id and so ends the transaction of the old one."""
        self._metrics.transaction("aborted")
        if self._stop.is_set():
            self.abandon()
            return True
        self._logger.log(f"{reason}; going on with a new one", level="warning")
        self._producer.replace_client()
        try:
            self.begin()
        except KafkaException as exception:
            if self._stop.is_set():
                self.abandon()
                return True
            self._producer.abandon_client()
            cause = exception.args[0].str()
            self._fail(DeliveryError(f"{self._producer.transactional_id} gets no transactions any more: {cause}"))
        return False


_Identity = tuple[Any, ...]


def _identity(message: Message) -> _Identity:
    """Identify a message while a transaction is tried."""
    headers = tuple(message.headers or ())
    return message.topic, message.value, message.key, message.partition, message.timestamp, headers
