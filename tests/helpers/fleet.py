"""Processes of one link that are hurt while they work, and the proof of what came out."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Producer,
    TopicPartition,
)

from catena_core.topics import TopicSpec, ensure
from tests.helpers.waiting import eventually

PROGRAM = Path(__file__).with_name("copy_link.py")
PARTITIONS = 6
KEYS = 100

# Processes that have loaded everything and wait for their turn, so that a replacement joins at once.
SPARES = 2

# How much is done between two faults, at least and at most.
_LITTLE, _MUCH = 100, 300

# So short that a killed process is missed, and its transaction given up, within seconds; and so long that a process that a busy
# machine holds up is not missed again and again, or the group does nothing but rebalance.
SESSION, TRANSACTION = 2.0, 4.0
PROPERTIES = {
    "session.timeout.ms": str(int(1000 * SESSION)),
    "heartbeat.interval.ms": "250",
    "transaction.timeout.ms": str(int(1000 * TRANSACTION)),
}


class Fleet:
    """Three processes of one consumer group that copy a topic, each replaced when it ends.

    Args:
        bootstrap: Kafka's ``host:port``.
        delivery: ``"at_least_once"`` or ``"exactly_once"``.
        folder: Where the processes log.
        seconds: How long a copy takes.
        count: How many electrons there are to copy in all.
        seed: Decides who is hurt.
    """

    def __init__(self, bootstrap: str, delivery: str, folder: Path, seconds: float, count: int, seed: int) -> None:
        suffix = uuid.uuid4().hex[:8]
        self.source, self.target, self.group = f"in-{suffix}", f"out-{suffix}", f"copies-{suffix}"
        self.bootstrap = bootstrap
        self.faults = 0
        self.ended: Counter[int] = Counter()  # by status: processes that ended although nobody had killed them
        self._folder = folder
        self._random = random.Random(seed)
        self._numbers = set(range(count))
        self._fed = 0
        self._environment = {**os.environ, "COPY_SECONDS": str(seconds)}
        self._command = [sys.executable, str(PROGRAM), "-k", bootstrap, "--delivery", delivery, "--rpc-threads", "0"]
        self._command += ["-i", self.source, "-o", self.target, "-g", self.group]
        self._command += [item for name, value in PROPERTIES.items() for item in ("-X", f"{name}={value}")]
        self._logs: dict[int, Path] = {}
        self._ready: deque[subprocess.Popen[bytes]] = deque()
        self.running: list[subprocess.Popen[bytes]] = []  # those that may work; others are ready to take their place
        # Idempotent, or else a batch that is sent again may come after later ones.
        producing = {"bootstrap.servers": bootstrap, "linger.ms": 20, "enable.idempotence": True, "log_level": 0}
        self._producer = Producer(producing)
        ensure(bootstrap, [TopicSpec(self.source, PARTITIONS), TopicSpec(self.target, PARTITIONS)])
        self._arrivals = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"reader-{suffix}",
                "isolation.level": "read_committed" if delivery == "exactly_once" else "read_uncommitted",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        self._arrivals.assign([TopicPartition(self.target, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        # What came out: of each key the numbers in order, each with the process that it came from.
        self.arrived: dict[bytes, list[tuple[int, int]]] = defaultdict(list)

    def feed(self, count: int) -> None:
        """Produce so many of the numbers, each under one of the keys, from where it stopped the last time."""
        until = min(self._fed + count, len(self._numbers))
        for number in range(self._fed, until):
            self._producer.produce(self.source, str(number), f"k{number % KEYS}")
            self._producer.poll(0)
        assert self._producer.flush(120) == 0
        self._fed = until

    def start(self, count: int = 3) -> None:
        """Let so many processes more join the group."""
        while len(self._ready) < count + SPARES:
            path = self._folder / f"{self.group}-{len(self._logs)}.log"
            with path.open("wb") as log:
                process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment
                )
            self._logs[process.pid] = path
            self._ready.append(process)
        for _ in range(count):
            process = self._ready.popleft()
            assert process.stdin
            process.stdin.close()  # it may start
            self.running.append(process)

    def kill_one(self) -> None:
        """End one of the processes at work as a crash would, and start another."""
        victim = self._random.choice(self._at_work())
        self.running.remove(victim)
        victim.kill()
        victim.wait()
        self.faults += 1
        self.start(1)

    def freeze_one(self, seconds: float) -> None:
        """Stop one of the processes at work until others have done all that there is, and for so long at least.

        Were they behind it when it wakes, it could be the first with what comes later, before it learns that it has lost its
        partitions: nothing can hold it back where outputs go out at once.
        """
        victim = self._random.choice(self._at_work())
        victim.send_signal(signal.SIGSTOP)
        self.read(seconds)
        self.progress(0.0, much=len(self._numbers))
        victim.send_signal(signal.SIGCONT)
        self.faults += 1

    def progress(self, seconds: float, timeout: float = 300, much: int = _MUCH) -> None:
        """Take in what arrives within so many seconds, or until it is a good deal; wait on where it is next to nothing.

        Args:
            seconds: The time.
            timeout: Seconds after which the fleet counts as stuck.
            much: The number that is a good deal.
        """
        before, began = len(self.missing), time.monotonic()
        while (arrived := before - len(self.missing)) < much and self._fed > len(self._numbers) - len(self.missing):
            waited = time.monotonic() - began
            if arrived >= min(_LITTLE, much) and waited >= seconds and much == _MUCH:
                break
            assert waited < timeout, f"nothing goes on\n{self.last_words()}"
            self.read(0.05)

    def join(self) -> None:
        """Wait until each process at work has had partitions: a signal ends one that is still loading, and not cleanly."""
        eventually(
            lambda: all(b"assigned [" in self._logs[process.pid].read_bytes() for process in self.running),
            300,
            self.last_words,
        )

    def stop(self) -> None:
        """End all processes at work as an operator would, and see that each ends cleanly."""
        for process in self.running:
            process.terminate()
        try:
            statuses = [process.wait(120) for process in self.running]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end\n{self.last_words()}") from None
        self.running.clear()
        assert set(statuses) == {0}, f"not ended cleanly: {statuses}\n{self.last_words()}"

    def report(self) -> str:
        """Sum up the outcome, for readers of the tests' output."""
        return (
            f"{self.faults} faults, {len(self.missing)} lost, {len(self.doubled)} more than once, "
            f"{dict(self.ended)} ended by themselves, by status, {self.refusals()} refusals"
        )

    def _at_work(self) -> list[subprocess.Popen[bytes]]:
        """Find the processes that have transformed something; the newcomers are only about to join."""
        old = [process for process in self.running if b" took " in self._logs[process.pid].read_bytes()]
        return old or self.running

    def read(self, seconds: float) -> None:
        """Take in what arrives within so many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._take(self._arrivals.consume(1000, min(left, 0.1)))
        for process in list(self.running):
            if (status := process.poll()) is not None:
                self.ended[status] += 1
                self.running.remove(process)
                self.start(1)

    @property
    def missing(self) -> set[int]:
        """The numbers that have not arrived."""
        return self._numbers - {number for numbers in self.arrived.values() for number, _ in numbers}

    @property
    def done(self) -> bool:
        """Whether every number has arrived."""
        return not self.missing

    def finish(self, timeout: float) -> None:
        """Leave the processes in peace until all is done, then end them and read what there is to the end."""
        until = time.monotonic() + timeout
        # What has arrived may be under way once more: from one that froze, and from the one that has its partition now.
        while not (self.done and not self._look_up_offsets()) and time.monotonic() < until:
            self.read(0.5)
        self.join()
        time.sleep(1.0)  # what comes twice may still be on its way
        self.stop()
        self._read_to_the_end()
        self._uncommitted = self._look_up_offsets()

    def close(self) -> None:
        """Kill what still runs."""
        for process in [*self.running, *self._ready]:
            process.kill()
            process.wait()
        self._arrivals.close()
        self._producer.close()

    @property
    def doubled(self) -> dict[int, list[int]]:
        """The numbers that arrived more than once, with the processes that they came from."""
        sources = defaultdict(list)
        for numbers in self.arrived.values():
            for number, process in numbers:
                sources[number].append(process)
        return {number: processes for number, processes in sources.items() if len(processes) > 1}

    def out_of_order(self) -> dict[bytes, list[int]]:
        """Find the keys whose numbers did not arrive in order, not counting those that had arrived before."""
        wrong = {}
        for key, numbers in self.arrived.items():
            firsts = list(dict.fromkeys(number for number, _ in numbers))
            if firsts != sorted(firsts):
                wrong[key] = firsts
        return wrong

    def uncommitted(self) -> dict[int, tuple[int, int]]:
        """Give the partitions whose committed offset was not their end when all had ended, with both."""
        return self._uncommitted

    def story_of(self, numbers: set[int]) -> str:
        """Collect what the logs say of these numbers, and of the processes that had to do with them."""
        lines = []
        for pid, path in self._logs.items():
            log = path.read_text(errors="replace").splitlines()
            of_them = [line for line in log if " took " in line and int(line.rpartition(" ")[2]) in numbers]
            if of_them:
                lines += [
                    f"--- process {pid}",
                    *of_them[:10],
                    "…",
                    *[line for line in log if " took " not in line][-40:],
                ]
        return "\n".join(lines)

    def last_words(self) -> str:
        """Collect the ends of all logs."""
        lines = []
        for pid, path in self._logs.items():
            log = [line for line in path.read_text(errors="replace").splitlines() if " took " not in line]
            lines += [f"--- process {pid}", *log[-15:]]
        return "\n".join(lines)

    def refusals(self) -> int:
        """How often the logs say that Kafka refused a member that was no longer one."""
        words = ("fenced", "aborted", "put off")
        return sum(any(w in line for w in words) for p in self._logs.values() for line in p.read_text().splitlines())

    def _take(self, messages: list[Any]) -> int:
        ends = 0
        for message in messages:
            if message.error() is None:
                content = msgspec.json.decode(message.value())
                self.arrived[message.key()].append((content["number"], content["process"]))
            ends += message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF
        return ends

    def _read_to_the_end(self) -> None:
        # Anew, so that each partition tells its end: with transactions, that is what is committed.
        self.arrived.clear()
        self._arrivals.assign([TopicPartition(self.target, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        ends, until = 0, time.monotonic() + 120
        while ends < PARTITIONS and time.monotonic() < until:
            ends += self._take(self._arrivals.consume(1000, 0.2))
        assert ends == PARTITIONS, "the output has no end: a transaction is open"

    def _look_up_offsets(self) -> dict[int, tuple[int, int]]:
        places = [TopicPartition(self.source, number) for number in range(PARTITIONS)]
        group = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group, "log_level": 0})
        try:
            committed = {place.partition: place.offset for place in group.committed(places, timeout=60)}
        finally:
            group.close()
        ends = {place.partition: self._arrivals.get_watermark_offsets(place, timeout=60)[1] for place in places}
        return {number: (committed[number], ends[number]) for number in ends if committed[number] != ends[number]}
