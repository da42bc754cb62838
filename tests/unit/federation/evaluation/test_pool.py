"""The processes that meet strangers' queries."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import msgspec
import pytest

from federation.budget import Budget, Limits
from federation.errors import (
    QueryCancelledError,
    QueryRefusedError,
    QuerySyntaxError,
    QueryTimeoutError,
    ServerStoppingError,
    TooLargeError,
)
from federation.evaluation.messages import Evaluate
from federation.evaluation.pool import Process, Worker, WorkerPool, spawn
from tests.helpers.evaluation import ENDLESS, QUADS, job, soon
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    workers = WorkerPool(1, 1024**3)
    yield workers
    workers.close()


def works(workers: WorkerPool) -> bool:
    return b'"true"' in workers.evaluate(job("SELECT (1 = 1 AS ?yes) {}"), soon()).body.replace(b"true", b'"true"')


def test_analyses_and_evaluates(workers: WorkerPool) -> None:
    assert workers.analyse("ASK { ?s ?p ?o }", soon()).form == "ASK"
    assert b'"3000"' in workers.evaluate(job("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", QUADS), soon()).body
    assert b"urn:g" in workers.evaluate(job("SELECT * { GRAPH ?g {} }", graphs=("urn:g",)), soon()).body


def test_errors_come_back_as_they_were(workers: WorkerPool) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        workers.analyse("SELECT ?x {\n} LIMIT x", soon())
    assert (caught.value.line, caught.value.column) == (2, 9)
    assert works(workers)


def test_an_endless_query_is_ended(workers: WorkerPool) -> None:
    with pytest.raises(QueryTimeoutError, match="evaluation"):
        workers.evaluate(job(ENDLESS, QUADS), soon(1))
    assert works(workers)


def test_waiting_for_a_worker_ends_too(workers: WorkerPool) -> None:
    gone = threading.Event()

    def endless() -> None:
        with pytest.raises(QueryCancelledError):
            workers.evaluate(job(ENDLESS, QUADS), Budget(300, Limits(), gone.is_set))

    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(endless)
        eventually(workers._idle.empty)
        with pytest.raises(QueryTimeoutError, match="other queries"):
            workers.analyse("ASK {}", soon(0.5))
        gone.set()
        ended.result()
    assert works(workers)


def test_a_query_that_a_stop_ends_is_not_blamed() -> None:
    pool = WorkerPool(1, 1024**3)
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(pool.evaluate, job(ENDLESS, QUADS), soon())
        eventually(pool._idle.empty)
        waiting = threads.submit(pool.analyse, "ASK {}", soon())
        pool.close()
        for ended in (running, waiting):
            with pytest.raises(ServerStoppingError):
                ended.result()
    assert not pool._all[0].is_alive()


def test_a_worker_that_was_stopped_while_it_started_ends() -> None:
    def start() -> tuple[Process, Connection]:
        worker.stop()  # as another thread may
        return spawn("federation.evaluation.process", 1024**3, 0)

    worker = Worker(start)
    with pytest.raises(ServerStoppingError):
        worker.connection()
    assert not worker.is_alive()


def test_a_query_that_ends_its_process_is_refused(workers: WorkerPool) -> None:
    with pytest.raises(TooLargeError, match="nested too deeply"):
        workers.analyse("SELECT * " + "{" * 100_000 + "}" * 100_000, soon())
    assert works(workers)


def test_a_query_that_needs_too_much_memory_is_refused(workers: WorkerPool) -> None:
    with pytest.raises(TooLargeError, match="memory"):
        workers.evaluate(job("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } ORDER BY ?a", QUADS), soon(120))
    assert works(workers)


EVERYTHING = "SELECT * { ?s ?p ?o }"
ALL_PAIRS = "SELECT * { ?a ?b ?c . ?d ?e ?f }"


def streamed(text: str, max_bytes: int = 10**9) -> Evaluate:
    return msgspec.structs.replace(job(text, QUADS, max_bytes), stream_from=1000)


def test_a_large_result_comes_in_parts(workers: WorkerPool) -> None:
    whole = workers.evaluate(job(EVERYTHING, QUADS), soon())
    result = workers.evaluate(streamed(EVERYTHING), soon())
    assert whole.rest is None
    assert result.rest is not None
    assert workers._idle.empty()

    assert result.body + b"".join(result.rest) == whole.body
    assert (result.rest.is_over, list(result.rest)) == (True, [])
    assert workers.evaluate(streamed(EVERYTHING + " LIMIT 1"), soon()).rest is None
    assert works(workers)


def test_an_error_between_the_parts_is_raised(workers: WorkerPool) -> None:
    rest = workers.evaluate(streamed(ALL_PAIRS, max_bytes=10**6), soon()).rest
    assert rest is not None
    with pytest.raises(TooLargeError):
        list(rest)
    assert list(rest) == []
    assert works(workers)


def test_a_worker_is_free_once_a_result_is_closed(workers: WorkerPool) -> None:
    rest = workers.evaluate(streamed(ALL_PAIRS), soon()).rest
    assert rest is not None
    next(rest)
    rest.close()
    rest.close()
    assert works(workers)


def test_a_worker_is_free_once_a_client_has_gone(workers: WorkerPool) -> None:
    gone = threading.Event()
    rest = workers.evaluate(streamed(ALL_PAIRS), Budget(300, Limits(), gone.is_set)).rest
    assert rest is not None
    gone.set()
    with pytest.raises(QueryCancelledError):
        list(rest)
    assert works(workers)


def test_a_query_that_rdflib_takes_too_long_for_is_answered_with_a_wide_plan(workers: WorkerPool) -> None:
    values = " ".join(f"<urn:{n}>" for n in range(500_000))
    plan = workers.analyse(f"SELECT * {{ ?s ?p ?o VALUES ?s {{ {values} }} }}", soon())
    assert "too long" in plan.pulls_everything
    assert not workers.analyse("SELECT * { ?s <urn:p> ?o }", soon()).pulls_everything


def test_time_in_which_a_worker_does_not_run_is_not_its_analysis() -> None:
    """As on a busy machine: plans are kept, so a wide one would be felt long after."""
    workers = WorkerPool(1, 0)
    try:
        process = workers._all[0]._process
        assert isinstance(process, subprocess.Popen)
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(7, os.kill, (process.pid, signal.SIGCONT)).start()
        assert not workers.analyse("SELECT * { ?s <urn:p> ?o }", soon()).pulls_everything
    finally:
        workers.close()


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    workers = WorkerPool(1, 0)
    try:
        assert works(workers)
        process = workers._all[0]._process
        assert isinstance(process, subprocess.Popen)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert works(workers)
    finally:
        workers.close()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
        "SELECT * { SERVICE SILENT <URL> { ?s ?p ?o } }",
        "SELECT * { VALUES ?x { <URL> } SERVICE ?x { ?s ?p ?o } }",
    ],
)
def test_no_query_reaches_another_server(workers: WorkerPool, text: str) -> None:
    """`SERVICE` is refused before; should it be hidden well enough, the process cannot open a connection."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        for host in ("127.0.0.1", "localhost"):
            try:
                workers.evaluate(job(text.replace("URL", f"http://{host}:{server.server_port}/")), soon())
            except QueryRefusedError as error:
                assert "cannot be evaluated" in str(error)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert asked == []


def test_processes_end_with_their_server() -> None:
    """Also in the middle of work, and when the server had no time to tell them."""
    script = textwrap.dedent("""
        import threading, time
        from tests.helpers.evaluation import ENDLESS, QUADS, job, soon
        from tests.helpers.waiting import eventually
        from federation.evaluation.pool import WorkerPool
        workers = WorkerPool(2, 0)
        workers.analyse("ASK {}", soon())
        threading.Thread(target=lambda: workers.evaluate(job(ENDLESS, QUADS), soon()), daemon=True).start()
        eventually(lambda: workers._idle.qsize() == 1)
        print(*(worker._process.pid for worker in workers._all), flush=True)
        time.sleep(600)
    """)
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        processes = [int(number) for number in server.stdout.readline().split()]
        assert len(processes) == 2
    finally:
        server.kill()
        server.wait()
    eventually(lambda: not any(map(_lives, processes)))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return not status.stdout.startswith("Z")
