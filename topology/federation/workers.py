"""The pool of worker processes."""

from __future__ import annotations

import math
import os
import queue
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection

import msgspec

from topology.federation.errors import QueryRefused, QueryTimeout, TooLarge
from topology.federation.jobs import Analyse, Evaluate, Evaluated, Failed, Job, Planned, Reply
from topology.federation.plan import Plan

_ANALYSIS_SECONDS = 5.0


class Workers:
    """Processes that analyse and evaluate queries, each one job at a time. May be used by many threads.

    Args:
        count: How many there are.
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
            self._idle.put(worker)

    def analyse(self, text: str, deadline: float) -> Plan:
        """Read a query.

        Args:
            text: What was sent as a query.
            deadline: When to give up, by ``time.monotonic()``.

        Raises:
            QuerySyntaxError: It is none.
            QueryRefused: It is not one to answer.
            QueryTimeout: Reading it, or waiting for a worker, took too long.
        """
        try:
            reply = self._do(Analyse(text), deadline, "the query's analysis", _ANALYSIS_SECONDS)
        except QueryTimeout:
            if time.monotonic() >= deadline:
                raise
            # rdflib's parser takes exponential time for some nestings; without it the plan is wide, and as right.
            reply = self._do(Analyse(text, deeply=False), deadline, "the query's analysis")
        assert isinstance(reply, Planned)
        return reply.plan

    def evaluate(self, job: Evaluate, deadline: float) -> bytes:
        """Run a query over the quads that it can see.

        Args:
            job: The query and the quads.
            deadline: When to give up, by ``time.monotonic()``.

        Raises:
            QueryRefused: It cannot be evaluated, or not within the bounds.
            QueryTimeout: It took too long.
        """
        reply = self._do(job, deadline, "the query's evaluation")
        assert isinstance(reply, Evaluated)
        return reply.body

    def close(self) -> None:
        """End all processes, at work or not; no more jobs are done."""
        self._closed = True
        for worker in self._all:
            worker.end()

    def _do(self, job: Job, deadline: float, what: str, most_seconds: float = math.inf) -> Reply:
        try:
            worker = self._idle.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise QueryTimeout(f"waited for other queries to end before {what}") from None
        try:
            if self._closed:
                raise QueryRefused("this server is stopping")
            answer = worker.ask(self._encoder.encode(job), min(deadline, time.monotonic() + most_seconds))
        except TimeoutError:
            worker.end()
            raise QueryTimeout(f"waited for {what}") from None
        except (EOFError, OSError):
            worker.end()
            raise TooLarge("the query ended its evaluator: it takes too much memory, or is nested too deeply") from None
        except BaseException:
            worker.end()
            raise
        finally:
            self._idle.put(worker)
        reply: Reply = self._decoder.decode(answer)
        if isinstance(reply, Failed):
            raise reply.error()
        return reply


class _Worker:
    """One process, started again when it was ended."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._start()

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "topology.federation.worker", str(theirs.fileno()), str(self._memory)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._connection = Connection(ours.detach())
        return self._connection

    def ask(self, job: bytes, deadline: float) -> bytes:
        if self._process and self._process.poll() is not None:
            self.end()  # it died while it was idle
        connection = self._connection or self._start()
        connection.send_bytes(job)
        if not connection.poll(max(deadline - time.monotonic(), 0)):
            raise TimeoutError
        return connection.recv_bytes()

    def end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._connection:
            self._connection.close()
            self._connection = None
