"""Testing links without a broker: electrons in, electrons out.

    driver = LinkDriver(Shout(input_topics="lines", output_topics="loud"))
    assert driver.transform(Electron("k", "hey"))[0].value == "HEY"

Each method that drives the link returns the electrons that it sent meanwhile. For tests on a broker there is the pytest
plugin :mod:`catena_core.testing.pytest_plugin`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from catena_core.clock import Launch, Repeated
from catena_core.consuming.assignment import Assignment
from catena_core.delivery.producer import ENDED, MAX_MESSAGE_BYTES
from catena_core.electron import Electron
from catena_core.errors import CodecError, StoppedError, UsageError
from catena_core.link import Link
from catena_core.mistakes import run_plain
from catena_core.monitoring import tracing
from catena_core.rpc import LocalRpc, Peer
from catena_core.table import TableContent
from catena_core.transforming.results import is_async, read_results, run_async
from catena_core.transforming.transformer import LaneContext
from catena_core.wire import codec
from catena_core.wire.message import Headers, Message, reader, writer


class ManualClock:
    """A clock that the test moves, or a wait of the link.

    Args:
        now: Seconds since the Unix epoch.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._until: float | None = None
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, float, Repeated]] = []

    def now(self) -> float:
        """Give the time that it shows."""
        return self._now

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Move on at once, but not beyond the end of :meth:`lasting`; loops that come due are left for :meth:`advance`."""
        self._now += seconds
        if self._until is not None and self._now > self._until:
            self._now = self._until
            return True
        return stop.is_set()

    @contextmanager
    def lasting(self, seconds: float) -> Iterator[None]:
        """Within this block, cut short the wait that would go beyond so many seconds, as if the link were to stop."""
        self._until = self._now + seconds
        try:
            yield
        finally:
            self._until = None

    def repeat(
        self, call: Repeated, interval: float, wait: bool, stop: threading.Event, launch: Launch
    ) -> threading.Thread:
        """Take a loop on; :meth:`advance` makes its calls."""
        heapq.heappush(self._due, (self._now + (interval if wait else 0), next(self._numbers), interval, call))
        return threading.Thread(target=call, name="never started: the clock is moved by hand")

    def advance(self, seconds: float) -> None:
        """Let time pass, and make the calls that come due, in the order of their times."""
        until = self._now + seconds
        while self._due and self._due[0][0] <= until:
            at, _, interval, call = heapq.heappop(self._due)
            self._now = max(self._now, at)
            call()
            # A loop without an interval comes once in each step.
            again = at + interval if interval else math.nextafter(until, math.inf)
            heapq.heappush(self._due, (again, next(self._numbers), interval, call))
        self._now = max(self._now, until)


class LinkDriver:
    """Drives a link step by step, in the calling thread.

    Electrons in and out pass through the wire format, as they would on Kafka. Errors of a transform reach the caller: there
    are no retries and no dead letters.

    Args:
        link: The link; :meth:`setup` is called when the driver is made.
        tables: Rows that tables hold from the start, by topic and key.
        partitions: How many partitions every topic has.
        now: Seconds since the Unix epoch: the link's time then stands still, except as :meth:`advance` moves it or the link
            waits, and loops run only then. ``None``: the machine's time.
        rpc: Lets the links of one test call each other; ``None``: this one is alone.
        setup_kwargs: Passed to :meth:`setup`.

    Attributes:
        sent: All that the link has sent, in order.
    """

    def __init__(
        self,
        link: Link,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
        partitions: int = 4,
        now: float | None = None,
        rpc: LocalRpc | None = None,
        setup_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        link._catena.definition.check(link.options)
        self._link = link
        self._rows = tables or {}
        self._partitions = partitions
        self._tables: dict[str, list[TableContent[Any]]] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()
        self._read, self._read_output = reader(link.input_format), reader(link.output_format)
        self._write_input = writer(link.input_format, "input")
        self._write = writer(
            link.output_format,
            link._catena.definition.default_topic,
            link._catena.definition.default_key,
            link.keep_timestamps,
        )
        self._context = LaneContext()
        # One for all electrons, as a link has: whatever the link's own code opens stays in its event loop.
        self._loop = asyncio.new_event_loop()
        weakref.finalize(self, self._loop.close)
        self._clock = ManualClock(now) if now is not None else None
        if self._clock is not None:
            link._catena.clock = self._clock
        self._rpc = rpc or LocalRpc()
        self._peer: Peer | None = None
        self._has_finished = False
        self.sent: list[Electron] = []
        link._catena.attach(self, setup_kwargs)
        self.rpc()

    def transform(self, electron: Any) -> list[Electron]:
        """Hand the link one electron, as if it came from the first input topic, or the one that it names.

        Args:
            electron: An electron, whose ``topic`` is where it is read from; or a value, for one without a key.

        Returns:
            The electrons that the link sent meanwhile, in order.

        Raises:
            Exception: The error of the transform. On Kafka the electron would be tried again and then go to the dead letters.
            CodecError: The electron, or an output of the link, cannot be put on the wire in the link's format, or names a
                partition that its topic lacks.
            UsageError: The electron comes from such a partition, or from no topic.
        """
        return self.transform_batch([electron])

    def transform_batch(self, electrons: Sequence[Any]) -> list[Electron]:
        """Hand the link electrons that a lane gets together: see :meth:`transform`."""
        before = len(self.sent)
        arrived = [self._arrive(electron) for electron in electrons]
        run_plain(self._link.prepare_batch, arrived)
        try:
            for electron in arrived:
                self._context.timestamp = electron.timestamp if self._link.keep_timestamps else None
                self._context.trace = tracing.child(electron.headers)
                returned = self._link.transform(electron)
                run = self._loop.run_until_complete
                for result in run_async(returned, run) if is_async(returned) else read_results(returned):
                    self.send(result.electrons)
                    if result.callback is not None:
                        run_plain(result.callback)
        finally:
            self._context = LaneContext()
        return self.sent[before:]

    def _arrive(self, electron: Any) -> Electron:
        if not isinstance(electron, Electron):
            electron = Electron(value=electron)
        topic = electron.topic or next(iter(self._link.input_topics), None)
        if topic is None:
            raise UsageError("the link has no input topic; give the electron one")
        place = (topic, electron.partition or 0)
        self._check_partition(*place)
        offset = self._offsets.get(place, 0)
        self._offsets[place] = offset + 1
        message = self._write_input(electron)
        timestamp = electron.timestamp if electron.timestamp is not None else int(self._link.now() * 1000)
        return self._read(_Arrived(message, timestamp), topic, place[1], offset)

    def generate(self, seconds: float | None = None) -> list[Electron]:
        """Call the generator once.

        Args:
            seconds: For a generator that goes on until the link stops: the first :meth:`~catena_core.Link.wait` that would go
                beyond so much time ends it. ``None``: it returns by itself.

        Returns:
            The electrons that the link sent meanwhile.

        Raises:
            UsageError: Seconds were given, but the driver was made without ``now``.
        """
        before = len(self.sent)
        with suppress(StoppedError):
            if seconds is None:
                self._link._catena.generate()
            else:
                with self._manual_clock().lasting(seconds):
                    self._link._catena.generate()
        return self.sent[before:]

    def assign(self, *partitions: tuple[str, int]) -> list[Electron]:
        """Assign partitions, to a link that replays them up to their (empty) ends; return the electrons that it sent meanwhile.

        Raises:
            UsageError: The driver's topics have fewer partitions.
        """
        before = len(self.sent)
        for topic, number in partitions:
            self._check_partition(topic, number)
        run_plain(self._link.assigned, partitions)
        for partition in partitions if self._link.replay else ():
            run_plain(self._link.replayed, partition)
        return self.sent[before:]

    def revoke(self, *partitions: tuple[str, int]) -> list[Electron]:
        """Revoke partitions; return the electrons that the link sent meanwhile."""
        before = len(self.sent)
        run_plain(self._link.revoked, partitions)
        return self.sent[before:]

    def put(self, topic: str, key: str, value: Any, partition: int = 0) -> list[Electron]:
        """Set or, with ``None``, remove a row in the tables of a topic; return the electrons that the link sent meanwhile."""
        before = len(self.sent)
        for content in self._tables.get(topic, ()):
            content.apply(key, _through_the_wire(value), partition)
        return self.sent[before:]

    def advance(self, seconds: float) -> list[Electron]:
        """Let time pass, and run the loops that come due; return the electrons that the link sent meanwhile.

        Raises:
            UsageError: The driver was made without ``now``.
        """
        before = len(self.sent)
        self._manual_clock().advance(seconds)
        return self.sent[before:]

    def call(self, method: str, args: Any = None, kwargs: Mapping[str, Any] | None = None) -> Any:
        """Call a method of the link that is marked with ``@rpc``, as another link would."""
        return self.rpc().call(self._link.uid, method, args, kwargs)

    def finish(self) -> list[Electron]:
        """End the link, which is gone for the other links of the test; return the electrons that it sent meanwhile."""
        before = len(self.sent)
        self._link._catena.stop.set()
        run_plain(self._link.finish)
        if self._peer is not None:
            self._peer.close()
        self._has_finished = True
        return self.sent[before:]

    # The runtime of the link

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> bool:
        """Record electrons that the link sends."""
        if self._has_finished:
            raise StoppedError(ENDED)
        for message in [self._context.complete(self._write(electron)) for electron in electrons]:
            if message.partition is not None and message.partition >= self._partitions:
                raise CodecError(f"{message.topic} has no partition {message.partition}")
            if message.size > MAX_MESSAGE_BYTES:
                raise CodecError(f"{message.size} bytes are too many for one message of Kafka")
            arrived = self._read_output(_Arrived(message, message.timestamp or 0), message.topic, 0, 0)
            sent = arrived.replace(
                topic=message.topic,
                previous_topic=None,
                partition=message.partition,
                offset=None,
                timestamp=message.timestamp,
            )
            with self._lock:
                self.sent.append(sent)
        if done is not None:
            done(None)
        return True

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """Make a table with the rows that the driver was given."""
        table: TableContent[Any] = TableContent(**content)
        self._tables.setdefault(topic, []).append(table)
        for key, value in self._rows.get(topic, {}).items():
            table.apply(key, _through_the_wire(value))
        return table

    def partition_count(self, topic: str) -> int:
        """Give the number that the driver was made with."""
        return self._partitions

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run it at once."""
        self._link._catena.definition.check_single_lane()
        run_plain(function, *args)

    def callback(self, function: Callable[[], Any]) -> None:
        """Run it at once."""
        run_plain(function)

    def current_assignment(self) -> Assignment | None:
        """Give none: no partition is revoked while a driver transforms."""
        return None

    def rpc(self) -> Peer:
        """Give the link's part in the calls of the test."""
        if self._peer is None:
            link = self._link
            self._peer = self._rpc.join(link, uid=link.uid, group=link.consumer_group, logger=link.logger)
        return self._peer

    def _check_partition(self, topic: str, number: int) -> None:
        if not 0 <= number < self._partitions:
            raise UsageError(f"{topic} has no partition {number}; make the driver with partitions=…")

    def _manual_clock(self) -> ManualClock:
        if self._clock is None:
            raise UsageError("the link runs by the machine's time; make the driver with now=…")
        return self._clock


class _Arrived:
    """A message as if from Kafka, as far as the library reads it."""

    def __init__(self, message: Message, timestamp: int) -> None:
        self._message = message
        self._timestamp = timestamp

    def key(self) -> bytes | None:
        return self._message.key

    def value(self) -> bytes | None:
        return self._message.value

    def headers(self) -> Headers | None:
        return self._message.headers

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp


def _through_the_wire(value: Any) -> Any:
    return codec.decode(*codec.encode(value))
