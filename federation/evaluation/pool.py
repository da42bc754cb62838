"""The pool of worker processes."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from federation.analysis.plan import Plan
from federation.budget import Budget
from federation.errors import ServerStoppingError, TooLargeError
from federation.evaluation.messages import Analyse, Evaluate, Evaluated, Failed, Job, Part, Planned, Reply

# Seconds between two checks of whether the client still waits for an answer.
_CHECK_EVERY = 0.1
# Files for connections, for resolving names and for reading certificates.
_FILES_FOR_CALLS = 64
_MAX_SHOWN = 200
_MODULE = "federation.evaluation.process"
_STOPPING = "this server is stopping"

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


AnyWorker = TypeVar("AnyWorker", bound="Worker")


class WorkerPool:
    """Processes that analyse and evaluate queries, each one job at a time. May be used by many threads.

    Queries that call other servers have a process of their own, the only one that can open connections. The first of them
    starts it.

    Args:
        count: The number of processes.
        memory: Bytes of address space that each may take; 0: no bound.
    """

    def __init__(self, count: int, memory: int) -> None:
        self._closed = False
        # The last one back is the first one out: its memory is warm.
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._all = [Worker(partial(spawn, _MODULE, memory, 0)) for _ in range(count)]
        for worker in self._all:
            worker.connection()
            self._idle.put(worker)
        self._caller = Worker(partial(spawn, _MODULE, memory, _FILES_FOR_CALLS))
        self._idle_caller: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._idle_caller.put(self._caller)

    def analyse(self, text: str, budget: Budget) -> Plan:
        """Analyse a query.

        Args:
            text: The query.
            budget: The query's budget.

        Raises:
            QuerySyntaxError: The text is not a SPARQL 1.1 query.
            QueryRefusedError: The query is not one to answer.
            QueryTimeoutError: The analysis, or the wait for a worker, took too long.
        """
        what = "the query's analysis"
        worker = self._take(self._idle, budget, what)
        try:
            reply = do(worker, Analyse(text), budget, what)
        finally:
            self._idle.put(worker)
        assert isinstance(reply, Planned)
        return reply.plan

    def evaluate(self, job: Evaluate, budget: Budget) -> Result:
        """Evaluate a query over the quads that it can match.

        Args:
            job: The query and the quads.
            budget: The query's budget.

        Returns:
            The result; where the worker still sends a part of it, the caller reads or closes it.

        Raises:
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            QueryTimeoutError: The evaluation took too long.
            ServiceFailedError: Another server, which the query calls, failed.
        """
        what = _described(job)
        idle = self._idle_caller if job.services else self._idle
        worker = self._take(idle, budget, what)
        return evaluated(worker, job, budget, what, lambda: idle.put(worker))

    def close(self) -> None:
        """End all processes, busy ones too, and refuse further jobs."""
        self._closed = True
        for worker in (*self._all, self._caller):
            worker.stop()
        for idle in (self._idle, self._idle_caller):
            end_idle(idle)

    def _take(self, idle: queue.LifoQueue[Worker], budget: Budget, what: str) -> Worker:
        worker = take(idle, budget, what)
        if self._closed:
            idle.put(worker)
            raise ServerStoppingError(_STOPPING)
        return worker


def evaluated(worker: Worker, job: Evaluate, budget: Budget, what: str, release: Callable[[], None]) -> Result:
    """Let a worker evaluate a query.

    Args:
        worker: An idle one.
        job: The query.
        budget: The query's budget.
        what: The job in words, for errors.
        release: Called once, when the worker has sent all of the result, or has failed.

    Raises:
        FederationError: The evaluation failed.
    """
    rest = Rest(worker, job, budget, what, release)
    body = next(rest)
    return Result(body, None if rest.is_over else rest)


class Result(NamedTuple):
    """The result of a query, serialised.

    Attributes:
        body: The result, or the first part of it.
        rest: The other parts, which are still being made; ``None``: there are none.
    """

    body: bytes
    rest: Rest | None = None

    def whole(self) -> bytes:
        """Wait for all of it.

        Raises:
            FederationError: The evaluation failed.
        """
        return b"".join((self.body, *(self.rest or ())))


class Rest(Iterator[bytes]):
    """The parts of a result, as a worker sends them. For one thread.

    Args:
        worker: The worker, idle.
        job: The query.
        budget: The query's budget.
        what: The job in words, for errors.
        release: Called once the worker is idle again, or has ended.

    Attributes:
        is_over: Whether there are no further parts.
    """

    def __init__(self, worker: Worker, job: Evaluate, budget: Budget, what: str, release: Callable[[], None]) -> None:
        self._worker, self._budget, self._what, self._release = worker, budget, what, release
        self._job: Evaluate | None = job
        self.is_over = False

    def __next__(self) -> bytes:
        """Return the next part.

        Raises:
            FederationError: The evaluation failed.
        """
        if self.is_over:
            raise StopIteration
        job, self._job = self._job, None
        try:
            reply = do(self._worker, job, self._budget, self._what)
        except BaseException:
            self._end()
            raise
        assert isinstance(reply, Part | Evaluated)
        if isinstance(reply, Evaluated):
            self._end()
        return reply.body

    def close(self) -> None:
        """Go on without the parts that are left."""
        if not self.is_over:
            self._worker.end()
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._release()


def do(worker: Worker, job: Job | None, budget: Budget, what: str) -> Reply:
    """Let a worker do a job, and return its next reply; end it when none comes.

    Args:
        worker: The worker.
        job: The job, for an idle worker; ``None``: it goes on with the last one.
        budget: The query's budget.
        what: The job in words, for errors.

    Raises:
        FederationError: The job failed.
    """
    try:
        if job is None:
            budget.check(what)
        else:
            worker.send(_encoder.encode(job))
        while not worker.has_answered(_CHECK_EVERY):
            budget.check(what)
        reply: Reply = _decoder.decode(worker.receive())
    except (EOFError, OSError):
        worker.end()
        if worker.is_stopped:
            raise ServerStoppingError(_STOPPING) from None
        raise TooLargeError(
            "the query ended its evaluator: it takes too much memory, or is nested too deeply"
        ) from None
    except BaseException:
        worker.end()
        raise
    if isinstance(reply, Failed):
        raise reply.error()
    return reply


def take(idle: queue.LifoQueue[AnyWorker], budget: Budget, what: str) -> AnyWorker:
    """Return an idle worker; other queries may have to end first.

    Args:
        idle: The idle ones.
        budget: The query's budget.
        what: What the worker is for, for errors.

    Raises:
        QueryTimeoutError: None became idle in time.
        QueryCancelledError: The client has gone.
    """
    while True:
        with suppress(queue.Empty):
            return idle.get(timeout=min(_CHECK_EVERY, max(budget.deadline - time.monotonic(), 0)))
        budget.check(f"other queries to end before {what}")


def end_idle(idle: queue.LifoQueue[AnyWorker]) -> None:
    """End the processes of idle workers; threads that wait for one get them all the same."""
    taken: list[AnyWorker] = []
    with suppress(queue.Empty):
        while True:
            taken.append(idle.get_nowait())
    for worker in taken:
        worker.end()
        idle.put(worker)


def _described(job: Evaluate) -> str:
    """Describe the job, for errors."""
    if not job.services:
        return "the query's evaluation"
    return f"the query's evaluation, which calls {', '.join(f'<{service[:_MAX_SHOWN]}>' for service in job.services)}"


class Process(Protocol):
    """A process that can be ended."""

    def poll(self) -> int | None:
        """Return its exit status; ``None`` while it runs."""

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Wait for its end."""


