"""The sandbox's catalogue node: pyoxigraph behind the SEDIMARK catalogue API, SPARQL, and the Graph Store Protocol.

    python -m sandbox.node --port 3030

Its default graph is empty, as in Fuseki: queries find offerings within GRAPH only. It differs from Fuseki as pyoxigraph
does: with several FROM graphs, a triple in two of them counts twice.
"""

from __future__ import annotations

from pathlib import Path

import click
from aiohttp import web

from catena_core.finite_range import FiniteRange
from sandbox.faults import FaultInjection
from sandbox.graph_store import GraphStore
from sandbox.manager import Manager
from sandbox.serve import errors_as_json, json_response, listen, run, url_of
from sandbox.sparql_endpoint import Sparql
from sandbox.storage import Storage

MEBIBYTE = 1024 * 1024


def create_app(
    directory: Path | None = None,
    body_limit: int = 10 * MEBIBYTE,
    query_threads: int = 4,
    query_timeout: float = 60,
) -> web.Application:
    """Make the aiohttp application of a catalogue node.

    Args:
        directory: The directory of the data; ``None`` keeps it in memory.
        body_limit: The largest request body, in bytes; larger ones are refused with 413.
        query_threads: The number of queries to evaluate at a time.
        query_timeout: Seconds that a query may take.

    Raises:
        OSError: Another process has the directory open.
    """
    storage = Storage(directory)
    sparql = Sparql(storage, query_threads, query_timeout)
    faults = FaultInjection(lambda request: True)

    async def close(app: web.Application) -> None:
        sparql.close()
        storage.close()

    app = web.Application(middlewares=[errors_as_json, faults.middleware()], client_max_size=body_limit)
    app.on_cleanup.append(close)
    for endpoints in (Manager(storage), sparql, GraphStore(storage), faults):
        app.add_routes(endpoints.routes())
    app.router.add_get("/catalogue/health", _health)
    return app


async def _health(request: web.Request) -> web.Response:
    return json_response({"status": "healthy"})


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory to keep the data in. [default: in memory, gone at the end]",
    show_default=False,
)
@click.option(
    "--body-limit", default=10 * MEBIBYTE, type=click.IntRange(1), help="Largest request body to accept, in bytes."
)
@click.option("--query-threads", default=4, type=click.IntRange(1, 64), help="How many queries to evaluate at a time.")
@click.option(
    "--query-timeout", default=60.0, type=FiniteRange(0, min_open=True), help="Seconds until a query is given up."
)
def main(host: str, port: int, store: Path | None, body_limit: int, query_threads: int, query_timeout: float) -> None:
    """Run a small catalogue node, like a SEDIMARK catalogue server.

    \b
    PUT, POST  /catalogue/manager             stores each sedimark:Offering of the body as a graph
    GET        /catalogue/manager?graph=IRI   reads one
    DELETE     /catalogue/manager?graph=IRI   deletes one
    GET        /catalogue/graphs              lists them
    GET, POST  /catalogue/sparql              SPARQL 1.1 query (also /catalogue/query)
    POST       /catalogue/update              SPARQL 1.1 update
    any        /catalogue/data                Graph Store Protocol: ?graph=IRI, ?default, or the whole dataset
    GET        /catalogue/health
    PUT        /faults                        {"delay": seconds, "error_rate": 0..1, "status": 503, "hang": false,
                                               "paths": ["/"], "methods": []}
    """
    listening = listen(host, port)
    try:
        app = create_app(store, body_limit, query_threads, query_timeout)
    except OSError as error:
        raise click.ClickException(f"Cannot open the store in {store}: {error}")
    run(app, listening, f"node {url_of(listening)}/catalogue")


if __name__ == "__main__":
    main()
