"""Whose turn it is: several input topics share the lanes of a link in proportion to their weights.

All topics stand in one subscription; none is ever left and joined again. What was read waits here, for each topic by itself,
and is handed on by stride scheduling (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource
Management", MIT/LCS/TM-528, 1995): each topic has a pass, which grows by what it was served divided by its weight, and the
one with the lowest pass is next. A topic that had nothing to do begins anew at the others' pass, so the share of an idle topic
goes to the others, and it cannot claim afterwards what it did not use.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")

# In the mode "exp", how much more each topic gets than the next.
_PREFERENCE = 1.7


class FairQueue(Generic[Owner]):
    """What was read and not handed to a lane yet.

    Args:
        weight: Gives the weight of a topic.
    """

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        self._waiting: dict[str, deque[tuple[Owner, list[Any]]]] = {}
        self._pass: dict[str, float] = {}
        self._now = 0.0  # the pass of whoever was served last

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, topic: str, owner: Owner, messages: list[Any]) -> None:
        """Let messages wait.

        Args:
            topic: Their topic.
            owner: Whatever they belong to; it comes back with them.
            messages: The messages, in order; not empty.
        """
        if topic not in self._waiting:
            self._waiting[topic] = deque()
            self._pass[topic] = max(self._pass.get(topic, 0.0), self._now)
        self._waiting[topic].append((owner, messages))

    def take(self, most: int) -> tuple[Owner, list[Any]]:
        """Take the messages whose turn it is, of one owner.

        Args:
            most: The most messages to take.
        """
        topic = next(iter(self._waiting)) if len(self._waiting) == 1 else min(self._waiting, key=self._pass.__getitem__)
        queue = self._waiting[topic]
        owner, messages = queue.popleft()
        if len(messages) > most:
            queue.appendleft((owner, messages[most:]))
            messages = messages[:most]
        if not queue:
            del self._waiting[topic]
        self._now = self._pass[topic]
        self._pass[topic] += len(messages) / self._weight(topic)
        return owner, messages

    def drop(self, owner: Owner) -> None:
        """Forget what waits for an owner."""
        for topic in list(self._waiting):
            kept = deque(item for item in self._waiting[topic] if item[0] is not owner)
            if kept:
                self._waiting[topic] = kept
            else:
                del self._waiting[topic]


def weight_of(mode: str, topics: Sequence[str], topic: str) -> float:
    """The weight of a topic among the input topics.

    Args:
        mode: ``"exp"``: each earlier topic weighs 1.7 times the next; ``"parity"``: all weigh the same.
        topics: The input topics in their order; those that begin with ``^`` are regular expressions.
        topic: The topic as Kafka names it.
    """
    if mode == "parity":
        return 1.0
    for index, name in enumerate(topics):
        if name == topic or (name.startswith("^") and re.match(name, topic)):
            return float(_PREFERENCE ** (len(topics) - 1 - index))
    return 1.0
