"""Remote calls over Kafka.

All instances share one topic, and each reads the whole of its first partition from the moment when it starts, without a
consumer group. So presence, calls and answers come to all in one order, and no instance needs a topic of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from catena_core.errors import ReadingError, RPCError, described
from catena_core.kafka.client import ErrorThrottle, client_properties
from catena_core.kafka.statistics import StatisticsWatch
from catena_core.kafka.watermarks import REFUSED, watermarks
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc.instances import HEARTBEAT
from catena_core.rpc.messages import Wire
from catena_core.rpc.peer import OnFailure, Peer
from catena_core.topics import TopicSpec, ensure, is_embedded
from catena_core.wire.message import headers_of

TOPIC = "catena.rpc"

_PARTITION = 0
_RETENTION = 3600  # seconds; an instance reads no messages from before its start
_LEADER_TIMEOUT = 20.0
# Apache Kafka answers a waiting reader when something arrives; the embedded broker only when the wait is over.
_WAIT_ON_EMBEDDED = "10"
_ANNOUNCEMENT_TIMEOUT = 2.0
# Seconds after which an instance that could not take part tries again.
_AGAIN_AFTER = 10.0
# Errors of a message after which Kafka takes no more of them: without the right to, or since the topic was deleted.
_ENDED = REFUSED | {KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART}
_NOT_STARTED = "they have not been started"


@dataclass(frozen=True)
class RpcTopic(TopicSpec):
    """The topic of calls: one partition, and a short memory."""

    @property
    def configuration(self) -> dict[str, str]:
        """Kafka's own settings of the topic."""
        return {**super().configuration, "retention.ms": str(_RETENTION * 1000)}


