"""Clients of Kafka without a Kafka: they keep to the contract of confluent-kafka's, and do as a test tells them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.helpers.messages import Message


class ProducerClient:
    """A producer whose broker takes messages when it is polled or flushed.

    As with delivery.report.only.error, callbacks hear of failures alone. A broker refuses the whole batch of one bad message.

    Attributes:
        acknowledges: Whether the broker answers.
        queue: The messages that wait.
        taken: The values that the broker has.
        placed: The headers, partition and time of each message, as far as it names them.
        refused: The error of each value that makes it refuse the batch.
        tells_which: Whether it tells which messages made it refuse the batch.
        rejected: The error with which produce refuses each value.
        failure: An error that every poll and flush raises.
        room: How many messages the queue takes.
        committed: The values and offsets of each committed transaction.
        errors: The errors of coming requests, by request.
        closed: Whether it is closed.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.acknowledges = True
        self.queue: list[tuple[Message, Callable[[Any, Any], None]]] = []
        self.taken: list[bytes | None] = []
        self.placed: list[dict[str, Any]] = []
        self.refused: dict[bytes, int] = {}
        self.tells_which = False
        self.rejected: dict[bytes, int] = {}
        self.failure: BaseException | None = None
        self.room = 1000
        self.committed: list[tuple[list[bytes | None], dict[tuple[str, int], int]]] = []
        self.errors: dict[str, list[KafkaError]] = {}
        self.closed = False
        self._offsets: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self.queue)

    def produce(self, topic: str, value: Any, key: Any, on_delivery: Any = None, **where: Any) -> None:
        if self.closed:
            raise RuntimeError("Producer has been closed")
        if value in self.rejected:
            raise KafkaException(KafkaError(self.rejected[value]))
        if len(self.queue) >= self.room:
            raise BufferError("Local: Queue full")
        self.placed.append(where)
        # What comes back with a failure lacks the headers.
        message = Message(topic=topic, value=value, key=key)
        self.queue.append((message, on_delivery or self.settings["on_delivery"]))

    def poll(self, timeout: float) -> int:
        waiting = len(self.queue)
        return waiting - self.flush(timeout)

    def flush(self, timeout: float) -> int:
        if self.closed:
            raise RuntimeError("Producer has been closed")
        if self.failure is not None:
            raise self.failure
        if self.acknowledges:
            batch, self.queue = self.queue, []
            bad = [code for value, code in self.refused.items() if any(value == m.value() for m, _ in batch)]
            for message, failed in batch:
                if bad:
                    is_other = self.tells_which and message.value() not in self.refused
                    failed(KafkaError(KafkaError._INVALID_DIFFERENT_RECORD if is_other else bad[0]), message)
                else:
                    self.taken.append(message.value())
        return len(self.queue)

    def close(self) -> bool:
        self.closed = True
        return True

    def init_transactions(self, timeout: float) -> None:
        self._request("init")

    def begin_transaction(self) -> None:
        self.taken, self._offsets = [], {}

    def send_offsets_to_transaction(self, places: list[Any], metadata: Any, timeout: float) -> None:
        self._request("offsets")
        self._offsets = {(place.topic, place.partition): place.offset for place in places}

    def commit_transaction(self, timeout: float) -> None:
        self._request("commit")
        self.flush(timeout)  # as the client's own does
        self.committed.append((self.taken, self._offsets))

    def abort_transaction(self, timeout: float) -> None:
        self._request("abort")

    def _request(self, name: str) -> None:
        if self.errors.get(name):
            raise KafkaException(self.errors[name].pop(0))


