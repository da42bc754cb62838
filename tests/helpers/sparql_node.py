"""A small SPARQL server for tests, in this process, which can be made to fail in the ways in which real ones do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pyoxigraph

_FORMATS = {
    "text/tab-separated-values": pyoxigraph.QueryResultsFormat.TSV,
    "application/sparql-results+json": pyoxigraph.QueryResultsFormat.JSON,
    "application/json": pyoxigraph.QueryResultsFormat.JSON,
    "application/sparql-results+xml": pyoxigraph.QueryResultsFormat.XML,
}
_EMPTY_GROUP = re.compile(r"GRAPH \?\w+ \{\s*\}")


class Node:
    """A store behind HTTP.

    Attributes:
        store: What it holds.
        url: Its query endpoint.
        queries: What it was asked.
        fault: How it fails: ``"error"`` (status 500), ``"busy"`` (503), ``"hang"`` (no answer), ``"cut"`` (half of an answer),
            ``"trickle"``, ``"lengthless"`` (all but the last row of TSV, and whole JSON, which end where the connection does),
            ``"wrong"`` (no table of results), ``"nonsense"`` (a table of what is no RDF), ``"long"`` (a term of 17 MiB),
            ``"once"`` (closes the connection once), ``"redirect URL"``, ``"endless"`` (row after row, in JSON), ``"limited"``
            (says that rows are missing), ``"bare"`` (TSV without question marks), ``"quoted"`` (TSV with every term between
            quotes, where TSV is welcome), ``"unmarked"`` (the same without brackets around a predicate),
            ``"latin"`` (no UTF-8), ``"repeated"`` (each row very often, except of counts),
            ``"empty group"`` (an empty group within GRAPH has one solution, whatever graphs there are, as in RDF4J), or not
            at all.
        media_type: The only format that it speaks.
    """

    def __init__(self) -> None:
        self.store = pyoxigraph.Store()
        self.queries: list[str] = []
        self.fault = ""
        self.media_type = "text/tab-separated-values"
        self.stopping = threading.Event()
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                direct = self.headers["Content-Type"] == "application/sparql-query"
                query = body if direct else parse_qs(body)["query"][0]
                node.queries.append(query)
                node.answer(self, query)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/sparql"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def put(self, graph: str, triples: Iterable[pyoxigraph.Triple]) -> None:
        """Replace a named graph."""
        name = pyoxigraph.NamedNode(graph)
        self.store.remove_graph(name)
        self.store.extend(pyoxigraph.Quad(t.subject, t.predicate, t.object, name) for t in triples)

    def delete(self, graph: str) -> None:
        """Delete a graph."""
        self.store.remove_graph(pyoxigraph.NamedNode(graph))

    def stop(self) -> None:
        """Stop listening."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler, query: str) -> None:
        """Answer a query, or fail as ``fault`` says."""
        if self.fault == "once":
            self.fault = ""
            request.close_connection = True
            return
        if self.fault == "hang":
            self.stopping.wait(3600)
            request.close_connection = True
            return
        if self.fault.startswith("redirect "):
            request.send_response(302)
            request.send_header("Location", self.fault.removeprefix("redirect "))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if self.fault == "endless":
            self._answer_without_end(request)
            return
        if self.fault == "empty group":
            query = _EMPTY_GROUP.sub("{}", query)
        solutions = self.store.query(query)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        body = solutions.serialize(format=_FORMATS[self.media_type])
        assert body is not None
        if self.fault == "nonsense":
            body = body.replace(b"<urn:p>\t1\t", b'<urn:p>\t"\\q"\t')
        if self.fault == "long":
            body = body.replace(b"<urn:p>\t1\t", b'<urn:p>\t"%b"\t' % (b"x" * 17 * 2**20))
        media_type = self.media_type
        if self.fault == "repeated" and "COUNT" not in query:
            head, _, rows = body.partition(b"\n")
            body = head + b"\n" + rows * (8 * 2**20 // max(len(rows), 1))
        if self.fault == "latin":
            body = body.replace(b"urn:s", b"urn:\xe9")
        if self.fault == "bare":
            head, _, rows = body.partition(b"\n")
            body = head.replace(b"?", b"") + b"\n" + rows
        elif self.fault == "quoted" and "tab-separated-values" in request.headers["Accept"]:
            body = body.replace(b"<", b'"').replace(b">", b'"').replace(b"?", b"")
        elif self.fault == "lengthless" and "tab-separated-values" in request.headers["Accept"]:
            body = body[: body.rindex(b"\n", 0, -1) + 1]
        elif self.fault == "unmarked" and "tab-separated-values" in request.headers["Accept"]:
            body = body.replace(b"<urn:p>", b"urn:p")
        elif self.fault in ("quoted", "lengthless", "unmarked"):
            media_type = "application/sparql-results+json"
            again = self.store.query(query)
            assert isinstance(again, pyoxigraph.QuerySolutions)
            body = again.serialize(format=_FORMATS[media_type]) or b""
        request.send_response({"error": 500, "busy": 503}.get(self.fault, 200))
        request.send_header("Content-Type", "text/html" if self.fault == "wrong" else media_type)
        if self.fault == "lengthless":
            request.send_header("Connection", "close")
        else:
            request.send_header("Content-Length", str(len(body)))
        if self.fault == "limited":
            request.send_header("X-SPARQL-MaxRows", "1")
        request.end_headers()
        if self.fault == "cut":
            request.wfile.write(body[: len(body) // 2])
            request.close_connection = True
        elif self.fault == "trickle":
            for byte in body:
                if self.stopping.is_set():
                    return
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                time.sleep(0.05)
        else:
            request.wfile.write(body)
        request.wfile.flush()

    def _answer_without_end(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        request.send_response(200)
        request.send_header("Content-Type", "application/sparql-results+json")
        request.send_header("Content-Length", str(2**40))
        request.end_headers()
        request.wfile.write(b'{"head":{"vars":["z"]},"results":{"bindings":[{}')
        number = 0
        with suppress(OSError):
            while not self.stopping.is_set():
                number += 1
                value = f"{number:x}".encode() * 1000
                request.wfile.write(b',\n{"z":{"type":"literal","value":"%s"}}' % value)


def put(node: Node, graph: str, turtle: str) -> None:
    """Replace a named graph of a node by what is written in Turtle."""
    node.put(graph, [quad.triple for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE)])


@contextmanager
def running_nodes(count: int) -> Iterator[list[Node]]:
    """Run some nodes, and stop them in the end."""
    nodes: list[Node] = []
    try:
        for _ in range(count):
            nodes.append(Node())
        yield nodes
    finally:
        for node in nodes:
            node.stop()
