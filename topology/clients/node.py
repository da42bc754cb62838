"""A client of one catalogue node."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import msgspec
import pyoxigraph as ox

from topology.clients.http import Response, WebClient, WebError
from topology.json_errors import NOT_JSON
from topology.rdf.offering_graph import to_json_ld
from topology.records import NodeProtocol

_GRAPHS = "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }"


class RefusedError(WebError):
    """The node refuses a request; repeating it would not help."""


class FailedError(WebError):
    """The node answers with an error of its own; it may be tried again."""


class NodeClient:
    """Reads and writes graphs on one node, by the SEDIMARK catalogue API or by the SPARQL 1.1 Graph Store HTTP Protocol.

    Plain Fuseki and Oxigraph servers speak the second one (https://www.w3.org/TR/sparql11-http-rdf-update/). Both protocols
    replace whole graphs, so a write may be repeated.

    Args:
        url: The node's endpoint, for instance ``http://host:3030/catalogue``.
        web: The HTTP client.
        protocol: The protocol for reading and writing graphs.
    """

    def __init__(self, url: str, web: WebClient, protocol: NodeProtocol = "sedimark") -> None:
        self.url = url.rstrip("/")
        self._web = web
        self._protocol = protocol

    def is_healthy(self) -> bool:
        """Tell whether the node can serve, by ``/health`` or, on servers without it, by the smallest query.

        Raises:
            WebError: The node does not answer in time.
        """
        status = self._web.request("GET", f"{self.url}/health").status
        if status in (404, 405):
            status = self._web.request("GET", f"{self.url}/sparql?query={quote('ASK {}')}").status
        return status < 300

    def detect_protocol(self) -> NodeProtocol:
        """Detect the node's protocol: SEDIMARK catalogues list their offerings at ``/graphs``.

        Raises:
            FailedError: The node answers with an error of its own, which leaves its protocol open.
            WebError: The node does not answer in time.
        """
        response = self._web.request("GET", f"{self.url}/graphs", headers={"Accept": "application/json"})
        if response.status == 429 or (response.status >= 500 and response.status != 501):
            self._check(response)
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
        if self._protocol == "sedimark":
            body, content_type = to_json_ld(triples), "application/ld+json"
        else:
            body, content_type = triples.encode(), "application/n-triples"
        response = self._web.request("PUT", self._graph_url(graph), headers={"Content-Type": content_type}, body=body)
        self._check(response)

    def delete(self, graph: str) -> None:
        """Delete a graph, if there is one.

        Raises:
            RefusedError: The node refuses to delete it.
            FailedError: The node answers with an error of its own.
            WebError: The node does not answer.
        """
        response = self._web.request("DELETE", self._graph_url(graph))
        if response.status != 404:
            self._check(response)

    def get(self, graph: str) -> str | None:
        """Return a graph's content as N-Triples; ``None`` if there is no such graph.

        Raises:
            WebError: The node does not answer as it should.
        """
        response = self._web.request(
            "GET", self._graph_url(graph), headers={"Accept": "application/n-triples, text/turtle;q=0.5"}
        )
        if response.status == 404:
            return None
        self._check(response)
        content_type = response.headers.get("content-type", "application/n-triples").split(";")[0].strip()
        parser = ox.RdfFormat.from_media_type(content_type) or ox.RdfFormat.N_TRIPLES
        try:
            quads = ox.parse(response.body, format=parser, base_iri=graph)
            return "".join(f"{quad.triple} .\n" for quad in quads)
        except (SyntaxError, ValueError) as error:
            raise WebError(f"{self.url} serves {graph} as something else than RDF: {error}") from error

    def graphs(self) -> set[str]:
        """Return the IRIs of all graphs on the node.

        Raises:
            WebError: The node does not answer as it should.
        """
        headers = {"Accept": "application/sparql-results+json"}
        response = self._web.request("GET", f"{self.url}/sparql?query={quote(_GRAPHS)}", headers=headers)
        self._check(response)
        try:
            return {binding.g.value for binding in msgspec.json.decode(response.body, type=_Solutions).results.bindings}
        except NOT_JSON as error:
            raise WebError(f"{self.url} lists its graphs in an unknown way: {error}") from error

    def _graph_url(self, graph: str) -> str:
        path = "manager" if self._protocol == "sedimark" else "data"
        return f"{self.url}/{path}?graph={quote(graph, safe='')}"

    def _check(self, response: Response) -> None:
        if response.status < 300:
            return
        said = response.body[:300].decode("utf-8", "replace").strip()
        problem = f"{urlsplit(response.url).netloc} answers with status {response.status}: {said}"
        # 408 and 429 ask for another attempt; the other 4xx blame the request itself.
        if 400 <= response.status < 500 and response.status not in (401, 403, 404, 408, 429):
            raise RefusedError(problem)
        raise FailedError(problem)


class _Term(msgspec.Struct):
    value: str


class _Binding(msgspec.Struct):
    g: _Term


class _Results(msgspec.Struct):
    bindings: list[_Binding]


class _Solutions(msgspec.Struct):
    results: _Results


def _is_listing(response: Response) -> bool:
    """Tell whether a response is a list of offerings, in any JSON shape."""
    try:
        return isinstance(msgspec.json.decode(response.body), dict | list)
    except NOT_JSON:
        return False
