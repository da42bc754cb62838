"""The SPARQL 1.1 Graph Store HTTP Protocol at `/catalogue/data` (https://www.w3.org/TR/sparql11-http-rdf-update/).

Without `?graph=` or `?default` a request is about the whole dataset, as in Apache Jena Fuseki.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from pyoxigraph import DefaultGraph, NamedNode, Quad, RdfFormat

from sandbox import media, rdf
from sandbox.storage import GraphName, Storage

PATH = "/catalogue/data"
SIMPLE_FORMATS = (RdfFormat.N_TRIPLES, RdfFormat.TURTLE)
"""Formats that hold one graph and take a parsing time linear in their length."""


class GraphStore:
    """Reads, replaces, extends and deletes graphs, which are stored unchanged, blank nodes included."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; HEAD is GET without the body."""
        return [
            web.get(PATH, self._get),
            web.put(PATH, self._put),
            web.post(PATH, self._post),
            web.delete(PATH, self._delete),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        graph = _graph(request)
        media_type, rdf_format = media.chosen(request, media.GRAPH_FORMATS if graph else media.DATASET_FORMATS)
        return media.answer(await self._storage.run(lambda: self._dump(graph, rdf_format)), media_type)

    async def _put(self, request: web.Request) -> web.Response:
        graph, rdf_format, body = _graph(request), media.sent(request), await request.read()
        quick = rdf.is_quick(body, rdf_format)
        if graph is not None and quick and rdf_format in SIMPLE_FORMATS:
            with _refusing_malformed(rdf_format):
                if await self._storage.write(lambda: self._load_new(graph, body, rdf_format), quick):
                    return _stored(existed=isinstance(graph, DefaultGraph))
        quads = await self._parsed(graph, body, rdf_format)
        if graph is None:
            await self._storage.write(lambda: self._replace_everything(quads), quick)
            return web.Response(status=204)
        return _stored(await self._storage.write(lambda: self._replace(graph, quads), quick))

    async def _post(self, request: web.Request) -> web.Response:
        graph, rdf_format, body = _graph(request), media.sent(request), await request.read()
        quads = await self._parsed(graph, body, rdf_format)
        return _stored(await self._storage.write(lambda: self._add(graph, quads), rdf.is_quick(body, rdf_format)))

    async def _delete(self, request: web.Request) -> web.Response:
        graph = _graph(request)
        if graph is None:
            raise web.HTTPBadRequest(text="Say which graph to delete: ?graph=IRI or ?default.")
        await self._storage.write(lambda: self._remove(graph), quick=True)
        return web.Response(status=204)

    async def _parsed(self, graph: GraphName | None, body: bytes, rdf_format: RdfFormat) -> list[Quad]:
        with _refusing_malformed(rdf_format):
            return await self._storage.run(lambda: _parse(body, rdf_format, graph), rdf.is_quick(body, rdf_format))

    def _dump(self, graph: GraphName | None, rdf_format: RdfFormat) -> bytes:
        self._require(graph)
        return self._storage.dump(rdf_format, graph)

    def _load_new(self, graph: GraphName, body: bytes, rdf_format: RdfFormat) -> bool:
        """Fill a graph if it is empty, with half the effort of quads that pass through Python.

        Returns:
            Whether it was empty.
        """
        if self._storage.has_graph(graph):
            return False
        rdf.check_nesting(body, rdf_format)
        self._storage.store.load(body, rdf_format, base_iri=_base_iri(graph), to_graph=graph)
        return True

    def _replace(self, graph: GraphName, quads: list[Quad]) -> bool:
        existed = self._exists(graph)
        self._storage.replace([(graph, quads)])
        return existed

    def _replace_everything(self, quads: list[Quad]) -> None:
        # Two transactions, since an update cannot name graphs by blank nodes, as quads can.
        self._storage.store.clear()
        self._storage.store.extend(quads)

    def _add(self, graph: GraphName | None, quads: list[Quad]) -> bool:
        existed = self._exists(graph)
        self._storage.store.extend(quads)
        return existed

    def _remove(self, graph: GraphName) -> None:
        self._require(graph)
        self._storage.store.remove_graph(graph)

    def _exists(self, graph: GraphName | None) -> bool:
        return not isinstance(graph, NamedNode) or self._storage.has_graph(graph)

    def _require(self, graph: GraphName | None) -> None:
        if not self._exists(graph):
            raise web.HTTPNotFound(text=f"Graph not found: {graph}")


def _graph(request: web.Request) -> GraphName | None:
    if "default" in request.query:
        return DefaultGraph()
    iri = request.query.get("graph")
    if iri is None:
        return None
    try:
        return NamedNode(iri)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"The graph is not an absolute IRI: {error}")


def _parse(body: bytes, rdf_format: RdfFormat, graph: GraphName | None) -> list[Quad]:
    if graph is None:
        return rdf.parse_bounded(body, rdf_format)
    quads = rdf.parse_bounded(body, rdf_format, _base_iri(graph), named_graphs=False)
    return [Quad(quad.subject, quad.predicate, quad.object, graph) for quad in quads]


def _base_iri(graph: GraphName) -> str | None:
    # Relative IRIs are relative to the graph that the request is about (4.1 and 5.2 of the protocol).
    return graph.value if isinstance(graph, NamedNode) else None


@contextmanager
def _refusing_malformed(rdf_format: RdfFormat) -> Iterator[None]:
    try:
        yield
    except SyntaxError as error:
        raise web.HTTPBadRequest(text=f"The body is not {rdf_format.name}: {error.msg}")


def _stored(existed: bool) -> web.Response:
    return web.Response(status=204 if existed else 201)
