"""``catena explain``: shows how a gateway answers a query, and where the time goes."""

from __future__ import annotations

import json
import shutil
import sys
from typing import BinaryIO
from urllib.parse import urlencode

import click
import msgspec

from catena_core.text import printable
from federation.protocol.explain import Explanation, as_text
from topology.cli.gateway import Gateway, errors_in_words, problem_of, url_option
from topology.cli.query_text import problem_in_query, query_argument, query_text
from topology.clients.http import Response

_MOST_WIDTH = 160


@click.command("explain")
@query_argument
@url_option
@click.option("--accept", default="*/*", metavar="TYPE", help="The media type to ask for, as in an Accept header.")
@click.option("--no-cache", is_flag=True, help="Go past all caches: see what the query costs when nothing was kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines, with every query in full.")
def explain(
    query: str | None, file: BinaryIO | None, url: str | None, accept: str, no_cache: bool, as_json: bool
) -> None:
    """Run a SPARQL query at a gateway, and show the steps of the answer in place of its result.

    Shown are the tier (view: answered from the gateway's own store of every graph; A: joined and filtered at the nodes; B:
    matching triples pulled from them), why it is this one, every step with its rows, bytes and time, and what each node was
    asked. A query that was asked shortly before may be answered from a cache, in which case there is little to see: --no-cache.

    QUERY is the query's text, or - to read it from stdin. HOST_ADDRESS, HOST_PORT and SPARQL_TIMEOUT, from the environment or
    from .env, say where this machine's gateway is and how long to wait for it.

    \b
    Examples:
      catena explain 'SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }'
      catena explain -f search.rq --no-cache
      catena explain -u http://gateway:3030 --accept text/turtle 'DESCRIBE <urn:offering:1>'
      cat search.rq | catena explain --json - | jq '.steps[] | [.node, .rows, .milliseconds]'
    """
    text = query_text(query, file)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": accept}
    if no_cache:
        headers["Cache-Control"] = "no-cache"
    body = urlencode({"query": text, "explain": "json"}, errors="replace").encode()
    with errors_in_words():
        answer = Gateway(url).request("POST", "/sparql", headers, body)
    if answer.status != 200:
        raise click.ClickException(problem_in_query(problem_of(answer), text))
    explanation = _explanation(answer)
    if as_json:
        click.echo(json.dumps(explanation, indent=2))  # in ASCII, so that it is harmless on a terminal as well
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, _MOST_WIDTH) if sys.stdout.isatty() else 100
        click.echo(as_text(explanation, width), nl=False)


def _explanation(answer: Response) -> Explanation:
    try:
        return msgspec.json.decode(answer.body, type=Explanation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{printable(answer.url)} answers, but not with an explanation: it is no gateway of Catena, or one of another "
            f"version ({printable(str(error))})"
        ) from error
