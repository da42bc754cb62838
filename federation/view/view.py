"""A view: every graph in one store at the gateway.

The descriptions of offerings come from a topic, so the store needs no nodes for them. It follows a snapshot's ``contents``: it
shows of each graph the description that a node has acknowledged, as the federation does. Graphs that providers put on
nodes themselves are fetched from these, and again from time to time while queries come.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

from federation.budget import Budget
from federation.errors import FederationError, NotCachedError, TooLargeError
from federation.evaluation.corrections import may_read_named_graphs
from federation.evaluation.messages import Evaluate
from federation.evaluation.pool import Result, end_idle, evaluated, take
from federation.fetching.merge import MergedQuads
from federation.fetching.terms import valid_iri
from federation.source_selection import Snapshot
from federation.view.contents import ContentReader, Contents, by_graph
from federation.view.evaluator import Evaluator
from federation.view.messages import Change
from federation.view.overflow import OverflowTemplate
from federation.view.template import DiskTemplate, StoreProcesses, Template

MIN_SECONDS = 5.0
"""Seconds for which graphs without fingerprints count as current, at least."""
# The same in times of one fetch, whichever is longer.
_TIMES_FETCH = 20
# Graphs without fingerprints are refetched when this part of their time is left, so that no query waits.
_AHEAD = 0.3
# A query updates at most this many graphs itself; more are updated in the background.
_MAX_AT_ONCE = 50
_WAIT_FOR_ANOTHER = 0.05
_WAIT_FOR_FORK = 1.0
_LOOK_EVERY, _LONGEST_REST = 0.25, 5.0
# The store's process may end so often before the view gives up.
_MOST_ENDS = 3
# Attempts in a row that may fail before it does.
_MOST_FAILURES = 5
_WAIT_AFTER_FAILURE = 0.5
# Raise it when quads are written in another way: stores on disk with another number are emptied.
_FORM = 1

SnapshotFor = Callable[[frozenset[str]], Snapshot]
Fetch = Callable[[frozenset[str]], MergedQuads]


class Progress(NamedTuple):
    """The state of a view.

    Attributes:
        state: ``complete``, ``building`` or ``off``.
        graphs: The number of graphs in it.
        of: The number of graphs that it should have.
        reason: The reason for being off.
    """

    state: Literal["complete", "building", "off"]
    graphs: int
    of: int
    reason: str = ""

    def __str__(self) -> str:
        if self.state == "building":
            return f"the view is being built, {self.graphs} of {self.of} graphs are in it"
        return f"the view is off: {self.reason}" if self.reason else "the view is up to date"


class View:
    """A store of all graphs. May be used by many threads.

    Args:
        contents: The descriptions that were placed.
        max_bytes: The most memory that the store may take; beyond it the store moves to ``overflow``, or the view is off. It
            does not bound a store on disk.
        seconds: For how long graphs without fingerprints count as current at most.
        workers: The number of queries to evaluate at the same time, each in a process of its own.
        worker_memory: Bytes of address space that each of these processes may take besides the store; 0: no bound.
        skolem: The prefix of IRIs that stand for blank nodes.
        fetch: Fetches all triples of some graphs from the nodes.
        on_off: Called with the reason when the view goes off.
        directory: Where the store is kept on disk from the start; empty: it is in memory.
        overflow: Where it is kept on disk once it takes too much memory; empty: nowhere.
        on_overflow: Called with the reason when it moves there.
    """

    def __init__(
        self,
        contents: Contents,
        max_bytes: int,
        seconds: float,
        workers: int,
        worker_memory: int,
        skolem: str,
        fetch: Fetch,
        on_off: Callable[[str], None] = lambda reason: None,
        directory: str = "",
        overflow: str = "",
        on_overflow: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._reader = ContentReader(contents, skolem)
        self._fetch = fetch
        self._on_off = on_off
        self._changing = threading.Lock()
        self._processes: StoreProcesses = Template(worker_memory)
        if on_disk := directory or overflow:
            disk = DiskTemplate(on_disk, worker_memory, f"{_FORM} {skolem}")
            self._processes = (
                disk if directory else OverflowTemplate(Template(worker_memory), disk, max_bytes, on_overflow)
            )
        self._all = [Evaluator(self._processes, number) for number in range(workers)]
        self._idle: queue.LifoQueue[Evaluator] = queue.LifoQueue()
        for evaluator in self._all:
            self._idle.put(evaluator)
        self._has_resumed = False
        self._loaded: dict[str, str] = {}
        self._fetched: frozenset[str] = frozenset()
        self._until, self._lasts = 0.0, seconds
        self._generation = 0
        self._shown: Snapshot | None = None
        self._alike: tuple[Snapshot | None, Snapshot | None] = None, None
        self._is_built = False
        self._not_before = 0.0
        self._wanted = 0
        self._ends = 0
        self._off = ""
        self._demand, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def resume(self) -> Mapping[str, str]:
        """Open the store that an earlier view left, if it is on disk.

        Returns:
            The digests of the graphs in it, by IRI, which stay as they are until :meth:`follow`.
        """
        with self._lock():
            try:
                self._resume()
            except TooLargeError as error:
                self._give_up(str(error))
            except (OSError, EOFError):
                self._begin_again()
            return self._loaded

    def follow(self, snapshot_for: SnapshotFor) -> None:
        """Build the store and keep it up to date, in a thread.

        Args:
            snapshot_for: Returns a snapshot without the nodes of these ids.
        """
        self._thread = threading.Thread(target=self._follow, args=(snapshot_for,), name="view", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all processes; queries under way fail."""
        self._stop.set()
        self._demand.set()
        for evaluator in self._all:
            evaluator.stop()
        self._processes.kill()  # so that no thread gets an answer from it
        if self._thread is not None:
            self._thread.join()
        end_idle(self._idle)
        with self._lock():
            self._processes.end()

    @property
    def progress(self) -> Progress:
        """The number of graphs that are in it by now."""
        graphs = len(self._loaded) + len(self._fetched)
        if self._off or self._stop.is_set():
            return Progress("off", 0, self._wanted, self._off or "the gateway is stopping")
        return Progress("complete" if self._is_built else "building", graphs, self._wanted)

    def showing(self, snapshot: Snapshot) -> int:
        """Return the generation of the store that shows what a snapshot shows; later ones may show more.

        A query updates a few graphs itself. For more of them, and for graphs of nodes, it goes on without the view.

        Raises:
            NotCachedError: There is none yet; the message says why.
        """
        if not self._shows(snapshot):
            if self._is_built and 0 < self._distance(snapshot) <= _MAX_AT_ONCE:
                with self._lock(_WAIT_FOR_ANOTHER) as mine:
                    if mine:
                        self._load(snapshot)
            if not self._shows(snapshot):
                self._demand.set()
                raise NotCachedError(self._why_not(snapshot))
        if self._fetched and time.monotonic() > self._until - _AHEAD * self._lasts:
            self._demand.set()
        return self._generation

    def seconds_left(self) -> float:
        """Return for how long an answer from it may be cached."""
        return self._until - time.monotonic() if self._fetched else self._seconds

    def evaluate(self, job: Evaluate, generation: int, budget: Budget) -> tuple[Result, int]:
        """Evaluate a query over the store.

        Args:
            job: The query; its quads do not count.
            generation: The generation that it needs, or a later one.
            budget: The query's budget.

        Returns:
            The result, as :meth:`WorkerPool.evaluate` does, and the generation that it comes from.

        Raises:
            NotCachedError: The store has changed meanwhile, or is gone.
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            QueryTimeoutError: The evaluation took too long.
        """
        evaluator = take(self._idle, budget, "the query's evaluation")
        ends = self._ends

        def release() -> None:
            if job.path_ends and may_read_named_graphs(job.text):
                evaluator.end()  # its store has grown by triples in every graph
            self._idle.put(evaluator)

        try:
            if evaluator.generation < generation or not evaluator.is_alive():
                self._fork(evaluator)
        except BaseException:
            release()
            raise
        generation = evaluator.generation
        try:
            return evaluated(evaluator, job, budget, "the query's evaluation", release), generation
        except TooLargeError:
            if ends == self._ends and self._processes.is_alive():
                raise
            raise NotCachedError("the view's process has ended") from None  # and its evaluators with it

    def _fork(self, evaluator: Evaluator) -> None:
        with self._lock(_WAIT_FOR_FORK) as mine:
            if not mine or self._shown is None or self._stop.is_set():
                raise NotCachedError("the view is changing")
            try:
                evaluator.fork(self._generation)
            except (OSError, EOFError):
                self._begin_again()
                raise NotCachedError("the view's process has ended") from None

    @contextmanager
    def _lock(self, seconds: float = -1) -> Iterator[bool]:
        mine = self._changing.acquire(timeout=seconds)
        try:
            yield mine
        finally:
            if mine:
                self._changing.release()

    # What it shows

    def _shows(self, snapshot: Snapshot) -> bool:
        if self._off or snapshot.untracked is None or self._stop.is_set():
            return False
        if snapshot.untracked and time.monotonic() >= self._until:
            return False
        shown = self._shown
        if shown is None:
            return False
        one, other = self._alike
        if shown is snapshot or (one is shown and other is snapshot):
            return True
        if shown.untracked != snapshot.untracked or shown.contents != snapshot.contents:
            return False
        self._alike = shown, snapshot  # comparing those of 100,000 graphs takes as long as many a query
        return True

    def _distance(self, snapshot: Snapshot) -> int:
        """Return the number of placed graphs that differ."""
        return len(snapshot.contents.items() ^ self._loaded.copy().items())

    def _why_not(self, snapshot: Snapshot) -> str:
        if self._off or not self._is_built:
            return str(self.progress)
        if snapshot.untracked is None:
            return "a node that has just come up has not listed its graphs yet"
        if self._fetched != snapshot.untracked or (self._fetched and time.monotonic() >= self._until):
            return "graphs that providers put on nodes themselves are being fetched again"
        return "descriptions have changed that the view does not have yet"

    # The thread

    def _follow(self, snapshot_for: SnapshotFor) -> None:
        failures = 0
        while not self._stop.is_set() and not self._off:
            began = time.monotonic()
            is_demanded = self._demand.is_set()
            self._demand.clear()
            try:
                snapshot = snapshot_for(frozenset())
                if not self._shows(snapshot):
                    with self._lock():
                        self._load(snapshot)
                if is_demanded or not (snapshot.untracked or frozenset()) <= self._fetched:
                    self._fetch_others(snapshot)
                failures = 0
            except Exception as error:
                failures += 1
                if failures == _MOST_FAILURES:
                    with self._lock():
                        self._give_up(f"it cannot be kept up to date: {type(error).__name__}: {error}")
                    return
                self._stop.wait(_WAIT_AFTER_FAILURE)
            # Its work leaves most of the time to queries; but what has come while it was long at work does not wait as long.
            self._demand.wait(min(max(_LOOK_EVERY, 2 * (time.monotonic() - began)), _LONGEST_REST))

    def _load(self, snapshot: Snapshot) -> None:
        """Load the placed graphs that have changed, and remove those that are gone."""
        contents, untracked = snapshot.contents, snapshot.untracked or frozenset()
        self._wanted = len(contents) + len(untracked)
        try:
            self._resume()
            self._remove(
                [graph for graph in self._loaded if graph not in contents]
                + [graph for graph in self._fetched if graph not in untracked and graph not in contents]
            )
            changed = [graph for graph, digest in contents.items() if self._loaded.get(graph) != digest]
            for portion in self._reader.portions(changed, contents):
                if self._off or self._stop.is_set():
                    return
                digests = {graph: contents[graph] for graph in portion}
                self._change(Change(digests, b"".join(portion.values())))
                self._loaded.update(digests)
                self._fetched -= portion.keys()
        except TooLargeError as error:
            self._give_up(str(error))
        except (OSError, EOFError):
            self._begin_again()
        self._compare(snapshot)

    def _compare(self, snapshot: Snapshot) -> None:
        """Note whether it shows what a snapshot shows."""
        complete = self._loaded == snapshot.contents and self._fetched == snapshot.untracked
        self._shown = snapshot if complete and not self._off else None
        self._is_built |= self._shown is not None

    def _fetch_others(self, snapshot: Snapshot) -> None:
        """Fetch graphs that providers put on nodes themselves: new ones, and from time to time all of them."""
        untracked, began = snapshot.untracked, time.monotonic()
        if untracked is None or began < self._not_before:
            return
        is_ageing = began > self._until - _AHEAD * self._lasts
        wanted = untracked if is_ageing else untracked - self._fetched
        if not wanted:
            return
        try:
            merged = self._fetch(wanted)
            merged.check()
        except TooLargeError as error:
            with self._lock():
                self._give_up(f"graphs that providers put on nodes themselves are too large for it: {error}")
            return
        except FederationError:  # a query meets the same error, and reports it
            self._not_before = time.monotonic() + MIN_SECONDS
            return
        with self._lock():
            placed = self._loaded.keys()
            names = {valid_iri(graph) for graph in wanted - placed}
            quads = [lines for graph, lines in by_graph(merged).items() if graph in names]
            try:
                self._change(Change(dict.fromkeys(wanted - placed, ""), b"".join(quads)))
            except TooLargeError as error:
                self._give_up(str(error))
                return
            except (OSError, EOFError):
                self._begin_again()
                return
            self._fetched |= wanted - placed
            if is_ageing:
                took = time.monotonic() - began
                self._lasts = min(self._seconds, max(MIN_SECONDS, _TIMES_FETCH * took))
                self._until = began + self._lasts
            self._compare(snapshot)

    # The store

    def _resume(self) -> None:
        if not self._has_resumed:
            self._loaded, self._has_resumed = self._processes.resume(), True

    def _remove(self, graphs: Iterable[str]) -> None:
        removed = tuple(graphs)
        if removed:
            self._change(Change({}, removed=removed))
            for graph in removed:
                self._loaded.pop(graph, None)
            self._fetched -= set(removed)

    def _change(self, change: Change) -> None:
        self._shown = None
        self._generation += 1
        memory = self._processes.change(change)
        if memory > self._max_bytes:
            self._give_up(
                f"it takes more than GATEWAY_VIEW_BYTES, {self._max_bytes}, with {len(self._loaded)} of {self._wanted} graphs"
            )

    def _begin_again(self) -> None:
        """Build the store again, or go on with what is on the disk: its process has ended."""
        self._processes.end()
        self._has_resumed = False
        self._loaded, self._fetched, self._shown, self._is_built = {}, frozenset(), None, False
        self._until = 0.0
        self._generation += 1
        self._ends += 1
        if self._ends >= _MOST_ENDS and not self._stop.is_set():
            self._give_up(f"its process has ended {self._ends} times")

    def _give_up(self, reason: str) -> None:
        """Go off, by a caller that holds the lock: a store that ended under a fork would come back empty."""
        self._off = reason
        self._processes.end()
        self._loaded, self._fetched, self._shown = {}, frozenset(), None
        self._on_off(reason)
