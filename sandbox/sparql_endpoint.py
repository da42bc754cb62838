"""The SPARQL 1.1 Protocol: queries and updates over HTTP (https://www.w3.org/TR/sparql11-protocol/)."""

from __future__ import annotations

import asyncio
import time
from io import BytesIO
from typing import Any, Literal, TypedDict

from aiohttp import web
from multidict import MultiMapping
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, QueryResultsFormat, QueryTriples, RdfFormat

from sandbox import media
from sandbox.outbound import reaches_out
from sandbox.storage import Storage
from sandbox.workers import Workers

LONGEST_OPERATION = 256 * 1024
"""The most characters of a query or update. The deepest nesting of this length still fits on `workers.DEEP_STACK`."""
LARGEST_ANSWER = 256 * 1024 * 1024
"""The most bytes of one answer."""


class Dataset(TypedDict, total=False):
    """The graphs of a query, if its sender chose them."""

    default_graph: list[NamedNode | BlankNode | DefaultGraph]
    named_graphs: list[NamedNode | BlankNode]


class Sparql:
    """`/catalogue/sparql`, its other name `/catalogue/query`, and `/catalogue/update`.

    Args:
        storage: The data.
        threads: The number of queries to evaluate at a time.
        timeout: Seconds that a query may take.
    """

    def __init__(self, storage: Storage, threads: int, timeout: float) -> None:
        self._storage = storage
        self._timeout = timeout
        self._workers = Workers("sparql", threads)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        queries = [
            route
            for path in ("/catalogue/sparql", "/catalogue/query")
            for route in (web.get(path, self._query), web.post(path, self._query))
        ]
        return [*queries, web.post("/catalogue/update", self._update)]

    def close(self) -> None:
        """Start no more queries."""
        self._workers.close()

    async def _query(self, request: web.Request) -> web.Response:
        text, parameters = await _operation(request, "query")
        dataset = _dataset(parameters)
        formats = (media.chosen(request, media.RESULT_FORMATS), media.chosen(request, media.GRAPH_FORMATS))
        try:
            return await self._workers.run(lambda: self._evaluate(text, dataset, *formats), within=self._timeout)
        except SyntaxError as error:
            raise web.HTTPBadRequest(text=f"The query is not SPARQL 1.1: {error.msg}")
        except (RuntimeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"The query cannot be answered: {error}")
        except (asyncio.TimeoutError, TimeoutError):
            raise web.HTTPServiceUnavailable(text=f"The query took more than {self._timeout:g} s. Narrow it.")

    def _evaluate(
        self,
        text: str,
        dataset: Dataset,
        results: tuple[str, QueryResultsFormat],
        graphs: tuple[str, RdfFormat],
    ) -> web.Response:
        answer = _BoundedAnswer(time.monotonic() + self._timeout)
        found = self._storage.store.query(text, **dataset)
        try:
            if isinstance(found, QueryTriples):
                media_type, graph_format = graphs
                found.serialize(answer, format=graph_format)
            else:
                media_type, result_format = results
                found.serialize(answer, format=result_format)
        finally:
            del found  # an error would take it to another thread, which cannot free it
        return media.answer(answer.getvalue(), media_type)

    async def _update(self, request: web.Request) -> web.Response:
        text, parameters = await _operation(request, "update")
        if "using-graph-uri" in parameters or "using-named-graph-uri" in parameters:
            raise web.HTTPBadRequest(text="This node does not take using-graph-uri: write USING into the update.")
        try:
            await self._storage.write(lambda: self._storage.store.update(text))
        except SyntaxError as error:
            raise web.HTTPBadRequest(text=f"The update is not SPARQL 1.1: {error.msg}")
        except (RuntimeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"The update cannot be done: {error}")
        return web.Response(status=204)


class _BoundedAnswer(BytesIO):
    """Collects an answer, and ends its evaluation when it is late or too large."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def write(self, data: Any) -> int:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        if self.tell() > LARGEST_ANSWER:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER} bytes. Give it a LIMIT.")
        return super().write(data)


async def _operation(request: web.Request, kind: Literal["query", "update"]) -> tuple[str, MultiMapping[Any]]:
    """Read the text of a query or update and its parameters, in any form of the protocol."""
    parameters: MultiMapping[Any] = request.query
    try:
        if request.method == "POST" and request.content_type == f"application/sparql-{kind}":
            texts = [(await request.read()).decode()]
        else:
            if request.method == "POST":
                if request.content_type != "application/x-www-form-urlencoded":
                    raise web.HTTPUnsupportedMediaType(
                        text=f"POST {kind}= as application/x-www-form-urlencoded, or application/sparql-{kind}."
                    )
                parameters = await request.post()
            texts = parameters.getall(kind, [])
    except (LookupError, UnicodeDecodeError):
        raise web.HTTPBadRequest(text="The body is not UTF-8.")
    if len(texts) != 1:
        raise web.HTTPBadRequest(text=f"Send one {kind}, not {len(texts)}.")
    _check(texts[0])
    return texts[0], parameters


def _check(text: str) -> None:
    if len(text) > LONGEST_OPERATION:
        raise web.HTTPRequestEntityTooLarge(
            max_size=LONGEST_OPERATION,
            actual_size=len(text),
            text=f"SPARQL of {len(text)} characters; {LONGEST_OPERATION} are the most. Load data at /catalogue/data.",
        )
    if keyword := reaches_out(text):
        raise web.HTTPForbidden(text=f"This node fetches nothing for others: {keyword} is switched off.")


def _dataset(parameters: MultiMapping[Any]) -> Dataset:
    # Either parameter replaces the whole dataset; the other part is empty then (protocol, 2.1.4).
    default, named = parameters.getall("default-graph-uri", []), parameters.getall("named-graph-uri", [])
    if not default and not named:
        return {}
    try:
        return {"default_graph": [NamedNode(iri) for iri in default], "named_graphs": [NamedNode(iri) for iri in named]}
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"A graph is not an absolute IRI: {error}")
