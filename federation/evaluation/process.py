"""A worker process that analyses and evaluates queries of strangers.

    python -m federation.evaluation.process FD BYTES FILES

A query can ask for endless work, overflow the parser's stack (5,000 opening braces end the process), or make the evaluator call
other servers (pyoxigraph does for SERVICE). So the server leaves all of that to this process: the server can end it, its memory
is bounded, and it can open no connection and no file. Only the worker for queries that may call other servers can.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import msgspec
import pyoxigraph

from federation.analysis.analyse import AnalysisTimeoutError, analyse
from federation.analysis.lexer import QueryText
from federation.errors import (
    FederationError,
    NotAcceptableError,
    NotEnoughError,
    QueryRefusedError,
    ServiceFailedError,
    TooLargeError,
)
from federation.evaluation.corrections import graph_by_graph, path_ends
from federation.evaluation.messages import Analyse, Evaluate, Evaluated, Failed, Job, Part, Planned, Reply
from federation.evaluation.output import ResultOutput
from federation.evaluation.quads import add_graphs, read_quads

# Seconds of processor time, which does not pass faster on a busy machine.
_ANALYSIS_SECONDS = 5.0
_MOST_SHOWN = 200
# Words in pyoxigraph's errors, and why the graph cannot be written.
_UNWRITABLE = {
    "JSON-LD does not support": "JSON-LD cannot write triple terms",
    "RDF/XML reserved syntax term": "RDF/XML cannot write names of its own syntax, such as rdf:li, as predicates",
}


def main() -> None:
    """Do jobs until the other end closes the connection."""
    descriptor, memory, files = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its workers
    logging.disable()  # rdflib warns of every odd literal in a query
    analyse("SELECT * { ?s ?p ?o }")  # the first use builds the grammar
    serve(Connection(descriptor), memory, files)


def serve(connection: Connection, memory: int, files: int = 0, store: pyoxigraph.Store | None = None) -> None:
    """Do jobs until the other end closes the connection, or this process's parent has ended.

    Args:
        connection: Brings the jobs.
        memory: Bytes of address space to grow by; 0: no bound.
        files: Files and connections that may be open besides this one.
        store: The store to evaluate all queries over; ``None``: a new one for each, of the quads in the job.
    """
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _confine(memory, files, shared=store is not None)
    decoder = msgspec.msgpack.Decoder(Job)
    encoder = msgspec.msgpack.Encoder()

    def send(reply: Reply) -> None:
        connection.send_bytes(encoder.encode(reply))

    with connection:
        while True:
            try:
                job = decoder.decode(connection.recv_bytes())
            except EOFError:
                return
            send(_do(job, store, send))


def _do(job: Job, given: pyoxigraph.Store | None, send: Callable[[Reply], None]) -> Reply:
    try:
        if isinstance(job, Analyse):
            return Planned(analyse(job.text, _time_for_analysis))
        store = _loaded(job.quads, job.graphs) if given is None else given
        with path_ends(store, job.path_ends, job.text):
            return Evaluated(_evaluate(job, store, lambda part: send(Part(part))))
    except FederationError as error:
        return Failed.of(error)
    except MemoryError:
        return Failed.of(TooLargeError("answering this query takes too much memory"))
    except Exception as error:  # one query's trouble must not reach the next one
        return Failed.of(QueryRefusedError(f"the query cannot be answered: {type(error).__name__}: {str(error)[:200]}"))


@contextmanager
def _time_for_analysis() -> Iterator[None]:
    """Bound the time of rdflib's parser: a plan without it is wide, and as right."""
    signal.signal(signal.SIGVTALRM, _give_up)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _ANALYSIS_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _give_up(number: int, frame: FrameType | None) -> None:
    raise AnalysisTimeoutError


def _loaded(quads: bytes, graphs: Iterable[str]) -> pyoxigraph.Store:
    """Load the quads that a query can match into a new store.

    The default graph is loaded as such: ``use_default_graph_as_union`` counts a triple once for each graph that has it, and so
    do several graphs in FROM clauses.
    """
    store = pyoxigraph.Store()
    store.extend(read_quads(quads))
    add_graphs(store, graphs)
    return store


def _evaluate(job: Evaluate, store: pyoxigraph.Store, send: Callable[[bytes], None]) -> bytes:
    """Evaluate a query over a store, serialise its result, send all parts of a large one but the last, and return the rest."""
    text = QueryText(job.text).with_outer_graphs()
    if job.graph_by_graph:
        text = graph_by_graph(text, [g.value for g in store.named_graphs() if isinstance(g, pyoxigraph.NamedNode)])
    if job.columns:
        text = QueryText(text).with_columns(job.columns)
    run = partial(
        store.query,
        text,
        default_graph=[pyoxigraph.DefaultGraph()] if job.stored_default_graph else None,
        named_graphs=None if job.named_graphs is None else [pyoxigraph.NamedNode(g) for g in job.named_graphs],
    )
    try:
        if job.at_least and not _has(run(), job.at_least):
            raise NotEnoughError(f"these quads give fewer than {job.at_least} rows")
        result = run()
        output = ResultOutput(job.media_type, job.max_bytes, job.stream_from, send)
        if isinstance(result, pyoxigraph.QueryTriples):
            result.serialize(output, pyoxigraph.RdfFormat.from_media_type(job.media_type))
        else:
            result.serialize(output, pyoxigraph.QueryResultsFormat.from_media_type(job.media_type))
        return output.rest()
    except (OSError, RuntimeError, ValueError, SyntaxError) as error:
        for words, reason in _UNWRITABLE.items():
            if words in str(error):
                raise NotAcceptableError(f"{reason}; ask for another format") from error
        if job.services and isinstance(error, OSError | RuntimeError):
            names = ", ".join(f"<{service[:_MOST_SHOWN]}>" for service in job.services)
            reason = str(error).partition(" with payload")[0]
            raise ServiceFailedError(f"SERVICE {names} failed: {reason[:_MOST_SHOWN]}") from error
        raise QueryRefusedError(f"the query cannot be evaluated: {error}") from error


def _has(result: object, rows: int) -> bool:
    """Return whether a result has so many rows, or is true."""
    if isinstance(result, pyoxigraph.QuerySolutions):
        return sum(1 for _ in islice(result, rows)) == rows
    return bool(result)


def _confine(memory: int, files: int, shared: bool) -> None:
    """Bound the memory, and the number of files and connections that may be open from now on.

    A bound on the memory comes on top of the memory that is shared with the parent.
    """
    if memory:
        memory += memory_taken().total if shared else 0
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # Descriptors 0 to 2 are taken, and a new one would have a higher number.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 + files, 3 + files))


class MemoryTaken(NamedTuple):
    """The memory of this process, in bytes.

    Attributes:
        total: Its address space.
        resident: The part of it that has been used.
    """

    total: int
    resident: int


def memory_taken() -> MemoryTaken:
    """Return the memory that this process takes."""
    total, resident, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return MemoryTaken(int(total) * resource.getpagesize(), int(resident) * resource.getpagesize())


def _end_with_parent(parent: int) -> None:
    """End when the server was killed, even during an endless query."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