class ConsumerClient:
    """A consumer that is given partitions and messages by a test; it calls back while it polls, and in no other thread.

    Attributes:
        subscribed: The topics of each subscription, in order.
        owned: Its partitions, with the offset to start from, where the assignment names one.
        paused: The partitions that it does not read.
        commits: The committed offsets, in order.
        refusals: The errors of coming commits.
        unknown: The errors of coming questions for committed offsets.
        sought: The places to which it was sent, in order.
        answers: Cleared while the broker does not answer a consumer that leaves.
        tells_assignment_while_closing: Whether closing begins with a call of on_assign for no partition, as in librdkafka
            issue 4027, after which a commit ends the process.
        closed: Whether it has left.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.subscribed: list[list[str]] = []
        self.owned: dict[tuple[str, int], int | None] = {}
        self.paused: set[tuple[str, int]] = set()
        self.commits: list[dict[tuple[str, int], int]] = []
        self.refusals: list[int] = []
        self.unknown: list[int] = []
        self.sought: list[tuple[str, int, int]] = []
        self.answers = threading.Event()
        self.answers.set()
        self.tells_assignment_while_closing = False
        self.closed = False
        self._may_commit = True
        self._callbacks: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._coming: list[Message | Callable[[], None]] = []

    # What a test does

    def bring(self, *items: Message | Callable[[], None]) -> None:
        """Have these messages read, and these calls made by a later poll, in this order."""
        with self._changed:
            self._coming += items
            self._changed.notify_all()

    def give(self, *partitions: tuple[str, int]) -> None:
        """Assign partitions."""
        self.bring(lambda: self._assign(partitions))

    def take(self, *partitions: tuple[str, int]) -> None:
        """Revoke partitions."""
        self.bring(lambda: self._revoke("on_revoke", partitions))

    def lose(self, *partitions: tuple[str, int]) -> None:
        """Tell that partitions belong to another member already."""
        self.bring(lambda: self._revoke("on_lost", partitions))

    # What a link does

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.subscribed.append(topics)
        self._callbacks = callbacks

    def unsubscribe(self) -> None:
        self.subscribed.append([])

    def poll(self, timeout: float) -> Message | None:
        item: Message | Callable[[], None] | None = self._next(timeout, calls=True)
        if not callable(item):
            return item
        item()
        return None

    def consume(self, count: int, timeout: float) -> list[Message]:
        found = []
        while len(found) < count and (message := self._next(0, calls=False)) is not None:
            found.append(message)
        return found

    def assign(self, places: list[TopicPartition]) -> None:
        self.owned = {(place.topic, place.partition): place.offset for place in places}

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.owned |= {(place.topic, place.partition): place.offset for place in places}

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: list[TopicPartition]) -> None:
        with self._changed:
            self.paused -= {(place.topic, place.partition) for place in places}
            self._changed.notify_all()

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert self._may_commit, "librdkafka ends the process (issue 4027)"
        if not self.refusals:
            self.commits.append({(place.topic, place.partition): place.offset for place in offsets})
            return
        error = KafkaError(self.refusals.pop(0))
        if not asynchronous:
            raise KafkaException(error)
        self.bring(lambda: self.settings["on_commit"](error, offsets))

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.unknown:
            raise KafkaException(KafkaError(self.unknown.pop(0)))
        return [TopicPartition(place.topic, place.partition, -1001) for place in places]

    def seek(self, place: TopicPartition) -> None:
        self.sought.append((place.topic, place.partition, place.offset))

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, int]:
        return 0, -1001

    def consumer_group_metadata(self) -> str:
        return "metadata"

    def memberid(self) -> str:
        return "member"

    def close(self) -> None:
        self.answers.wait(300)
        if self.tells_assignment_while_closing:
            self._callbacks["on_assign"](self, [])
            self._may_commit = False
        if self.owned:
            self._revoke("on_revoke", tuple(self.owned))
        self.closed = True

    def _assign(self, partitions: tuple[tuple[str, int], ...]) -> None:
        self._callbacks["on_assign"](self, [TopicPartition(*partition) for partition in partitions])
        for partition in partitions:
            self.owned.setdefault(partition, None)

    def _revoke(self, name: str, partitions: tuple[tuple[str, int], ...]) -> None:
        self._callbacks[name](self, [TopicPartition(*partition) for partition in partitions])
        for partition in partitions:
            del self.owned[partition]

    def _next(self, timeout: float, calls: bool) -> Any:
        if self.closed:
            raise RuntimeError("Consumer closed")

        def place() -> int | None:
            for number, item in enumerate(self._coming):
                if callable(item):
                    return number if calls else None
                if (item.topic(), item.partition()) not in self.paused:
                    return number
            return None

        with self._changed:
            number = self._changed.wait_for(lambda: (found := place()) is not None and (found + 1), timeout)
            return self._coming.pop(number - 1) if number else None
