"""The starting points of partitions: the committed offset, or the beginning of a topic that was deleted and made again.

An offset means nothing in another topic of the same name. So each is committed together with its topic's id, as its metadata,
and the id is looked up while the link runs. Where it has changed, the partition is read from its beginning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from catena_core.consuming.assignment import Assignment, topic_id_of
from catena_core.kafka.topic_ids import Question, TopicIds
from catena_core.monitoring.logs import LinkLogger

# Seconds after an assignment when the starting points of silent partitions are looked up.
_LOOK_UP_AFTER = 1.0

# Seconds between two questions for the ids of topics that are being read.
_ASK_EVERY = 1.0

# Seconds to wait for one answer.
_TIMEOUT = 2.0


@dataclass(frozen=True)
class Look:
    """A look at the topics of some partitions.

    Attributes:
        question: The question for their ids.
        read: By partition, which start of its log was read at that moment, and up to which offset.
    """

    question: Question
    read: dict[Assignment, tuple[int, int]]


class StartingPoints:
    """Sends the consumer to where its partitions start. Only the thread that owns the consumer calls it.

    Args:
        consumer: The consumer.
        ids: Tells the ids of topics.
        logger: The log of partitions that start in the wrong place, and of topics that were made again.
        transactional: Whether transactions commit the group's offsets.
        interval: Seconds between two questions for the ids of topics that are silent.
    """

    def __init__(
        self, consumer: Consumer, ids: TopicIds, logger: LinkLogger, transactional: bool, interval: float
    ) -> None:
        self._consumer = consumer
        self._ids = ids
        self._logger = logger
        self._transactional = transactional
        self._interval = interval
        self._look_up_at = math.inf
        self._asked_at = time.monotonic()
        self._look: Look | None = None
        self._gone: set[str] = set()  # ids of topics that were deleted: brokers may tell them for a while

    def assigned(self) -> None:
        """Look up the starting points of new partitions in a while, if they stay silent."""
        self._look_up_at = time.monotonic() + _LOOK_UP_AFTER

    def close(self) -> None:
        """Look no more."""
        self._ids.close()

    def verify(self, assignment: Assignment, offset: int, assignments: Collection[Assignment]) -> bool:
        """Send the consumer elsewhere if a partition starts in the wrong place.

        It does where its topic is another one than at the last commit. And a member that dies may leave offsets in an open
        transaction. If the assignment grows while librdkafka waits for that transaction to end, reading starts at
        ``auto.offset.reset``, and every electron would be transformed again.

        Args:
            assignment: The partition.
            offset: The first offset that was read since its assignment, or its end.
            assignments: All partitions; those that were not looked up yet are looked up with it.

        Returns:
            Whether it starts in the right place; if not, its electrons do not count yet.
        """
        if assignment.seek_to is None and assignment.resume_at is None:
            self._look_up([item for item in assignments if item.resume_at is None])
            if assignment.resume_at is None:
                assignment.seek_to = offset
        if assignment.seek_to is None and self._transactional and (assignment.resume_at or 0) > offset:
            assignment.seek_to = assignment.resume_at
            self._logger.log(
                f"{assignment.partition[0]}[{assignment.partition[1]}] begins at {offset}, though all before "
                f"{assignment.resume_at} is committed; going on from there",
                level="warning",
            )
        if assignment.seek_to is None:
            return True
        self._seek(assignment)
        return False

    def update(self, assignments: Collection[Assignment]) -> None:
        """Look up silent partitions, look now and then for topics made again, and make the seeks that are due."""
        now = time.monotonic()
        if now > self._look_up_at:
            self._look_up_at = math.inf
            silent = [assignment for assignment in assignments if assignment.resume_at is None]
            if silent and not self._look_up(silent):
                self._look_up_at = now + 10 * _LOOK_UP_AFTER
        if self._look is not None:
            if self._look.question.is_answered:
                look, self._look = self._look, None
                self.find_recreated(look)
        elif now - self._asked_at > _ASK_EVERY:
            is_due = now - self._asked_at > self._interval
            due = [item for item in assignments if is_due or item.tracker.next_dispatch > item.verified]
            if due:
                self._look = self.look(due)
        for assignment in assignments:
            if assignment.seek_to is not None:
                self._seek(assignment)

    def look(self, assignments: Collection[Assignment]) -> Look:
        """Ask for the ids of the topics of these partitions; :meth:`find_recreated` takes the answer."""
        self._asked_at = time.monotonic()
        read = {assignment: (assignment.starts, assignment.tracker.next_dispatch) for assignment in assignments}
        return Look(self._ids.ask({assignment.partition[0] for assignment in read}), read)

    def find_recreated(self, look: Look) -> bool:
        """Have the partitions begin again whose topic was made again; return whether there are any.

        What was read of the other ones before the look is known to be of the same topic as before.
        """
        ids = self._ids_of(look.question)
        found_some = False
        for assignment, (start, offset) in look.read.items():
            found = ids.get(assignment.partition[0], "")
            if assignment.starts != start or assignment.seek_to is not None or not found:
                continue
            if assignment.topic_id and assignment.topic_id != found:
                self._begin_again(assignment, found)
                found_some = True
            else:
                assignment.topic_id, assignment.verified = found, offset
        return found_some

    def _look_up(self, assignments: Collection[Assignment]) -> bool:
        """Ask for the committed offsets of partitions, and for the ids of their topics; return whether all are known."""
        question = self._ids.ask({assignment.partition[0] for assignment in assignments})
        places = [TopicPartition(*assignment.partition) for assignment in assignments]
        try:
            places = self._consumer.committed(places, timeout=_TIMEOUT)
            errors = [place.error for place in places if place.error is not None]
        except KafkaException as error:
            errors, places = [error.args[0]], []
        if errors:
            topics = ", ".join(sorted({assignment.partition[0] for assignment in assignments}))
            self._logger.log(f"where {topics} begins is not known yet: {errors[0].str()}")
        ids = self._ids_of(question)
        for assignment, place in zip(assignments, places, strict=False):
            if place.error is None:
                self._resume(assignment, place, ids.get(assignment.partition[0], ""))
        return not errors

    def _ids_of(self, question: Question) -> dict[str, str]:
        return {topic: found for topic, found in question.answer(_TIMEOUT).items() if found not in self._gone}

    def _resume(self, assignment: Assignment, place: TopicPartition, topic_id: str) -> None:
        """Note where a partition goes on, or have it begin again if its topic is another one by now."""
        assignment.resume_at = max(place.offset, 0)  # below 0: nothing is committed
        if assignment.position < 0:
            assignment.position = assignment.resume_at
        assignment.topic_id = topic_id_of(place)
        if topic_id and assignment.topic_id not in ("", topic_id):
            self._begin_again(assignment, topic_id)
        elif topic_id:
            assignment.topic_id = topic_id

    def _begin_again(self, assignment: Assignment, topic_id: str) -> None:
        if assignment.topic_id not in self._gone:
            self._logger.log(
                f"the topic {assignment.partition[0]} was made again; reading it from the beginning", level="warning"
            )
            self._gone.add(assignment.topic_id)
        assignment.begin_again(topic_id)
        assignment.seek_to = OFFSET_BEGINNING

    def _seek(self, assignment: Assignment) -> None:
        """Send the consumer to the start of a partition; :meth:`update` tries again if that fails."""
        with suppress(KafkaException):
            self._consumer.seek(TopicPartition(*assignment.partition, assignment.seek_to))
            assignment.seek_to = None
