"""Stand-ins for servers that speak SPARQL and the Graph Store Protocol at paths of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pyoxigraph as ox

from tests.helpers.odd_server import Handler, OddServer, odd_server

_RESULTS = ox.QueryResultsFormat.JSON


class Kind(NamedTuple):
    """A kind of server.

    Attributes:
        base: The path of its address.
        sparql: The path for queries, below that.
        graph_store: The path for whole graphs; empty: it has none.
        update: The path for updates; empty: it has none.
        has_default: Whether it answers 200 for an empty default graph.
        deletes_nothing: The status for the deletion of a graph that is not there.
    """

    base: str
    sparql: str
    graph_store: str
    update: str
    has_default: bool = True
    deletes_nothing: int = 404


KINDS = {
    # Apache Jena Fuseki 5, a dataset called ds.
    "fuseki": Kind("/ds", "/sparql", "/data", "/update"),
    # oxigraph serve 0.5.
    "oxigraph": Kind("", "/query", "/store", "/update"),
    # RDF4J Server 5: queries at the repository itself, and a deletion of nothing is one.
    "rdf4j": Kind("/rdf4j-server/repositories/r", "", "/rdf-graphs/service", "/statements", deletes_nothing=204),
    # A server that says of an empty default graph that there is none.
    "without default": Kind("", "/query", "/store", "", has_default=False),
    # Blazegraph 2.1: one address for queries and updates, and no Graph Store Protocol.
    "blazegraph": Kind("/blazegraph/namespace/kb", "/sparql", "", "/sparql"),
    # Amazon Neptune (https://docs.aws.amazon.com/neptune/latest/userguide/sparql-graph-store-protocol.html).
    "neptune": Kind("", "/sparql", "/sparql/gsp/", ""),
    # A server without the Graph Store Protocol.
    "update alone": Kind("/bigdata", "/sparql", "", "/update"),
}


class Served:
    """A server of a kind, with its store."""

    def __init__(self, kind: Kind, server: OddServer) -> None:
        self.kind, self.server = kind, server
        self.store = ox.Store()
        self.url = server.url + kind.base
        self._lock = threading.Lock()
        paths = {kind.update: self._update, kind.graph_store: self._graph, kind.sparql: self._query}
        server.answers |= {kind.base + path: answer for path, answer in paths.items() if path or answer == self._query}

    def graphs(self) -> set[str]:
        return {graph.value for graph in self.store.named_graphs() if isinstance(graph, ox.NamedNode)}

    def _asked(self, request: Handler) -> tuple[dict[str, list[str]], bytes]:
        asked = self.server.asked[-1]
        return parse_qs(urlsplit(request.path).query, keep_blank_values=True), asked.body

    def _query(self, request: Handler) -> None:
        if request.headers.get("Content-Type") == "application/sparql-update" and self.kind.update == self.kind.sparql:
            self._update(request)
            return
        with self._lock:
            parameters, body = self._asked(request)
            text = dict(parse_qsl(body.decode())).get("query") or parameters["query"][0]
            found: Any = self.store.query(text)
            if isinstance(found, ox.QueryTriples):
                request.say(found.serialize(format=ox.RdfFormat.N_TRIPLES) or b"", Content_Type="application/n-triples")
            else:
                request.say(found.serialize(format=_RESULTS), Content_Type=_RESULTS.media_type)

    def _update(self, request: Handler) -> None:
        with self._lock:
            try:
                self.store.update(self._asked(request)[1].decode())
                request.say(status=204)
            except SyntaxError as error:
                request.say(str(error).encode(), 400)

    def _graph(self, request: Handler) -> None:
        with self._lock:
            parameters, body = self._asked(request)
            named = parameters.get("graph")
            graph: Any = ox.NamedNode(named[0]) if named else ox.DefaultGraph()
            quads = list(self.store.quads_for_pattern(None, None, None, graph))
            if request.command == "PUT":
                self.store.clear_graph(graph)
                self.store.load(body, format=ox.RdfFormat.N_TRIPLES, to_graph=graph)
                request.say(status=204 if quads else 201)
            elif request.command == "DELETE":
                self.store.remove_graph(graph)
                request.say(status=204 if quads else self.kind.deletes_nothing)
            elif quads or (named is None and self.kind.has_default):
                request.say(
                    self.store.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=graph) or b"",
                    Content_Type="application/n-triples",
                )
            else:
                request.say(b"there is no such graph", 404)


@contextmanager
def serving(kind: str) -> Iterator[Served]:
    """Run a server of a kind."""
    with odd_server() as server:
        yield Served(KINDS[kind], server)
