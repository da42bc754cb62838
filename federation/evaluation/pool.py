"""The pool of worker processes."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec

from federation.analysis.plan import Plan
from federation.budget import Budget
from federation.caching.quad_cache import QuadCache
from federation.errors import NotCachedError, ServerStoppingError, TooLargeError
from federation.evaluation.messages import Analyse, Evaluate, Evaluated, Failed, Job, Planned, Reply, UpdateCache

# Seconds between two checks of whether the client still waits for an answer.
_CHECK_EVERY = 0.1
# Files for connections, for resolving names and for reading certificates.
_FILES_FOR_CALLS = 64
_MAX_SHOWN = 200


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
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Reply)
        # The last one back is the first one out: its memory is warm.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all = [_Worker(memory) for _ in range(count)]
        for worker in self._all:
            worker.start_if_ended()
            self._idle.put(worker)
        self._caller = _Worker(memory, _FILES_FOR_CALLS)
        self._idle_caller: queue.LifoQueue[_Worker] = queue.LifoQueue()
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
        reply = self._do(Analyse(text), budget, "the query's analysis")
        assert isinstance(reply, Planned)
        return reply.plan

    def evaluate(self, job: Evaluate, budget: Budget) -> bytes:
        """Evaluate a query over the quads that it can match.

        Args:
            job: The query and the quads.
            budget: The query's budget.

        Raises:
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            QueryTimeoutError: The evaluation took too long.
            ServiceFailedError: Another server, which the query calls, failed.
        """
        reply = self._do(job, budget, _described(job))
        assert isinstance(reply, Evaluated)
        return reply.body

    def evaluate_cached(self, job: Evaluate, cache: QuadCache, plan: Plan, budget: Budget) -> bytes:
        """Evaluate a query over all cached quads.

        Args:
            job: The query.
            cache: The cached quads.
            plan: The query's plan.
            budget: The query's budget.

        Raises:
            NotCachedError: The cache cannot answer the query.
            QueryRefusedError: The query cannot be evaluated, or not within the limits.
            QueryTimeoutError: The evaluation took too long.
        """
        reply = self._do(job, budget, "the query's evaluation", cached=(cache, plan))
        assert isinstance(reply, Evaluated)
        return reply.body

    def close(self) -> None:
        """End all processes, busy ones too, and refuse further jobs."""
        self._closed = True
        for worker in (*self._all, self._caller):
            worker.end()

    def _do(self, job: Job, budget: Budget, what: str, cached: tuple[QuadCache, Plan] | None = None) -> Reply:
        idle = self._idle_caller if isinstance(job, Evaluate) and job.services else self._idle
        worker = _take(idle, budget, what)
        try:
            if self._closed:
                raise ServerStoppingError("this server is stopping")
            if cached is not None:
                self._update_cache(worker, *cached, budget)
            reply = self._answer(worker, job, budget, what)
        except (EOFError, OSError):
            worker.end()
            raise TooLargeError(
                "the query ended its evaluator: it takes too much memory, or is nested too deeply"
            ) from None
        except BaseException:
            worker.end()
            raise
        finally:
            idle.put(worker)
        if isinstance(reply, Failed):
            raise reply.error()
        return reply

    def _answer(self, worker: _Worker, job: Job, budget: Budget, what: str) -> Reply:
        worker.send(self._encoder.encode(job))
        while not worker.has_answered(_CHECK_EVERY):
            budget.check(what)
        reply: Reply = self._decoder.decode(worker.receive())
        return reply

    def _update_cache(self, worker: _Worker, cache: QuadCache, plan: Plan, budget: Budget) -> None:
        worker.start_if_ended()
        start = time.perf_counter()
        delta = cache.delta(worker.generation, plan)
        if delta is None:
            return
        job = UpdateCache(delta.reset, delta.removed, delta.quads, delta.graphs)
        worker.generation = -1  # until it is done
        try:
            reply = self._answer(worker, job, budget, "the evaluator to load the cached quads")
        except (EOFError, OSError):
            raise NotCachedError("the cached quads ended the evaluator", for_good=True) from None
        if isinstance(reply, Failed):
            raise NotCachedError(f"an evaluator cannot hold the cached quads: {reply.message}", for_good=True)
        worker.generation = delta.generation
        budget.trace.record("keep", "", "", delta.quads.count(b"\n"), len(delta.quads), start)


def _take(idle: queue.LifoQueue[_Worker], budget: Budget, what: str) -> _Worker:
    """Return an idle worker; other queries may have to end first."""
    while True:
        with suppress(queue.Empty):
            return idle.get(timeout=min(_CHECK_EVERY, max(budget.deadline - time.monotonic(), 0)))
        budget.check(f"other queries to end before {what}")


def _described(job: Evaluate) -> str:
    """Describe the job, for errors."""
    if not job.services:
        return "the query's evaluation"
    return f"the query's evaluation, which calls {', '.join(f'<{service[:_MAX_SHOWN]}>' for service in job.services)}"


class _Worker:
    """One process; its first job starts it, as does the next job after its end.

    Args:
        memory: Bytes of address space that it may take; 0: no bound.
        files: Files and connections that it may have open.

    Attributes:
        generation: The generation of the cached quads that it holds; -1: none.
    """

    def __init__(self, memory: int, files: int = 0) -> None:
        self.generation = -1
        self._arguments = [str(memory), str(files)]
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "federation.evaluation.process", str(theirs.fileno()), *self._arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._connection = Connection(ours.detach())
        return self._connection

    def start_if_ended(self) -> Connection:
        """Start the process again if it was ended, or died while idle."""
        if self._process and self._process.poll() is not None:
            self.end()
        return self._connection or self._start()

    def send(self, job: bytes) -> None:
        self.start_if_ended().send_bytes(job)

    def has_answered(self, seconds: float) -> bool:
        """Return whether there is an answer, or will be within so many seconds."""
        assert self._connection
        return self._connection.poll(seconds)

    def receive(self) -> bytes:
        assert self._connection
        return self._connection.recv_bytes()

    def end(self) -> None:
        self.generation = -1
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._connection:
            self._connection.close()
            self._connection = None
