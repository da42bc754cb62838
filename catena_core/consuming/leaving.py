"""Leaving a consumer group: commit what is finished, and have the others hear at once that this member goes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer

from catena_core.consuming.assignment import Assignment
from catena_core.delivery.base import Delivery
from catena_core.kafka.partition import Partition
from catena_core.monitoring.logs import LinkLogger

# Seconds within which a broker answers a member that leaves, beyond those for the drain.
LEAVE_TIMEOUT = 10.0

# Seconds for a last commit that is tried although the deadline is over.
_LAST_COMMIT = 1.0

# Seconds of one poll.
_POLL_TIMEOUT = 0.1


def commit_last(
    consumer: Consumer,
    delivery: Delivery,
    assignments: Mapping[Partition, Assignment],
    deadline: float,
    logger: LinkLogger,
) -> None:
    """Commit all that is finished, and take part in a rebalance meanwhile: Kafka refuses commits until it is over.

    A rebalance may wait for a member that has died, and a commit with it, beyond the deadline; a silent broker may not.

    Args:
        consumer: The consumer.
        delivery: Commits offsets.
        assignments: The partitions, which a rebalance may change meanwhile.
        deadline: When electrons under way have had their time, by the monotonic clock.
        logger: The link's log.
    """
    while not delivery.flush_and_commit(list(assignments.values()), max(deadline, time.monotonic() + _LAST_COMMIT)):
        is_silent = delivery.silent_for > _LAST_COMMIT
        if time.monotonic() > (deadline if is_silent else deadline + LEAVE_TIMEOUT):
            logger.log("the last commit did not succeed in time; some electrons will be repeated", level="warning")
            return
        consumer.poll(_POLL_TIMEOUT)  # its messages are left to the next instance


def close(consumer: Consumer, batch_size: int, is_silent: bool) -> None:
    """Close the consumer, and leave the group by that.

    Args:
        consumer: The consumer.
        batch_size: The most messages of one read.
        is_silent: Whether the close alone would tell the group nothing, as that of a member without partitions: a rebalance of
            the others would wait for it until its session times out. One that unsubscribes leaves.
    """
    if is_silent:
        hear_of_rebalance(consumer, batch_size)
        consumer.unsubscribe()
    hear_of_rebalance(consumer, batch_size)
    consumer.close()


def hear_of_rebalance(consumer: Consumer, batch_size: int) -> None:
    """Have Kafka's client tell now of the partitions that it was given or lost.

    A client that has unsubscribed forgets that it is still to tell of them. It tells within its close, waits there for the
    end of a rebalance that it has forgotten, and lets no other thread run meanwhile.

    Args:
        consumer: The consumer.
        batch_size: The most messages of one read.
    """
    until = time.monotonic() + _POLL_TIMEOUT
    while consumer.consume(batch_size, 0) and time.monotonic() < until:
        pass  # its messages are left to the next instance
