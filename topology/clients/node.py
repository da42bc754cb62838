"""A client of one catalogue node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import pyoxigraph as ox

from topology.clients.http import Response, WebClient, WebError
from topology.clients.node_status import FailedError, RefusedError, check_status, check_trouble
from topology.json_errors import NOT_JSON
from topology.rdf.by_value import digest_by_value
from topology.rdf.json_ld import nests_deeper
from topology.rdf.offering_graph import digest, sorted_text, to_json_ld
from topology.records import Endpoints, NodeProtocol

_N_TRIPLES = "application/n-triples"
# SPARQL resolves \u escapes before it reads strings (section 19.2), and servers differ on \\u. So no update holds any.
_UNICODE_ESCAPE = re.compile(r"\\[uU]")
# pyoxigraph ends the process at some ten thousand nested triple terms. A node's other formats are not read at all.
_MOST_TRIPLE_TERMS = 1000
_DEEPEST = 100
# Jetty takes forms of 200,000 bytes; encoded in one, a byte takes up to three.
_MOST_ENCODED = 150_000
_NO_IRI_REFERENCE = re.compile(r'[\x00-\x20<>"{}|\\^`]')


class GraphWrite(NamedTuple):
    """A graph to replace or to delete.

    Attributes:
        graph: Its IRI.
        triples: The new content, as N-Triples without blank nodes; ``None`` deletes it.
    """

    graph: str
    triples: str | None

    @property
    def fits_update(self) -> bool:
        """True if an update can hold it as it is, for every server that reads SPARQL."""
        return not (_NO_IRI_REFERENCE.search(self.graph) or _UNICODE_ESCAPE.search(self.triples or ""))


class NodeClient:
    """Reads and writes graphs on one node, by the SEDIMARK catalogue API or by the SPARQL 1.1 Graph Store HTTP Protocol.

    Plain Fuseki, Oxigraph and RDF4J servers speak the second one (https://www.w3.org/TR/sparql11-http-rdf-update/). A node that
    has only SPARQL 1.1 Update is written to by that. All of them replace whole graphs, so a write may be repeated.

    Args:
        url: The node's endpoint, for instance ``http://host:3030/catalogue``.
        web: The HTTP client.
        protocol: The protocol for reading and writing graphs.
        endpoints: The node's endpoints; those that are not known have the names of the SEDIMARK catalogue and of Fuseki.
    """

    def __init__(
        self,
        url: str,
        web: WebClient,
        protocol: NodeProtocol = "sedimark",
        endpoints: Endpoints = Endpoints(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.url = url.rstrip("/")
        self._web = web
        self._protocol = protocol
        self._sparql = endpoints.sparql or f"{self.url}/sparql"
        self._update = endpoints.update
        self._graph_store = endpoints.graph_store
        if not self._graph_store and (protocol == "sedimark" or not self._update):
            self._graph_store = f"{self.url}/{'manager' if protocol == 'sedimark' else 'data'}"

    @property
    def takes_batches(self) -> bool:
        """True if the node takes several graphs in one request."""
        return bool(self._update)

    @property
    def keeps_offerings_only(self) -> bool:
        """True if a graph that it takes has to describe an offering."""
        return self._protocol == "sedimark" and not self._update

    def is_healthy(self) -> bool:
        """Tell whether the node can serve: ``/health`` does not deny it, and the smallest query is answered.

        Raises:
            WebError: The node does not answer in time.
        """
        if self.says_healthy() is False:
            return False
        try:
            self.check_queries()
        except FailedError:
            return False
        return True

    def says_healthy(self) -> bool | None:
        """Ask ``/health``; return ``None`` for a server without it, or that does not let this client ask it.

        Raises:
            WebError: The node does not answer in time.
        """
        status = self._web.request("GET", f"{self.url}/health").status
        return None if status in (401, 403, 404, 405) else status < 300

    def check_queries(self) -> None:
        """Ask the smallest query: a server may say that it is well, and answer with a page or an error.

        Raises:
            FailedError: The node does not answer it as SPARQL says.
            WebError: The node does not answer in time.
        """
        response = ask_anything(self._web, self._sparql)
        if not is_boolean(response):
            found = f"with status {response.status}"
            if response.status == 200:
                found = f"with {response.headers.get('content-type', 'something')}, not with a boolean in JSON"
            raise FailedError(f"{self._sparql} answers the smallest query {found}: {response.excerpt()}")

    def detect_protocol(self) -> NodeProtocol:
        """Detect the node's protocol: SEDIMARK catalogues list their offerings at ``/graphs``.

        Raises:
            FailedError: The node answers with an error of its own, which leaves its protocol open.
            WebError: The node does not answer in time.
        """
        response = self._web.request("GET", f"{self.url}/graphs", headers={"Accept": "application/json"})
        check_trouble(response)
        return "sedimark" if response.status == 200 and _is_listing(response) else "graph-store"

    def put(self, graph: str, triples: str) -> None:
        """Replace a graph.

        Args:
            graph: Its IRI.
            triples: Its content, as N-Triples without blank nodes.

        Raises:
            RefusedError: The node refuses the graph.
            FailedError: The node answers with an error of its own.
            WebError: The node does not answer.
        """
        if not self._graph_store:
            self.write([GraphWrite(graph, triples)])
            return
        if self._protocol == "sedimark":
            body, content_type = to_json_ld(triples), "application/ld+json"
        else:
            body, content_type = triples.encode(), _N_TRIPLES
        response = self._web.request("PUT", self._graph_url(graph), headers={"Content-Type": content_type}, body=body)
        check_status(response)

    def delete(self, graph: str) -> None:
        """Delete a graph, if there is one.

        Raises:
            RefusedError: The node refuses to delete it.
            FailedError: The node answers with an error of its own.
            WebError: The node does not answer.
        """
        if not self._graph_store:
            self.write([GraphWrite(graph, None)])
            return
        response = self._web.request("DELETE", self._graph_url(graph))
        if response.status not in _NO_GRAPH:
            check_status(response)

    def write(self, writes: Sequence[GraphWrite]) -> None:
        """Replace and delete graphs by one update; each graph stands in it once.

        Raises:
            RefusedError: The node refuses the update, or an update cannot hold one of the graphs.
            FailedError: The node answers with an error of its own.
            WebError: The node does not answer.
        """
        for write in writes:
            if not write.fits_update:
                raise RefusedError(f"an update cannot hold {write.graph}: it has Unicode escapes")
        drops = [f"DROP SILENT GRAPH <{write.graph}>" for write in writes]
        content = "".join(f"GRAPH <{write.graph}> {{\n{write.triples}}}\n" for write in writes if write.triples)
        text = ";\n".join([*drops, f"INSERT DATA {{\n{content}}}"] if content else drops)
        headers = {"Content-Type": "application/sparql-update"}
        check_status(self._web.request("POST", self._update, headers=headers, body=text.encode()))

    def get(self, graph: str) -> str | None:
        """Return a graph's content as N-Triples; ``None`` if there is no such graph.

        Raises:
            WebError: The node does not answer as it should.
        """
        headers = {"Accept": f"{_N_TRIPLES}, text/turtle;q=0.5"}
        if self._graph_store:
            response = self._web.request("GET", self._graph_url(graph), headers=headers)
        else:
            query = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}"
            response = self._web.request("GET", with_parameter(self._sparql, "query", query), headers=headers)
        if response.status in _NO_GRAPH:
            return None
        check_status(response)
        content_type = response.headers.get("content-type", _N_TRIPLES).split(";")[0].strip()
        parser = ox.RdfFormat.TURTLE if content_type.lower() == "text/turtle" else ox.RdfFormat.N_TRIPLES
        try:
            if response.body.count(b"<<") > _MOST_TRIPLE_TERMS:
                raise ValueError(f"it has more than {_MOST_TRIPLE_TERMS} triple terms")
            quads = ox.parse(response.body, format=parser, base_iri=graph)
            return "".join(f"{quad.triple} .\n" for quad in quads) or None
        except (SyntaxError, ValueError) as error:
            raise WebError(f"{self.url} serves {graph} as something else than RDF: {error}") from error

    def graphs(self) -> set[str]:
        """Return the IRIs of all graphs on the node.

        Raises:
            UnsafeError: There are too many.
            WebError: The node does not answer as it should.
        """
        return self._names("SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }")

    def holds(self, graphs: Iterable[str]) -> set[str]:
        """Return those of these graphs that the node holds, with at least one statement each.

        Raises:
            WebError: The node does not answer as it should.
        """
        found: set[str] = set()
        for some in _in_parts(graphs):
            found |= self._names(
                f"SELECT DISTINCT ?g {{ {_values(some)} FILTER EXISTS {{ GRAPH ?g {{ ?s ?p ?o }} }} }}"
            )
        return found

    def digests(self, graphs: Iterable[str], by_value: bool = False) -> dict[str, str]:
        """Return the digests of those of these graphs that the node holds, as of canonical graphs.

        Args:
            graphs: Their IRIs; few, since the node sends all their statements.
            by_value: Take literals by value, see :func:`~topology.rdf.by_value.digest_by_value`.

        Raises:
            UnsafeError: They are too large together.
            WebError: The node does not answer as it should.
        """
        body = self._select(f"SELECT ?g ?s ?p ?o {{ {_values(graphs)} GRAPH ?g {{ ?s ?p ?o }} }}")
        triples: dict[str, list[ox.Triple]] = {}
        try:
            if nests_deeper(body, _DEEPEST):
                raise ValueError(f"it nests more than {_DEEPEST} levels deep")
            solutions = ox.parse_query_results(body, ox.QueryResultsFormat.JSON)
            if not isinstance(solutions, ox.QuerySolutions):
                raise ValueError("it is no table")
            for solution in solutions:
                triples.setdefault(solution["g"].value, []).append(ox.Triple(*(solution[name] for name in "spo")))
        except (SyntaxError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WebError(f"{self.url} shows its graphs in an unknown way: {error}") from error
        digest_of = digest_by_value if by_value else digest
        return {graph: digest_of(sorted_text(statements)) for graph, statements in triples.items()}

    def _names(self, query: str) -> set[str]:
        body = self._select(query)
        try:
            return {binding.g.value for binding in msgspec.json.decode(body, type=_Solutions).results.bindings}
        except NOT_JSON as error:
            raise WebError(f"{self.url} lists its graphs in an unknown way: {error}") from error

    def _select(self, query: str) -> bytes:
        headers = {"Accept": "application/sparql-results+json", "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"query": query}).encode()
        response = self._web.request("POST", self._sparql, headers=headers, body=body)
        check_status(response)
        return response.body

    def _graph_url(self, graph: str) -> str:
        return with_parameter(self._graph_store, "graph", graph)


def ask_anything(web: WebClient, url: str) -> Response:
    """Ask a query that every store can answer.

    Raises:
        WebError: The server does not answer in time.
    """
    headers = {"Accept": "application/sparql-results+json"}
    return web.request("GET", with_parameter(url, "query", "ASK {}"), headers=headers)


def is_boolean(response: Response) -> bool:
    """Tell whether a response is the answer to an ASK query, in JSON."""
    try:
        said = msgspec.json.decode(response.body, type=dict[str, object]) if response.status == 200 else {}
    except NOT_JSON:
        return False
    return isinstance(said.get("boolean"), bool)


def with_parameter(url: str, name: str, value: str) -> str:
    """Add a parameter to an address, which may have others."""
    return f"{url}{'&' if '?' in url else '?'}{name}={quote(value, safe='')}"


_NO_GRAPH = frozenset({404, 410})


class _Term(msgspec.Struct):
    value: str


class _Binding(msgspec.Struct):
    g: _Term


class _Results(msgspec.Struct):
    bindings: list[_Binding]


class _Solutions(msgspec.Struct):
    results: _Results


def _values(graphs: Iterable[str]) -> str:
    return f"VALUES ?g {{ {' '.join(str(ox.NamedNode(graph)) for graph in graphs)} }}"


def _in_parts(graphs: Iterable[str]) -> Iterator[list[str]]:
    """Split IRIs into parts that fit into a request: strangers choose them, and may choose long ones."""
    part: list[str] = []
    encoded = 0
    for graph in graphs:
        size = 3 * len(graph.encode())
        if part and encoded + size > _MOST_ENCODED:
            yield part
            part, encoded = [], 0
        part.append(graph)
        encoded += size
    if part:
        yield part


def _is_listing(response: Response) -> bool:
    """Tell whether a response is a list of offerings, in any JSON shape."""
    try:
        return isinstance(msgspec.json.decode(response.body), dict | list)
    except NOT_JSON:
        return False
