"""Links of the tests, joined to a broker."""

import threading
import time
from collections import Counter

from catena_core import Electron, Link
from tests.helpers.waiting import eventually

# Rebalances that take a second, not ten. The embedded broker waits for a second less than a session; on Kafka all members
# are back after a heartbeat, and a long session keeps those that a busy machine holds up.
QUICK = {"session.timeout.ms": "30000", "heartbeat.interval.ms": "300"}
QUICK_EMBEDDED = {"session.timeout.ms": "1500", "heartbeat.interval.ms": "300"}


class Counting(Link):
    """Copies, and counts how often it was given each value; what it has of the partitions is known."""

    pause = 0.0
    counts: Counter[str]

    def __init_subclass__(cls):
        cls.counts = Counter()

    def __init__(self, **given):
        super().__init__(**given)
        self.own = set()
        self.rebalances = 0

    def assigned(self, partitions):
        self.own |= set(partitions)
        self.rebalances += 1

    def revoked(self, partitions):
        self.own -= set(partitions)

    def transform(self, electron):
        self.counts[electron.value] += 1
        time.sleep(self.pause)
        return Electron(electron.key, electron.value)


class Held(Counting):
    """Counts, and does not come back from its transform before its gate is opened."""

    gate: threading.Event

    def __init_subclass__(cls):
        super().__init_subclass__()
        cls.gate = threading.Event()

    def transform(self, electron):
        self.counts[electron.value] += 1
        self.gate.wait(300)


class Memory(Link):
    """Keeps what it has read, by partition, and tells what happened to it."""

    replay = True

    def __init__(self, **given):
        super().__init__(**given)
        self.seen, self.complete, self.history = {}, set(), []

    def assigned(self, partitions):
        for partition in partitions:
            self.seen[partition] = []

    def revoked(self, partitions):
        for partition in partitions:
            del self.seen[partition]
            self.complete.discard(partition)

    def replayed(self, partition):
        self.history.append((partition, len(self.seen[partition])))
        self.complete.add(partition)

    def transform(self, electron):
        self.seen[electron.previous_topic, electron.partition].append(electron.value)


def link(kind, broker, source=(), target=(), properties=None, **given):
    """Make a link of this class on this broker.

    Args:
        kind: Its class.
        broker: The broker, as the fixture gives it.
        source: What it reads: a topic, or several.
        target: What it writes: a topic, or several.
        properties: librdkafka properties beside the broker's own.
        given: Its further options.
    """
    return kind(
        **{
            "kafka_endpoint": broker.endpoint,
            "input_topics": source,
            "output_topics": target,
            "consumer_group": broker.group(),
            "properties": {**broker.properties, **(properties or {})},
            **given,
        }
    )


def quick(kind, broker, source=(), target=(), more=(), **given):
    """Make a link whose rebalances take a second, not ten; ``more`` are librdkafka properties on top."""
    return link(kind, broker, source, target, {**quick_properties(broker), **dict(more)}, **given)


def quick_properties(broker):
    """Choose the librdkafka properties with which rebalances take a second, not ten."""
    return QUICK_EMBEDDED if broker.properties else QUICK


class Supply:
    """Keeps a topic some hundred electrons ahead of the links that read it, for as long as a test wants them busy.

    Attributes:
        sent: So many electrons were produced, of the values v0, v1, …
    """

    AHEAD = 500

    def __init__(self, broker, topic, counts):
        self._broker, self._topic, self._counts, self.sent = broker, topic, counts, 0

    def until(self, condition):
        """Supply the links until a condition holds, and so many more that they are busy for a while."""

        def holds():
            if self.sent < len(self._counts) + self.AHEAD:
                numbers = range(self.sent, self.sent + self.AHEAD)
                self._broker.produce(self._topic, ((f"k{n}", f"v{n}") for n in numbers))
                self.sent += self.AHEAD
            return condition()

        eventually(holds)


def arguments(broker, source="", target="", properties=None):
    """Give the same as arguments of a link's command line."""
    given = ["-k", broker.endpoint, "-g", broker.group()]
    given += ["-i", source] if source else []
    given += ["-o", target] if target else []
    for name, value in {**broker.properties, **(properties or {})}.items():
        given += ["-X", f"{name}={value}"]
    return given


def keeps_offsets_of_transactions(broker):
    """Whether a group finds what was committed in transactions: the embedded broker takes such offsets, and forgets them."""
    return not broker.properties
