"""The instances that are alive.

Each instance sends a sign of life when it starts and every few seconds, and a farewell when it ends cleanly. One that was
killed is forgotten after three silent intervals. An instance counts intervals by its own messages as they come back from the
broker: while the broker is away, it hears of no other instance, and forgets none either.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from catena_core.rpc.messages import Alive, Gone
from catena_core.rpc.record import Record

HEARTBEAT = 3.0
_MISSED = 3
_REMEMBERED_ENDS = 100
_MOST_INSTANCES = 10_000

Item = TypeVar("Item")


@dataclass(frozen=True)
class Instance(Record):
    """A running link; its fields can be read as items, too.

    Attributes:
        group: Its consumer group.
        kind: The name of its class.
        host: The name of its host.
        since: When it started, in seconds since 1970.
    """

    group: str
    kind: str
    host: str
    since: float


class Instances(Mapping[str, Mapping[str, Any]]):
    """The instances that are alive, as far as one of them knows.

    ``instances.by_uid`` maps uids to :class:`Instance`, ``instances.by_group`` maps consumer groups to lists of uids, oldest
    first; ``instances["by_uid"]`` and ``instances["by_group"]`` are the same. All of it changes as instances come and go.

    Args:
        own_uid: The instance whose messages count the intervals.
        heartbeat: Seconds between two messages of an instance that has nothing else to say.
    """

    def __init__(self, own_uid: str, heartbeat: float = HEARTBEAT) -> None:
        self._own_uid = own_uid
        self._heartbeat = heartbeat
        self._changed = threading.Condition()
        # Replaced, never changed, so that readers need no lock.
        self._by_uid: dict[str, Instance] = {}
        self._by_group: dict[str, list[str]] = {}
        self._interval = 0
        self._interval_began = 0.0
        self._heard: dict[str, int] = {}
        self._ended: deque[Gone] = deque(maxlen=_REMEMBERED_ENDS)
        self._views: dict[str, Mapping[str, Any]] = {
            "by_uid": _Live(lambda: self._by_uid),
            "by_group": _Live(lambda: self._by_group, _catenae_group),
        }

    @property
    def by_uid(self) -> Mapping[str, Instance]:
        """Instances by uid."""
        return self._views["by_uid"]

    @property
    def by_group(self) -> Mapping[str, list[str]]:
        """Lists of uids by consumer group."""
        return self._views["by_group"]

    def find(self, to: str) -> list[str]:
        """Find the uids that an address means: the instance of that uid, or all of that class or consumer group."""
        by_uid = self._by_uid
        if to in by_uid:
            return [to]
        return [uid for uid, instance in by_uid.items() if is_meant(to, uid, instance.group, instance.kind)]

    def wait_for(self, to: str, timeout: float, given_up: Callable[[], bool] = lambda: False) -> list[str]:
        """Wait until an instance that an address means is alive.

        Args:
            to: A uid, class name or consumer group.
            timeout: The longest wait, in seconds.
            given_up: Tells whether to end the wait; called after :meth:`wake`.

        Returns:
            The uids that it means; none if no instance appeared.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.find(to) or given_up(), timeout)
        return self.find(to)

    def wake(self) -> None:
        """Have waiting calls ask whether to give up."""
        with self._changed:
            self._changed.notify_all()

    def saw(self, alive: Alive) -> None:
        """Note a sign of life."""
        with self._changed:
            if Gone(alive.uid, alive.since) in self._ended:
                return
            if alive.uid not in self._by_uid and len(self._by_uid) >= _MOST_INSTANCES:
                return
            now = time.monotonic()
            # Messages that waited while the broker was away arrive together, and count once.
            if alive.uid == self._own_uid and now - self._interval_began >= self._heartbeat / 2:
                self._interval_began = now
                self._interval += 1
                self._forget_the_silent()
            self._heard[alive.uid] = self._interval
            instance = Instance(alive.group, alive.kind, alive.host, alive.since)
            if self._by_uid.get(alive.uid) != instance:
                self._replace({**self._by_uid, alive.uid: instance})

    def ended(self, gone: Gone) -> None:
        """Note a farewell; a sign of life that was sent beside it changes nothing."""
        with self._changed:
            self._ended.append(gone)
            known = self._by_uid.get(gone.uid)
            if known is not None and known.since == gone.since:
                self._forget({gone.uid})

    def _forget_the_silent(self) -> None:
        silent = {uid for uid, heard in self._heard.items() if self._interval - heard > _MISSED} - {self._own_uid}
        self._forget(silent)

    def _forget(self, uids: set[str]) -> None:
        for uid in uids:
            self._heard.pop(uid, None)
        if uids & self._by_uid.keys():
            self._replace({uid: instance for uid, instance in self._by_uid.items() if uid not in uids})

    def _replace(self, by_uid: dict[str, Instance]) -> None:
        by_group: dict[str, list[str]] = {}
        for uid, instance in sorted(by_uid.items(), key=lambda item: (item[1].since, item[0])):
            by_group.setdefault(instance.group, []).append(uid)
        self._by_uid, self._by_group = by_uid, by_group
        self._changed.notify_all()

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"Instances(by_uid={self._by_uid!r}, by_group={self._by_group!r})"


def is_meant(to: str, uid: str, group: str, kind: str) -> bool:
    """Tell whether an address means an instance: by its uid, its consumer group, or its class in any case of letters."""
    return to in (uid, group) or to.casefold() == kind.casefold()


def _catenae_group(name: str, groups: Mapping[str, Any]) -> str:
    """Find the group that Catenae would have named so: ``catenae_`` and the class in small letters."""
    kind = name.removeprefix("catenae_")
    return next((group for group in groups if kind != name and group.lower() == kind), name)


class _Live(Mapping[str, Item], Generic[Item]):
    """A view of a dictionary that is replaced at each change.

    Args:
        current: Gives the dictionary.
        meant: Gives the key that stands for one that is not there.
    """

    def __init__(
        self,
        current: Callable[[], dict[str, Item]],
        meant: Callable[[str, Mapping[str, Any]], str] = lambda key, _current: key,
    ) -> None:
        self._current = current
        self._meant = meant

    def __getitem__(self, key: str) -> Item:
        current = self._current()
        return current[key if key in current else self._meant(key, current)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def __repr__(self) -> str:
        return repr(self._current())
