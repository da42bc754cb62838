"""The one producer of a link."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from catena_core import codec
from catena_core.client import client_properties
from catena_core.electron import Electron
from catena_core.errors import CodecError
from catena_core.logs import LinkLogger

MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class ElectronProducer:
    """Sends electrons to Kafka: idempotent, compressed, in batches, with a callback for each acknowledgement.

    Args:
        endpoint: Kafka's ``host:port``.
        logger: Where trouble with brokers is told.
        properties: Further librdkafka properties.
    """

    def __init__(self, endpoint: str, logger: LinkLogger, properties: dict[str, str]) -> None:
        self._producer = Producer(
            {
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                # The partitioner of the Java clients, so that equal keys meet in one partition whoever sends them.
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.kbytes": 256 * 1024,
                **client_properties(endpoint, logger, properties),
            }
        )
        self._closing = threading.Event()
        self._callbacks = threading.Thread(target=self._serve_callbacks, name="deliveries", daemon=True)
        self._callbacks.start()

    def send(self, electron: Electron, on_delivery: Callable[[Any, Any], None]) -> None:
        """Queue one electron that names its topic.

        Args:
            electron: What to send.
            on_delivery: Called with ``(error or None, message)`` once Kafka has acknowledged or refused it.

        Raises:
            CodecError: Its key or value cannot be put on the wire.
            KafkaException: The local queue does not take it.
        """
        value, content_type = codec.encode(electron.value)
        headers = [(name, text.encode()) for name, text in electron.headers.items()]
        if content_type is not None:
            headers.append((codec.CONTENT_TYPE, content_type.encode()))
        if electron.previous_topic is not None:
            headers.append(("previous-topic", electron.previous_topic.encode()))
        self.send_raw(
            electron.topic,
            codec.encode_key(electron.key),
            value,
            headers,
            on_delivery,
            electron.partition,
            electron.timestamp,
        )

    def send_raw(
        self,
        topic: str | None,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[Any, Any], None],
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Queue one message as it is; waits while the local queue is full.

        Raises:
            CodecError: It is too large.
            KafkaException: The local queue does not take it.
        """
        where: dict[str, int] = {}
        if partition is not None:
            where["partition"] = partition
        if timestamp is not None:
            where["timestamp"] = timestamp
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery, **where)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                raise CodecError(f"{len(value or b'')} bytes are too many for one message of Kafka") from error

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic has.

        Raises:
            KafkaException: The broker does not know it, or does not answer.
        """
        found = self._producer.list_topics(topic, timeout=10).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    def close(self, timeout: float) -> int:
        """Wait for what is queued to be acknowledged, at most ``timeout`` seconds.

        Returns:
            How many messages were not acknowledged in that time.
        """
        left: int = self._producer.flush(timeout)
        self._closing.set()
        self._callbacks.join(1)
        return left

    def _serve_callbacks(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(0.2)
