"""The SEDIMARK catalogue API: stores, reads and deletes offerings, each as a named graph with its IRI."""

from __future__ import annotations

from datetime import datetime, timezone

from aiohttp import web
from pyoxigraph import NamedNode, Quad, RdfFormat

from sandbox import media, rdf
from sandbox.serve import json_response
from sandbox.storage import Storage


class Manager:
    """`/catalogue/manager` and `/catalogue/graphs`, as the SEDIMARK catalogue server answers them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.put("/catalogue/manager", self._put),
            web.post("/catalogue/manager", self._put),
            web.get("/catalogue/manager", self._get),
            web.delete("/catalogue/manager", self._delete),
            web.get("/catalogue/graphs", self._list),
        ]

    async def _put(self, request: web.Request) -> web.Response:
        body = await request.read()
        rdf_format = media.sent(request)
        quick = rdf.is_quick(body, rdf_format)
        try:
            graphs = await self._storage.run(lambda: offering_graphs(body, rdf_format), quick)
        except SyntaxError as error:
            raise web.HTTPBadRequest(text=f"The body is not {rdf_format.name}: {error.msg}")
        if not graphs:
            raise web.HTTPBadRequest(text=f"No offering found: nothing in the body is a {rdf.OFFERING.value}.")
        await self._storage.write(lambda: self._storage.replace(graphs.items()), quick)
        stored = [{"uri": graph.value, "statements": len(quads)} for graph, quads in graphs.items()]
        return json_response(
            {
                "status": "success",
                "message": "Offerings stored successfully",
                "storedOfferings": stored,
                "totalOfferings": len(stored),
            }
        )

    async def _get(self, request: web.Request) -> web.Response:
        graph = _named_graph(request)
        media_type, rdf_format = media.chosen(request, media.GRAPH_FORMATS)
        return media.answer(await self._storage.run(lambda: self._dump(graph, rdf_format)), media_type)

    async def _delete(self, request: web.Request) -> web.Response:
        graph = _named_graph(request)
        await self._storage.write(lambda: self._remove(graph), quick=True)
        return json_response({"status": "success", "message": f"Offering graph deleted: {graph.value}"})

    async def _list(self, request: web.Request) -> web.Response:
        graphs = await self._storage.run(self._storage.graphs)
        return json_response(
            {
                "status": "success",
                "message": "Retrieved offering graphs",
                "totalCount": len(graphs),
                "offerings": [{"uri": graph} for graph in graphs],
                "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )

    def _dump(self, graph: NamedNode, rdf_format: RdfFormat) -> bytes:
        self._require(graph)
        return self._storage.dump(rdf_format, graph)

    def _remove(self, graph: NamedNode) -> None:
        self._require(graph)
        self._storage.store.remove_graph(graph)

    def _require(self, graph: NamedNode) -> None:
        if not self._storage.has_graph(graph):
            raise web.HTTPNotFound(text=f"Graph not found: {graph.value}")


def _named_graph(request: web.Request) -> NamedNode:
    try:
        return NamedNode(request.query["graph"])
    except KeyError:
        raise web.HTTPBadRequest(text="Say which graph: /catalogue/manager?graph=IRI")
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"The graph is not an absolute IRI: {error}")


def offering_graphs(body: bytes, rdf_format: RdfFormat) -> dict[NamedNode, list[Quad]]:
    """Return the graphs that a catalogue server stores of a document: the reachable triples of each offering.

    Like that server, it stops at blank nodes and drops their triples.

    Raises:
        SyntaxError: The document is malformed.
    """
    index = rdf.DocumentIndex(rdf.parse_bounded(body, rdf_format))
    return {
        offering: [Quad(*statement, offering) for statement in index.reachable(offering, follow_blank_nodes=False)]
        for offering in index.offerings
    }
