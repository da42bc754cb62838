"""Testing links without a broker: electrons in, electrons out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from catena_core import codec
from catena_core.electron import Electron
from catena_core.errors import UsageError
from catena_core.link import Link
from catena_core.results import read_result
from catena_core.table import TableContent


class LinkDriver:
    """Drives a link step by step, in the calling thread.

    What goes in and out passes through the wire format, as it would on Kafka. Errors of a transform reach the caller: no
    retries, no dead letters.

    Args:
        link: The link; :meth:`setup` is called when the driver is made.
        tables: Rows that tables hold from the start, by topic and key.
        partitions: How many partitions every topic has.
    """

    def __init__(self, link: Link, tables: dict[str, dict[str, Any]] | None = None, partitions: int = 4) -> None:
        self._link = link
        self._rows = tables or {}
        self._partitions = partitions
        self._tables: dict[str, list[TableContent[Any]]] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()
        self.sent: list[Electron] = []
        link.attach(self)

    def transform(self, electron: Electron) -> list[Electron]:
        """Hand the link one electron, as if it came from the first input topic or the one that it names.

        Returns:
            What the link sent meanwhile, in order.
        """
        arrived = self._through_the_wire(electron)
        arrived.topic = electron.topic or next(iter(self._link.input_topics), None)
        if arrived.topic is None:
            raise UsageError("the link has no input topic; give the electron one")
        arrived.partition = electron.partition or 0
        place = (arrived.topic, arrived.partition)
        arrived.offset = self._offsets.get(place, 0)
        self._offsets[place] = arrived.offset + 1
        before = len(self.sent)
        result = read_result(self._link.transform(arrived))
        self.send([self._link.addressed(item, arrived.topic) for item in result.electrons])
        if result.callback is not None:
            result.callback()
        return self.sent[before:]

    def generate(self) -> list[Electron]:
        """Call the generator once.

        Returns:
            What the link sent meanwhile.
        """
        before = len(self.sent)
        self._link.generator()
        return self.sent[before:]

    def assign(self, *partitions: tuple[str, int]) -> list[Electron]:
        """Give the link partitions, replayed to their (empty) ends; returns what it sent meanwhile."""
        before = len(self.sent)
        self._link.assigned(partitions)
        for partition in partitions:
            self._link.replayed(partition)
        return self.sent[before:]

    def put(self, topic: str, key: str, value: Any, partition: int = 0) -> list[Electron]:
        """Set or, with ``None``, remove a row in the tables of a topic; returns what the link sent because of it."""
        before = len(self.sent)
        for content in self._tables.get(topic, ()):
            content.apply(key, self._through_the_wire(Electron(key=key, value=value)).value, partition)
        return self.sent[before:]

    # What the link calls

    def send(self, electrons: Sequence[Electron], done: Callable[[Exception | None], None] | None = None) -> None:
        """Take what the link sends."""
        with self._lock:
            self.sent.extend(self._through_the_wire(electron) for electron in electrons)
        if done is not None:
            done(None)

    def table(self, topic: str, **content: Any) -> TableContent[Any]:
        """A table with the rows that the driver was given."""
        table: TableContent[Any] = TableContent(**content)
        self._tables.setdefault(topic, []).append(table)
        for key, value in self._rows.get(topic, {}).items():
            table.apply(key, self._through_the_wire(Electron(key=key, value=value)).value)
        return table

    def partition_count(self, topic: str) -> int:
        """As many as the driver was told."""
        return self._partitions

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run it at once."""
        function(*args)

    @staticmethod
    def _through_the_wire(electron: Electron) -> Electron:
        value, content_type = codec.encode(electron.value)
        return Electron(
            key=codec.decode_key(codec.encode_key(electron.key)),
            value=codec.decode(value, content_type),
            topic=electron.topic,
            previous_topic=electron.previous_topic,
            timestamp=electron.timestamp,
            partition=electron.partition,
            headers=electron.headers,
        )
