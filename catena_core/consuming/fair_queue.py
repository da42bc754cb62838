"""The fair queue: several input topics share the lanes of a link in proportion to their weights.

All topics are in one subscription, which a link never leaves to prefer one of them. Electrons wait here, by topic, and go on
by stride scheduling (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
MIT/LCS/TM-528, 1995). Each topic has a pass, which grows by the number of served electrons divided by the topic's weight; the
topic with the lowest pass is next. A topic that was idle starts at the others' pass: they had its share meanwhile, and it
cannot claim it later.
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
    """Electrons that were read and not dispatched to a lane yet.

    Args:
        weight: Gives a topic's weight.
    """

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        self._waiting: dict[str, deque[tuple[Owner, list[Any]]]] = {}
        self._pass: dict[str, float] = {}
        self._now = 0.0  # the pass of the topic that was served last

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, topic: str, owner: Owner, messages: list[Any]) -> None:
        """Queue messages.

        Args:
            topic: Their topic.
            owner: Their owner, which comes back with them.
            messages: The messages, in order; not empty.
        """
        if topic not in self._waiting:
            self._waiting[topic] = deque()
            self._pass[topic] = max(self._pass.get(topic, 0.0), self._now)
        self._waiting[topic].append((owner, messages))

    def take(self, most: int) -> tuple[Owner, list[Any]]:
        """Take the next messages, of one owner.

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

    def drop(self, leaves: Callable[[Owner], bool]) -> None:
        """Discard the messages of the owners that leave."""
        for topic in list(self._waiting):
            kept = deque(item for item in self._waiting[topic] if not leaves(item[0]))
            if kept:
                self._waiting[topic] = kept
            else:
                del self._waiting[topic]


def weight_of(mode: str, topics: Sequence[str], topic: str) -> float:
    """Compute the weight of a topic among the input topics.

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
