"""Replay: read dead letters, and put their messages back where they came from.

The topic of dead letters itself remembers the replayed ones: a marker, behind the letters in their own partition, lists their
offsets. It needs no other place, can list single letters, and does not expire before its letters; the committed offsets of a
consumer group would, a week after the last commit. Letters are marked once Kafka has acknowledged their messages; if the
process ends between the two, at most the last batch of them is replayed again.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from catena_core.dead_letters.letter import MARKER, DeadLetter, is_marker, parse, replayed_headers
from catena_core.delivery.producer import MAX_MESSAGE_BYTES
from catena_core.errors import CatenaError, UsageError
from catena_core.kafka.broker_errors import BrokerErrors
from catena_core.kafka.client import client_properties, error_log
from catena_core.kafka.partition import Partition
from catena_core.kafka.properties import refused
from catena_core.kafka.watermarks import watermarks
from catena_core.monitoring.logs import LinkLogger

SUFFIX = "dead-letters"

_ANSWER_TIMEOUT = 10.0
_SILENCE_TIMEOUT = 30.0
_BATCH = 500


class Replayed:
    """The dead letters that were replayed already."""

    def __init__(self) -> None:
        self._ranges: dict[Partition, list[tuple[int, int]]] = defaultdict(list)
        self._sorted = True

    def add(self, partition: Partition, ranges: Iterable[tuple[int, int]]) -> None:
        """Add ranges of offsets, both ends included."""
        self._ranges[partition] += ranges
        self._sorted = False

    def __contains__(self, letter: DeadLetter) -> bool:
        if not self._sorted:
            self._ranges = defaultdict(list, {name: _merged(ranges) for name, ranges in self._ranges.items()})
            self._sorted = True
        ranges = self._ranges.get((letter.topic, letter.partition), [])
        index = bisect_right(ranges, letter.offset, key=lambda bounds: bounds[0]) - 1
        return index >= 0 and letter.offset <= ranges[index][1]


class _Marker(msgspec.Struct):
    replayed: list[tuple[int, int]]


class DeadLetters:
    """Reads and replays dead letters; a context manager that holds a connection to Kafka.

    Args:
        endpoint: Kafka's ``host:port``.
        properties: Further librdkafka properties.

    Raises:
        UsageError: There is no such property.
        CatenaError: No Kafka answers.
    """

    def __init__(self, endpoint: str, properties: Mapping[str, str] | None = None) -> None:
        self._endpoint = endpoint
        logger = LinkLogger("dead-letters")
        errors = BrokerErrors(error_log(logger))
        client = {**client_properties(endpoint, logger, dict(properties or {})), "error_cb": errors}
        try:
            self._producer = Producer(
                {
                    "enable.idempotence": True,
                    "compression.type": "lz4",
                    # That of the links' own producer, so that a key goes where the link would have put it.
                    "partitioner": "murmur2_random",
                    "message.max.bytes": MAX_MESSAGE_BYTES,
                    **client,
                }
            )
            self._consumer = Consumer(
                {
                    **client,
                    "group.id": "dead-letters",  # librdkafka wants one; nothing is committed, no group is joined
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 100,
                }
            )
        except KafkaException as error:
            raise UsageError(f"a librdkafka property is wrong: {refused(error)}; see -X") from error
        try:
            metadata = errors.metadata(
                self._consumer,
                endpoint,
                _ANSWER_TIMEOUT,
                lambda _: logger.log(f"waiting for Kafka at {endpoint}", level="warning"),
            )
        except CatenaError:
            self._consumer.close()
            raise
        self._partitions: dict[str, int] = {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def __enter__(self) -> DeadLetters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def topics(self, name: str | None = None) -> tuple[str, ...]:
        """List the topics to look into.

        Args:
            name: One topic; ``None``: all whose names end in ``dead-letters``.

        Raises:
            UsageError: There is no such topic.
        """
        found = tuple(sorted(topic for topic in self._partitions if topic.endswith(SUFFIX)))
        if name is None:
            return found
        if name not in self._partitions:
            raise UsageError(
                f"there is no topic {name}; "
                + (f"dead letters stand in {', '.join(found)}" if found else f"nor any whose name ends in {SUFFIX}")
            )
        return (name,)

    def exists(self, topic: str) -> bool:
        """Tell whether Kafka has this topic."""
        return topic in self._partitions

    def read(self, topics: Sequence[str]) -> tuple[list[DeadLetter], Replayed]:
        """Read all dead letters of these topics, sorted by time of failure, and the replayed ones among them.

        Raises:
            CatenaError: Kafka does not answer.
        """
        letters, replayed = [], Replayed()
        partitions = {}
        for topic in topics:
            for number in range(self._partitions[topic]):
                first, end = self._bounds(topic, number)
                if first < end:
                    partitions[topic, number] = (first, end)
        for message in self._messages(partitions):
            if is_marker(message):
                replayed.add((message.topic(), message.partition()), _marked(message))
            else:
                letters.append(parse(message))
        letters.sort(key=lambda letter: (letter.failed_at, letter.position))
        return letters, replayed

    def messages(self, letters: Iterable[DeadLetter]) -> Iterator[tuple[DeadLetter, Any]]:
        """Read the messages of dead letters again, in the order of each partition; those that are gone are left out.

        Yields:
            Each letter with the message of confluent-kafka.

        Raises:
            CatenaError: Kafka does not answer.
        """
        wanted = {letter.position: letter for letter in letters}
        offsets: dict[Partition, list[int]] = defaultdict(list)
        for topic, number, offset in wanted:
            offsets[topic, number].append(offset)
        spans = {partition: (min(numbers), max(numbers) + 1) for partition, numbers in offsets.items()}
        for message in self._messages(spans):
            letter = wanted.get((message.topic(), message.partition(), message.offset()))
            if letter is not None:
                yield letter, message

    def replay(
        self,
        letters: Sequence[DeadLetter],
        to: str | None = None,
        progress: Callable[[int], None] = lambda _n: None,
        keep_timestamps: bool = False,
    ) -> int:
        """Put messages back as they came, each into the partition it came from, and remember that.

        They lose the headers that say why they failed, and gain one, ``replayed``, that counts how often they were.

        Args:
            letters: The letters; each must be complete, and say its original topic unless ``to`` is given.
            to: A topic to put them all into, by key, in place of their own.
            progress: Called with the number of letters just replayed, after each batch.
            keep_timestamps: Whether they keep the timestamps they had, by which their topics' retention counts.

        Returns:
            How many were replayed; less than were asked for if some are gone meanwhile.

        Raises:
            UsageError: One is not complete, or does not say where it came from; nothing has been replayed then.
            CatenaError: Kafka did not take one; those that it took before are remembered.
        """
        for letter in letters:
            if not letter.complete or (to is None and letter.original_topic is None):
                raise UsageError(
                    f"the dead letter at {letter.partition}:{letter.offset} "
                    + ("does not say where it came from" if letter.complete else "stands there without its value")
                )
        replayed = 0
        remaining = iter(sorted(letters, key=lambda letter: letter.position))
        while batch := list(islice(remaining, _BATCH)):
            deliveries = _Deliveries(self._producer)
            try:
                for letter, message in self.messages(batch):
                    self._put_back(letter, message, to, deliveries, keep_timestamps)
            finally:  # also when interrupted: messages on their way arrive, so they must be remembered
                taken = deliveries.wait()
                self._remember(taken)
            replayed += len(taken)
            progress(len(taken))
            if deliveries.error is not None:
                raise CatenaError(
                    f"{replayed} replayed and remembered, then Kafka did not take one: {deliveries.error}"
                )
        return replayed

    def _put_back(
        self, letter: DeadLetter, message: Any, to: str | None, deliveries: _Deliveries, keep_timestamps: bool
    ) -> None:
        topic = to or letter.original_topic
        assert topic is not None  # `replay` has looked
        partition = None
        if to is None and letter.original_partition is not None:
            # Where the topic was made again with fewer partitions, the key decides.
            within = letter.original_partition < self._partitions.get(topic, 0)
            partition = letter.original_partition if within else None
        headers, timestamp = replayed_headers(letter, message), letter.original_timestamp if keep_timestamps else None
        deliveries.send(letter, topic, message.key(), message.value(), headers, partition, timestamp)

    def _remember(self, letters: Sequence[DeadLetter]) -> None:
        by_partition: dict[Partition, list[DeadLetter]] = defaultdict(list)
        for letter in letters:
            by_partition[letter.topic, letter.partition].append(letter)
        deliveries = _Deliveries(self._producer)
        for (topic, number), marked in by_partition.items():
            ranges = _merged([(letter.offset, letter.offset) for letter in marked])
            value = msgspec.json.encode(_Marker(ranges))
            deliveries.send(marked[0], topic, None, value, [(MARKER, b"replayed")], number)
        deliveries.wait()
        if deliveries.error is not None:
            listed = ", ".join(f"{letter.topic} {letter.partition}:{letter.offset}" for letter in letters)
            raise CatenaError(
                f"replayed, but Kafka did not take the note that they were ({deliveries.error}): {listed}"
            )

    def _bounds(self, topic: str, number: int) -> tuple[int, int]:
        try:
            return watermarks(self._consumer, topic, number, _ANSWER_TIMEOUT)
        except KafkaException as error:
            raise CatenaError(f"{topic}/{number} cannot be read: {error.args[0].str()}") from error

    def _messages(self, spans: dict[Partition, tuple[int, int]]) -> Iterator[Any]:
        """Read each partition from the first offset of its span up to, but without, the last."""
        open_spans = dict(spans)
        if not open_spans:
            return
        self._consumer.assign([TopicPartition(*partition, first) for partition, (first, _end) in spans.items()])
        heard = time.monotonic()
        while open_spans:
            first = self._consumer.poll(0.5)
            if first is None:
                if time.monotonic() - heard > _SILENCE_TIMEOUT:
                    raise CatenaError(f"Kafka at {self._endpoint} has stopped to answer")
                continue
            heard = time.monotonic()
            # `consume(n, t)` would wait out t when fewer than n messages are there.
            for message in [first, *self._consumer.consume(_BATCH, 0)]:
                partition = message.topic(), message.partition()
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise CatenaError(f"reading {partition[0] or 'from Kafka'}: {error.str()}")
                if partition not in open_spans:
                    continue
                end = open_spans[partition][1]
                if error is None and message.offset() < end:
                    yield message
                if error is not None or message.offset() >= end - 1:
                    del open_spans[partition]


class _Deliveries:
    """Messages on their way to Kafka, each for one letter, and the letters whose message has arrived."""

    def __init__(self, producer: Producer) -> None:
        self.error: Any = None
        self._producer = producer
        self._taken: list[DeadLetter] = []

    def send(
        self,
        letter: DeadLetter,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
        partition: int | None,
        timestamp: int | None = None,
    ) -> None:
        def delivered(error: Any, _message: Any) -> None:
            if error is None:
                self._taken.append(letter)
            elif self.error is None:
                self.error = error.str()

        given = {"partition": partition, "timestamp": timestamp}
        where = {name: number for name, number in given.items() if number is not None}
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=delivered, **where)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self.error = self.error or error.args[0].str()
                return

    def wait(self) -> list[DeadLetter]:
        """Wait until each is taken or refused, which librdkafka's ``message.timeout.ms`` bounds; return those taken."""
        while self._producer.flush(1.0):
            pass
        return self._taken


def _marked(message: Any) -> list[tuple[int, int]]:
    try:
        ranges = msgspec.json.decode(message.value() or b"", type=_Marker).replayed
    except msgspec.DecodeError:
        return []
    return [(first, last) for first, last in ranges if first <= last < message.offset()]


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
