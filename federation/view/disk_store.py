"""The store of a view on disk, which outlives its process."""

from __future__ import annotations

import fcntl
import itertools
import shutil
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from pyoxigraph import NamedNode, Store

from federation.errors import TooLargeError
from federation.view.messages import Change
from federation.view.store import ViewStore

# Bytes that a disk keeps free: it is full for others before.
_LEFT_FREE = 256 * 1024 * 1024
# Seconds for which the process of a view that was killed may hold its place.
_WAIT_FOR_PLACE = 3.0


class DiskStore:
    """A store in a directory, and the digests of its graphs.

    Several views may use one directory: each takes a place in it, the first that is free. A change takes the digests of its
    graphs away before, and adds the new ones when the disk has it. So a graph with a digest is as it should be, whenever the
    process or the machine stops; the others go when the store is opened again.

    Args:
        directory: The directory; it is made if it does not exist.
        form: What the content depends on besides the descriptions; a store of another form is emptied.

    Attributes:
        graphs: The digests of the graphs in the store, by IRI.

    Raises:
        OSError: The directory cannot be used.
    """

    def __init__(self, directory: Path, form: str) -> None:
        self._place, self._lock = _take_place(directory)
        self._numbers = itertools.count()
        self.graphs: dict[str, str] = {}
        try:
            self._open(form)
        except (OSError, RuntimeError, ValueError, sqlite3.Error):  # it is a copy of what the topics hold
            self._start_empty(form)

    def change(self, change: Change) -> None:
        """Change the store, and write it to the disk.

        Raises:
            UnreadableQuadsError: The quads are invalid; nothing was changed.
            TooLargeError: The disk has no room for it; nothing was changed.
        """
        free = shutil.disk_usage(self._place).free
        if free < _LEFT_FREE + len(change.quads):
            raise TooLargeError(f"the disk of {self._place.parent} has {free} bytes left")
        with self._digests:
            self._digests.executemany(
                "DELETE FROM graphs WHERE name = ?", ((name,) for name in (*change.graphs, *change.removed))
            )
        self._view.change(change)
        self._view.store.flush()
        with self._digests:
            self._digests.executemany(
                "INSERT INTO graphs VALUES (?, ?)", ((name, digest) for name, digest in change.graphs.items() if digest)
            )

    def copy(self, evaluator: int) -> Path:
        """Copy the store as it is now, and remove the last copy for that evaluator. The copy shares its files.

        Args:
            evaluator: The evaluator's number.
        """
        for last in self._copies.glob(f"{evaluator}-*"):
            shutil.rmtree(last, ignore_errors=True)
        copy = self._copies / f"{evaluator}-{next(self._numbers)}"
        self._view.store.backup(str(copy))
        return copy

    @property
    def _copies(self) -> Path:
        return self._place / "copies"

    def _open(self, form: str) -> None:
        shutil.rmtree(self._copies, ignore_errors=True)
        self._copies.mkdir()
        self._digests = sqlite3.connect(self._place / "digests.sqlite")
        with self._digests:
            self._digests.execute("CREATE TABLE IF NOT EXISTS form (value TEXT NOT NULL)")
            self._digests.execute("CREATE TABLE IF NOT EXISTS graphs (name TEXT PRIMARY KEY, digest TEXT NOT NULL)")
            forms = self._digests.execute("SELECT value FROM form").fetchall()
            if not forms:
                self._digests.execute("INSERT INTO form VALUES (?)", (form,))
        if forms not in ([], [(form,)]):
            raise ValueError("the store has another form")
        self._view = ViewStore(Store(str(self._place / "store")))
        marked = dict(self._digests.execute("SELECT name, digest FROM graphs"))
        present = {graph.value for graph in self._view.store.named_graphs() if isinstance(graph, NamedNode)}
        self.graphs = {name: digest for name, digest in marked.items() if name in present}
        self.change(Change({}, removed=tuple((present | marked.keys()) - self.graphs.keys())))

    def _start_empty(self, form: str) -> None:
        with suppress(AttributeError):
            self._digests.close()
        for path in self._place.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        self._open(form)


def _take_place(directory: Path) -> tuple[Path, TextIO]:
    """Return the first free place, and the open file whose lock holds it."""
    deadline = time.monotonic() + _WAIT_FOR_PLACE
    directory.mkdir(parents=True, exist_ok=True)
    while True:
        numbers = itertools.takewhile(lambda number: (directory / str(number)).exists(), itertools.count())
        places = [directory / str(number) for number in numbers]
        if not places or time.monotonic() > deadline:
            places.append(directory / str(len(places)))
        for place in places:
            place.mkdir(exist_ok=True)
            lock = (place / "lock").open("w", encoding="ascii")
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return place, lock
            lock.close()
        time.sleep(0.1)
