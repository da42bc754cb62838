"""The course of a run: offerings come, change and go, faults strike, and each is timed until all is as it should be."""

from __future__ import annotations

import collections
import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from tests.chaos.faults import Fault, possible
from tests.chaos.ledger import Listed
from tests.chaos.looks import Looks
from tests.chaos.oracle import Difference, compare_contents, compare_versions, wrong_answers
from tests.chaos.world import REPLICAS, World

_LOOK_EVERY = 0.5
_SETTLE_EVERY = 2.0
_SAMPLE_EVERY = 5.0
# Faults that may wait for their healing at the same time.
_MOST_AT_ONCE = 64


@dataclass
class Row:
    """One fault, or several at once, in the table."""

    fault: str
    offerings: int
    seconds: float
    lost: int
    wrong: int


@dataclass
class Outcome:
    """A run's outcome.

    Attributes:
        rows: The faults.
        changes: The number of changes on the ledger.
        end: The nodes' difference from the truth at the end, by every quad.
        wrong_answers: The reader's findings, and those of the last proof.
        answers: The reader's answers by completeness.
        ended: Processes that ended by themselves.
        memory: MiB of each process at each sample: ``(seconds since the start, name, MiB)``.
    """

    rows: list[Row] = field(default_factory=list)
    changes: int = 0
    end: Difference = field(default_factory=Difference)
    wrong_answers: list[str] = field(default_factory=list)
    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    ended: list[str] = field(default_factory=list)
    memory: list[tuple[float, str, float]] = field(default_factory=list)


