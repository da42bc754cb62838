"""Tables: a compacted topic as a read-only mapping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from contextlib import suppress
from typing import Any, Generic, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from catena_core.consuming.refusals import refusal
from catena_core.errors import CatenaError, CodecError, StoppedError, described
from catena_core.kafka.client import REFRESH, client_properties
from catena_core.kafka.patience import Patience
from catena_core.kafka.statistics import StatisticsWatch
from catena_core.kafka.topic_ids import TopicIds
from catena_core.kafka.watermarks import watermarks
from catena_core.monitoring.logs import LinkLogger
from catena_core.wire import codec
from catena_core.wire.message import content_type_of, headers_of

Row = TypeVar("Row")

# Seconds for one question about the topic.
_ANSWER_TIMEOUT = 5.0

# Seconds for which such a question is asked again, for a table that no link reads.
_PATIENCE = 10.0


class TableContent(Mapping[str, Row], Generic[Row]):
    """The rows of a table, as readers see them.

    Args:
        decode: Turns a key and a message's value into the row; ``None`` leaves the key out. Without it the value itself is
            the row.
        accept: Given ``(key, old row or None, new row)``, decides whether the new one replaces the old one.
        on_change: Called with ``(key, old row or None, new row or None)`` after each change.
    """

    def __init__(
        self,
        decode: Callable[[str, Any], Row | None] | None = None,
        accept: Callable[[str, Row | None, Row], bool] | None = None,
        on_change: Callable[[str, Row | None, Row | None], None] | None = None,
    ) -> None:
        self._decode = decode
        self._accept = accept
        self._on_change = on_change
        self._rows: dict[str, Row] = {}
        self._partition_of: dict[str, int] = {}

    def apply(self, key: str, value: Any, partition: int = 0) -> None:
        """Apply one message of the topic.

        Args:
            key: Its key.
            value: Its value; ``None`` removes the key, if it was last set in the same partition: where a key moves to
                another partition, the tombstone in one and the new value in the other have no order.
            partition: Its partition.
        """
        row = None if value is None else self._decode(key, value) if self._decode else value
        old = self._rows.get(key)
        if row is None:
            if old is None or self._partition_of.get(key) != partition:
                return
            del self._rows[key], self._partition_of[key]
        elif self._accept and not self._accept(key, old, row):
            return
        else:
            self._rows[key] = row
            self._partition_of[key] = partition
        if self._on_change:
            self._on_change(key, old, row)

    def catch_up(self, timeout: float | None = None) -> None:
        """Wait until the table has all messages that its topic has now, from any writer.

        A link that takes partitions over calls it in ``assigned``, to see the rows of their former owners.

        Args:
            timeout: The most seconds to wait; ``None``: as the option ``consumer_timeout`` says.

        Raises:
            CatenaError: It took longer, for instance because brokers restart.
            StoppedError: The link is to stop.
        """

    def __getitem__(self, key: str) -> Row:
        return self._rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> ItemsView[str, Row]:
        """Copy the keys and rows of one moment."""
        return self.copy().items()

    def values(self) -> ValuesView[Row]:
        """Copy the rows of one moment."""
        return self.copy().values()

    def copy(self) -> dict[str, Row]:
        """Copy the table of one moment."""
        return self._rows.copy()


class Table(TableContent[Row]):
    """A compacted topic, which a thread of its own reads whole and follows.

    Args:
        endpoint: Kafka's ``host:port``.
        topic: The topic; all of its partitions are read.
        logger: The link's log.
        properties: Further librdkafka properties.
        fail: Called with an error that ends the reading.
        patience: Bounds the waits for Kafka.
        content: ``decode``, ``accept`` and ``on_change`` of :class:`TableContent`.

    Raises:
        CatenaError: The topic does not exist, or Kafka tells nothing of it.
        StoppedError: The link is to stop.
    """

    def __init__(
        self,
        endpoint: str,
        topic: str,
        logger: LinkLogger,
        properties: Mapping[str, str] | None = None,
        fail: Callable[[BaseException], None] = lambda error: None,
        patience: Patience | None = None,
        **content: Any,
    ) -> None:
        super().__init__(**content)
        self._fail = fail
        self._patience = patience or Patience(_PATIENCE)
        self._topic = topic
        self._logger = logger
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self._positions: dict[int, int] = {}
        shared = client_properties(endpoint, logger, properties)
        self._settings = {
            **shared,
            "group.id": f"table.{topic}",  # librdkafka wants one; nothing is committed, no group is joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
        }
        self._statistics = StatisticsWatch(self._settings)
        self._consumer = Consumer(self._settings | self._statistics.properties)
        self._interval = float(self._settings[REFRESH]) / 1000
        self._ids = TopicIds(shared)
        self._topic_id: str | None = None
        self._incomplete = self._assign(self._found_partitions(self._patience.seconds))
        self._reader = threading.Thread(target=self._read, name=f"table {topic}", daemon=True)
        self._reader.start()

    def wait_until_complete(self, stop: threading.Event | None = None) -> None:
        """Wait until every partition has been read to its end once.

        Args:
            stop: Ends the wait early when it is set.
        """
        with self._patience.waiting(self._name, f"{self._topic} is not read to its end yet") as wait, self._progress:
            while self._incomplete and not (stop is not None and stop.is_set()):
                if self._progress.wait(0.2):
                    wait.progressed()

    def catch_up(self, timeout: float | None = None) -> None:
        """Wait until the table has all messages that its topic has now: see :meth:`TableContent.catch_up`."""
        seconds = self._patience.seconds if timeout is None else timeout
        deadline = time.monotonic() + seconds
        # The table's own consumer is its reader's. A commit returns before Kafka marks the transaction's rows as committed.
        asking = Consumer({**self._settings, "isolation.level": "read_uncommitted"})
        try:
            ends = {number: self._end_of(asking, number, deadline) for number in self._partitions}
        except KafkaException as error:
            raise CatenaError(f"the end of {self._topic} cannot be looked up: {error.args[0].str()}") from error
        finally:
            asking.close()
        with self._patience.waiting(self._name, f"{self._topic} is not read to its end"), self._progress:
            while any(self._positions.get(partition, 0) < end for partition, end in ends.items()):
                if self._patience.stop.is_set():
                    raise StoppedError(f"the table of {self._topic} did not catch up before the link was to stop")
                if time.monotonic() > deadline:
                    raise CatenaError(f"the table of {self._topic} did not catch up within {seconds:g} s")
                self._progress.wait(0.1)

    def close(self) -> None:
        """Stop reading; the rows stay as they are."""
        self._stop.set()
        self._reader.join(2)

    @property
    def _name(self) -> str:
        return f"table {self._topic}"

    def _end_of(self, asking: Consumer, partition: int, deadline: float) -> int:
        timeout = min(_ANSWER_TIMEOUT, max(0.1, deadline - time.monotonic()))
        return self._patience.ask(
            self._name,
            lambda: watermarks(asking, self._topic, partition, timeout)[1],
            max(0.0, deadline - time.monotonic()),
        )

    def _found_partitions(self, seconds: float) -> set[int]:
        """Ask for the partitions of the topic, so many seconds at most."""
        try:
            return self._patience.ask(self._name, lambda: self._ids.partitions(self._topic, _ANSWER_TIMEOUT), seconds)
        except KafkaException as error:
            raise CatenaError(
                f"the table of {self._topic} cannot be read: {error.args[0].str()}; make it, or allow this link to read it"
            ) from error

    def _assign(self, partitions: set[int]) -> set[int]:
        """Read these partitions, each from where it was read up to."""
        self._partitions = frozenset(partitions)
        self._consumer.assign(
            [
                TopicPartition(self._topic, number, self._positions.get(number, OFFSET_BEGINNING))
                for number in partitions
            ]
        )
        self._looked_at = time.monotonic()
        return partitions

    def _look_for_more(self) -> None:
        """Read partitions, too, that were added since; read all of them again if the topic is another one of that name."""
        self._looked_at = time.monotonic()
        with suppress(CatenaError):
            partitions = self._found_partitions(0)
            found = self._found_id()
            known, self._topic_id = self._topic_id, found or self._topic_id
            if found and known and found != known:
                self._logger.log(f"the topic {self._topic} was made again; reading its table from the beginning")
                for number in set(self._partition_of.values()):
                    self._forget(number)
                self._positions.clear()
                self._incomplete &= self._assign(partitions)
            elif partitions - self._partitions:
                self._assign(partitions | self._partitions)

    def _found_id(self) -> str | None:
        """Return the id of the topic; ``None`` where brokers tell none."""
        return self._ids.ask([self._topic]).answer(_ANSWER_TIMEOUT).get(self._topic)

    def _read(self) -> None:
        try:
            self._follow()
        except BaseException as error:
            if not isinstance(error, SystemExit):
                error = CatenaError(f"the table of {self._topic} cannot be read any more: {described(error)}")
            self._fail(error)

    def _follow(self) -> None:
        self._topic_id = self._found_id()
        while not self._stop.is_set():
            if time.monotonic() - self._looked_at > self._interval:
                self._look_for_more()
            first = self._consumer.poll(0.2)
            self._statistics.polled(first)
            if first is None:
                continue
            messages = [first, *self._consumer.consume(500, 0)]
            for message in messages:
                self._take(message)
            with self._progress:
                self._progress.notify_all()
        self._consumer.close()
        self._ids.close()

    def _forget(self, partition: int) -> None:
        """Remove the rows of a partition whose log starts again: its topic was deleted and made again."""
        for key in [key for key, place in self._partition_of.items() if place == partition]:
            self._put(key, None, partition)

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                # Marks of transactions, which are no messages, may follow the last message.
                self._positions[message.partition()] = message.offset()
                self._incomplete.discard(message.partition())
            elif (final := refusal(error, self._topic, self._settings["group.id"], None)) is not None:
                raise final
            else:
                self._logger.log(f"reading the table of {self._topic}: {error.str()}", level="warning")
            return
        if message.offset() < self._positions.get(message.partition(), 0):
            self._forget(message.partition())
        key = codec.decode_key(message.key())
        try:
            value = codec.decode(message.value(), content_type_of(headers_of(message)))
        except CodecError as problem:
            self._leave_out(key, problem)
        else:
            self._put(key, value, message.partition())
        self._positions[message.partition()] = message.offset() + 1  # only now does catch_up() count it

    def _put(self, key: str | bytes | None, value: Any, partition: int) -> None:
        """Apply one message, unless its key or the author's own code, a bug of which may not end the table, prevents it."""
        try:
            if not isinstance(key, str):
                raise CodecError("its key is no text")
            self.apply(key, value, partition)
        except SystemExit:
            raise
        except BaseException as problem:
            self._leave_out(key, problem)

    def _leave_out(self, key: object, problem: BaseException) -> None:
        self._logger.log(f"a row of {self._topic} is left out, key {key!r}: {described(problem)}", level="warning")