class Worker:
    """One process; its first job starts it, as does the next job after its end.

    It belongs to one thread at a time. Any other one may ask whether it is alive, and kill or stop it.

    Args:
        start: Starts it, and connects to it.

    Attributes:
        is_stopped: Whether it was ended for good.
    """

    def __init__(self, start: Callable[[], tuple[Process, Connection]]) -> None:
        self._start = start
        self._process: Process | None = None
        self._connection: Connection | None = None
        self.is_stopped = False

    def connection(self) -> Connection:
        """Return the connection to the process; start it again if it was ended, or died while idle.

        Raises:
            ServerStoppingError: It was stopped.
        """
        if self._process and self._process.poll() is not None:
            self.end()
        if self._connection is None and not self.is_stopped:
            self._process, self._connection = self._start()
        if self._connection is None or self.is_stopped:
            self.end()
            raise ServerStoppingError(_STOPPING)
        return self._connection

    def send(self, job: bytes) -> None:
        """Send a job."""
        self.connection().send_bytes(job)

    def has_answered(self, seconds: float) -> bool:
        """Return whether there is an answer, or will be within so many seconds."""
        assert self._connection
        return self._connection.poll(seconds)

    def receive(self) -> bytes:
        """Return the answer."""
        assert self._connection
        return self._connection.recv_bytes()

    def is_alive(self) -> bool:
        """Return whether the process waits for a job."""
        process = self._process
        return process is not None and process.poll() is None

    def kill(self) -> None:
        """End the process, also while another thread waits for its answer."""
        process = self._process
        if process:
            process.kill()

    def stop(self) -> None:
        """End the process for good, also while another thread waits for its answer; that thread then forgets it."""
        self.is_stopped = True
        self.kill()

    def end(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._connection:
            self._connection.close()
            self._connection = None


def spawn(module: str, *arguments: int) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a module as a process that gets the number of its end of a connection, and some numbers.

    Args:
        module: Its name.
        arguments: The numbers.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno()), *map(str, arguments)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    return process, Connection(ours.detach())