class Run:
    """Hurts a world, and watches it heal.

    Args:
        world: The world.
        refresh: Its seconds until a description is fetched again.
        patience: Seconds after which what is not healed counts as lost.
        say: Called with each line to show.
    """

    def __init__(self, world: World, refresh: float, patience: float, say: Callable[[str], None]) -> None:
        self._world = world
        self._refresh = refresh
        self._patience = patience
        self._say = say
        self._started = time.monotonic()
        self._outcome = Outcome()
        self._looks = Looks(world.nodes)

    def settle(self, what: str, within: float) -> Difference:
        """Wait until the nodes are as the ledger says, and let the reader know what stands there."""
        began = time.monotonic()
        while True:
            truth = self._world.ledger.copy()
            try:
                difference = compare_versions(truth, self._world.nodes, REPLICAS)
            except requests.RequestException as error:
                difference = Difference(missing=len(truth), examples=[f"a node does not answer: {error}"])
            if difference.none or time.monotonic() - began > within:
                break
            time.sleep(_LOOK_EVERY)
        self._say(f"{what}: {len(truth)} offerings, {time.monotonic() - began:.1f} s, {_said(difference)}")
        return difference

    def rounds(self, rounds: Sequence[Sequence[Fault]], changes: int, seconds: float) -> None:
        """Let faults strike, a round at a time, and wait for the healing of each.

        Args:
            rounds: Each the faults that strike at the same time.
            changes: Changes on the ledger while they do.
            seconds: How long each holds.
        """
        for faults in rounds:
            with self._settling(), self._changing(changes * 60 / seconds):
                self._strike(faults, seconds)

    def continuously(self, minutes: float, changes_per_minute: float, fault_every: float, brokers: int) -> None:
        """Let faults strike one after the other, healed or not, while the ledger changes.

        Args:
            minutes: How long.
            changes_per_minute: Changes on the ledger.
            fault_every: Seconds between two faults.
            brokers: The number of Kafka's brokers.
        """
        until = time.monotonic() + 60 * minutes
        busy: set[str] = set()
        queue = self._shuffled(possible(brokers))
        with (
            self._changing(changes_per_minute),
            self._sampling(),
            self._settling(),
            ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="fault") as pool,
        ):
            while (now := time.monotonic()) < until:
                fault = next(fault for fault in queue if fault.target not in busy)
                busy.add(fault.target)

                def strike(fault: Fault = fault) -> None:
                    self._strike([fault], self._world.rng.uniform(2, 8), lambda: busy.discard(fault.target))

                pool.submit(strike).add_done_callback(
                    lambda done: done.exception() and self._say(repr(done.exception()))
                )
                time.sleep(max(0.0, min(until, now + fault_every) - time.monotonic()))

    def finish(self) -> Outcome:
        """Wait until all is well, and prove it by every quad and by the gateways' answers."""
        world, outcome = self._world, self._outcome
        self._looks.close()
        self.settle("at the end", self._patience + self._refresh)
        truth = world.ledger.copy()
        outcome.end = compare_contents(truth, world.nodes, REPLICAS)
        outcome.wrong_answers = list(world.reader.wrong)
        for gateway in world.links.gateways:
            outcome.wrong_answers += self._answers_within(lambda g=gateway: wrong_answers(truth, g), self._patience)  # type: ignore[misc]
        outcome.answers, outcome.ended, outcome.changes = world.reader.answers, world.links.ended, world.ledger.changes
        return outcome

    @staticmethod
    def _answers_within(ask: Callable[[], list[str]], seconds: float) -> list[str]:
        """Ask until nothing is wrong: a gateway that has just started again says that it is not complete."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                wrong = ask()
            except requests.RequestException as error:
                wrong = [f"no answer: {error}"]
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(1)

    # One fault

    def _strike(self, faults: Sequence[Fault], seconds: float, over: Callable[[], None] = lambda: None) -> None:
        name = " + ".join(fault.name for fault in faults)
        wrong = len(self._world.reader.wrong)
        self._say(f"{self._now()} {name}")
        try:
            with ThreadPoolExecutor(len(faults)) as pool:
                for done in [pool.submit(fault.act, self._world, seconds) for fault in faults]:
                    done.result()
        finally:
            over()
        lifted = time.monotonic()
        target = self._target(lifted)
        missing, behind = self._missing(target), self._world.reader.behind(target)
        # Other faults strike meanwhile, so no look may find all copies at once: each offering must have been seen whole since.
        unhealed = set(missing)
        while (unhealed or behind) and time.monotonic() - lifted < self._patience:
            missing, behind = self._missing(target), self._world.reader.behind(target)
            unhealed &= set(missing)
        missing = [iri for iri in missing if iri in unhealed]
        self._world.reader.wrong += behind
        row = Row(name, len(target), time.monotonic() - lifted, len(missing), len(self._world.reader.wrong) - wrong)
        self._outcome.rows.append(row)
        lost = f", {row.lost} copies missing, for instance {missing[0]}" if missing else ""
        self._say(f"{self._now()} {name}: healed after {row.seconds:.1f} s{lost}")

    def _target(self, now: float) -> dict[str, Listed]:
        return {
            iri: listed
            for iri, listed in self._world.ledger.copy().items()
            if not listed.edited_at or now - listed.edited_at > self._refresh
        }

    def _missing(self, target: dict[str, Listed]) -> list[str]:
        """Find the copies that nodes lack, of the offerings that have not changed since."""
        newest = self._world.ledger.copy()
        unchanged = {iri: listed for iri, listed in target.items() if newest.get(iri) is listed}
        held: collections.Counter[str] = collections.Counter()
        for found in self._looks.after(time.monotonic()).values():
            held.update(iri for iri, listed in unchanged.items() if found.get(iri) == [listed.version])
        return [iri for iri in unchanged for _ in range(max(0, REPLICAS - held[iri]))]

    # What goes on meanwhile

    @contextlib.contextmanager
    def _changing(self, per_minute: float) -> Iterator[None]:
        with _repeated(self._world.ledger.change, 60 / per_minute):
            yield

    @contextlib.contextmanager
    def _sampling(self) -> Iterator[None]:
        def sample() -> None:
            since = time.monotonic() - self._started
            self._outcome.memory += [(since, name, size) for name, size in self._world.links.memory().items()]

        with _repeated(sample, _SAMPLE_EVERY):
            yield

    @contextlib.contextmanager
    def _settling(self) -> Iterator[None]:
        """Let the reader know again and again of the offerings that stand on all of their nodes."""

        def look() -> None:
            target = self._target(time.monotonic())
            missing = set(self._missing(target))
            self._world.reader.settle({iri: listed for iri, listed in target.items() if iri not in missing})

        with _repeated(look, _SETTLE_EVERY):
            yield

    def _shuffled(self, faults: Sequence[Fault]) -> Iterator[Fault]:
        rng: random.Random = self._world.rng
        return itertools.chain.from_iterable(rng.sample(faults, len(faults)) for _ in itertools.count())

    def _now(self) -> str:
        return f"{time.monotonic() - self._started:6.1f} s"


@contextlib.contextmanager
def _repeated(action: Callable[[], object], interval: float) -> Iterator[None]:
    """Repeat an action in a thread at a steady rate, as long as the block lasts."""
    stop = threading.Event()

    def repeat() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + interval, time.monotonic() - 1)
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _said(difference: Difference) -> str:
    if difference.none:
        return "all as it should be"
    return f"{difference.missing} copies missing, {difference.surplus} too many: {'; '.join(difference.examples)}"