class RpcService(Peer):
    """A link's part in remote calls over Kafka.

    Args:
        target: The object whose methods can be called; usually a link.
        uid: Tells this instance from all others.
        group: Its consumer group.
        kind: The name by which all of its class are called; the name of the target's class unless given.
        endpoint: Kafka's ``host:port``.
        properties: Further librdkafka properties, for instance those of TLS.
        logger: The link's log.
        threads: How many requests are run side by side.
        topic: The topic that all instances share.
        heartbeat: Seconds between two signs of life; an instance is forgotten after three that are missed.
        end: Called with the ``SystemExit`` of a method, and with the error that ends the reading of messages.
    """

    def __init__(
        self,
        target: object,
        *,
        uid: str,
        group: str,
        kind: str | None = None,
        endpoint: str,
        properties: Mapping[str, str] | None = None,
        logger: LinkLogger,
        threads: int = 1,
        topic: str = TOPIC,
        heartbeat: float = HEARTBEAT,
        end: Callable[[BaseException], None] = lambda _error: None,
    ) -> None:
        super().__init__(
            target,
            uid=uid,
            group=group,
            kind=kind,
            logger=logger,
            send=self._produce,
            threads=max(1, threads),
            heartbeat=heartbeat,
            end=end,
        )
        self._end = end
        self._statistics = StatisticsWatch({})
        self._endpoint = endpoint
        self._properties = dict(properties or {})
        self._topic = topic
        self._heartbeat = heartbeat
        self._unavailable: str | None = _NOT_STARTED
        self._stop = threading.Event()
        self._errors = ErrorThrottle()
        self._consumer: Consumer | None = None
        self._reader = threading.Thread(target=self._read, name="rpc reader", daemon=True)
        self._producer = Producer(
            {
                **client_properties(endpoint, logger, self._properties),
                "enable.idempotence": True,
                "linger.ms": 0,
                "queue.buffering.max.kbytes": 64 * 1024,
            }
        )

    def start(self) -> None:
        """Take part: from the return on, no call to this instance is missed.

        Where the topic can be neither made nor read, or is deleted later, the reason is logged, and calls raise
        :class:`RPCError` with it until another try succeeds: a broker that was slow once must not leave this instance alone for
        ever.
        """
        joined = self._join()
        self._reader.start()
        if joined:
            self.announce(asks=True)
            self.instances.wait_for(self.uid, _ANNOUNCEMENT_TIMEOUT, given_up=lambda: self._unavailable is not None)

    def close(self) -> None:
        """Say farewell, let methods under way finish, and leave, within about five seconds."""
        if self._stop.is_set():
            return
        super().close()
        left = self._producer.flush(2)
        self._stop.set()
        if self._reader.is_alive():
            self._reader.join(2)
        if not left and not self._reader.is_alive():
            self._producer.close()  # its threads end now, not when it is collected some time

    # The topic

    def _join(self) -> bool:
        """Make the topic and find its end; return whether that succeeded."""
        try:
            ensure(self._endpoint, [RpcTopic(self._topic, partitions=1)], self._properties)
            self._consumer = self._positioned_consumer()
        except Exception as error:
            self._give_up(_reason(error))
            return False
        self._unavailable = None
        return True

    def _check_usable(self) -> None:
        super()._check_usable()
        if self._unavailable is not None:
            raise RPCError(f"remote calls do not work here: {self._unavailable}")

    def _positioned_consumer(self) -> Consumer:
        embedded = is_embedded(self._producer.list_topics(timeout=10))
        shared = client_properties(self._endpoint, self._logger, self._properties)
        self._statistics = StatisticsWatch(shared)
        consumer = Consumer(
            {
                **shared,
                **self._statistics.properties,
                "group.id": f"rpc.{self.uid}",  # librdkafka wants one; nothing is committed, no group is joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # After a loss of data: requests that were run before, or are late, are not run.
                "auto.offset.reset": "earliest",
                **({"fetch.wait.max.ms": _WAIT_ON_EMBEDDED} if embedded else {}),
            }
        )
        _first, end = watermarks(consumer, self._topic, _PARTITION, _LEADER_TIMEOUT)
        # An offset rather than OFFSET_END, which would be resolved at the first fetch, after the return of start().
        consumer.assign([TopicPartition(self._topic, _PARTITION, end)])
        return consumer

    def _produce(self, wire: Wire, on_failure: OnFailure) -> None:
        if self._unavailable is not None:
            return  # only signs of life and answers come here then

        def delivered(error: Any, _message: Any) -> None:
            if error is None:
                return
            if error.code() in _ENDED:
                self._give_up(_text(error))
            on_failure(error.str())

        try:
            self._producer.produce(
                self._topic, wire.value, headers=wire.headers, partition=_PARTITION, on_delivery=delivered
            )
        except BufferError as error:
            raise RPCError("too many messages wait for Kafka, which is slow or away; call again later") from error
        except KafkaException as error:
            if error.args[0].code() in _ENDED:
                self._give_up(_reason(error))
            raise RPCError(f"Kafka does not take the message: {_reason(error)}") from error

    def _read(self) -> None:
        while not self._stop.is_set():
            if self._consumer is not None:
                self._serve(self._consumer)
                self._consumer.close()
                self._consumer = None
            elif not self._stop.wait(_AGAIN_AFTER) and self._join():
                self._logger.log(f"remote calls work again: the topic {self._topic} can be used now")
                self.announce(asks=True)
        if self._consumer is not None:
            self._consumer.close()

    def _serve(self, consumer: Consumer) -> None:
        """Read messages until the end of this instance, or of its right to read them."""
        next_sign = time.monotonic() + self._heartbeat
        while not self._stop.is_set() and self._unavailable is None:
            try:
                first = consumer.poll(min(0.2, self._heartbeat))
                self._statistics.polled(first)
                for message in [] if first is None else [first, *consumer.consume(500, 0)]:
                    self._take_message(message)
                self._producer.poll(0)
                if time.monotonic() >= next_sign:
                    next_sign = time.monotonic() + self._heartbeat
                    self.announce()
            except ReadingError as error:
                self._end(error)
                return
            except Exception as error:  # one message, or a full queue, must not end all remote calls
                self._logger.log(f"remote calls: {described(error)}", level="warning")

    def _take_message(self, message: Any) -> None:
        error = message.error()
        if error is None:
            self.take(Wire(headers_of(message), message.value()))
        elif error.code() in REFUSED:
            self._give_up(_text(error))
        elif self._errors.passes(error):
            self._logger.log(f"reading {self._topic}: {error.str()}", level="warning")

    def _give_up(self, reason: str) -> None:
        if self._unavailable not in (None, _NOT_STARTED):
            return  # logged already
        self._unavailable = f"the topic {self._topic} cannot be used ({reason})"
        self.instances.wake()
        self._logger.log(f"going on without remote calls, because {self._unavailable}", level="warning")


def _reason(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return _text(first) if isinstance(first, KafkaError) else str(first)


def _text(error: KafkaError) -> str:
    hint = "; allow this link to describe, read and write it" if error.code() in REFUSED else ""
    return f"{error.str()}{hint}"
