"""``catena explain``: how a gateway answers a query, and where its time goes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urlsplit

import click
import msgspec
from dotenv import dotenv_values
from rich.cells import cell_len

from catena_core.errors import CatenaError, UsageError
from catena_core.text import printable
from federation.protocol.explain import Explanation, as_text
from topology import settings
from topology.clients.http import Response, UnsafeError, WebClient, WebError

# Gateways read no more of a request, and say themselves what they waited for.
_MOST_QUERY_BYTES = 1024 * 1024
_MOST_ANSWER_BYTES = 64 * 1024 * 1024
_SECONDS_BEYOND_TIMEOUT = 10.0
_MOST_WIDTH = 160
_SHOWN_OF_ANSWER = 300
_FORM = "application/x-www-form-urlencoded"


class _Problem(msgspec.Struct):
    """An error as gateways tell it (RFC 9457)."""

    detail: str
    line: int = 0
    column: int = 0


@click.command("explain")
@click.argument("query", required=False, metavar="[QUERY]")
@click.option("-f", "--file", type=click.File("rb"), metavar="FILE", help="Read the query from a file; -: from stdin.")
@click.option(
    "-u",
    "--url",
    metavar="URL",
    help="The gateway, with or without the path of its SPARQL endpoint.  [default: this machine's, at HOST_PORT]",
)
@click.option("--accept", default="*/*", metavar="TYPE", help="The media type to ask for, as in an Accept header.")
@click.option("--no-cache", is_flag=True, help="Go past all caches: see what the query costs when nothing was kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines, with every query in full.")
def explain(
    query: str | None, file: BinaryIO | None, url: str | None, accept: str, no_cache: bool, as_json: bool
) -> None:
    """Run a SPARQL query at a gateway, and show what was done for it in place of its result.

    Shown are the tier (A: joined and filtered at the nodes; B: matching triples pulled from them; kept: answered from triples
    of earlier queries), why it is this one, every step with its rows, bytes and time, and what each node was asked. A query
    that was asked shortly before may be answered from a cache, in which case there is little to see: --no-cache.

    QUERY is the query's text, or - to read it from stdin. HOST_ADDRESS, HOST_PORT and SPARQL_TIMEOUT, from the environment or
    from .env, say where this machine's gateway is and how long to wait for it.

    \b
    Examples:
      catena explain 'SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }'
      catena explain -f search.rq --no-cache
      catena explain -u http://gateway:3030 --accept text/turtle 'DESCRIBE <urn:offering:1>'
      cat search.rq | catena explain --json - | jq '.steps[] | [.node, .rows, .milliseconds]'
    """
    text = _text(query, file)
    try:
        own, seconds = _own_gateway()
        endpoint = _endpoint(url or own)
        answer = _ask(endpoint, text, seconds + _SECONDS_BEYOND_TIMEOUT, accept, no_cache)
    except UnsafeError as error:
        raise click.ClickException(printable(str(error))) from error
    except WebError as error:
        raise click.ClickException(
            f"no answer from a gateway: {printable(str(error))}\n"
            "'catena up' starts one on this machine; -u URL names another one"
        ) from error
    except CatenaError as error:
        raise click.ClickException(str(error)) from error
    if answer.status != 200:
        raise click.ClickException(_complaint(answer, text))
    explanation = _explanation(answer)
    if as_json:
        click.echo(json.dumps(explanation, indent=2))  # in ASCII, so that it is harmless on a terminal as well
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, _MOST_WIDTH) if sys.stdout.isatty() else 100
        click.echo(as_text(explanation, width), nl=False)


# The query


def _text(query: str | None, file: BinaryIO | None) -> str:
    if (query is None) == (file is None):
        raise click.UsageError("give one query: its text, -f FILE, or - to read it from stdin")
    if query is not None and query != "-":
        if "{" not in query and len(query) < 1000 and _is_file(query):
            raise click.UsageError(
                f"{printable(query)} is a file; to read the query from it, say -f {printable(query)}"
            )
        return query
    stream = sys.stdin.buffer if file is None else file
    content = stream.read(_MOST_QUERY_BYTES + 1)
    if len(content) > _MOST_QUERY_BYTES:
        raise click.ClickException(f"the query has more than the {_MOST_QUERY_BYTES:,} bytes that a gateway reads")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"the query is not in UTF-8: byte {error.start + 1:,} cannot be read") from error
    if not text.strip():
        raise click.UsageError("the query is empty")
    return text


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


# The gateway


def _own_gateway() -> tuple[str, float]:
    """This machine's gateway, and how many seconds a query may take there.

    Only the settings that matter here are read: that others cannot be used is no reason not to explain.
    """
    names = ("HOST_ADDRESS", "HOST_PORT", "SPARQL_TIMEOUT")
    variables = {**dotenv_values(".env"), **os.environ}
    own = settings.load({name: value for name in names if (value := variables.get(name))}, file=os.devnull)
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(own.host_address, own.host_address)
    return f"http://{f'[{host}]' if ':' in host else host}:{own.host_port}", own.sparql_timeout


def _endpoint(url: str) -> str:
    """The SPARQL endpoint of a gateway, whichever part of its address was given."""
    address = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"-u {printable(url)}: {error}") from error
    if port == 0:
        raise UsageError(
            "HOST_PORT=0 lets the gateway take any free port; say which one it took: -u http://localhost:PORT"
        )
    path = parts.path.rstrip("/")
    return parts._replace(path=path if path.endswith("/sparql") else f"{path}/sparql", query="", fragment="").geturl()


def _ask(endpoint: str, text: str, seconds: float, accept: str, no_cache: bool) -> Response:
    headers = {"Content-Type": _FORM, "Accept": accept, **({"Cache-Control": "no-cache"} if no_cache else {})}
    body = urlencode({"query": text, "explain": "json"}, errors="replace").encode()
    return WebClient(seconds, _MOST_ANSWER_BYTES).request("POST", endpoint, headers=headers, body=body)


def _explanation(answer: Response) -> Explanation:
    try:
        return msgspec.json.decode(answer.body, type=Explanation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{printable(answer.url)} answers, but not with an explanation: it is no gateway of Catena, or one of another "
            f"version ({printable(str(error))})"
        ) from error


# What is wrong


def _complaint(answer: Response, text: str) -> str:
    """What a gateway says against a query, with the place that it means."""
    if answer.status == 404:
        return f"there is no SPARQL endpoint at {printable(answer.url)}; -u takes a gateway's address, as http://localhost:3030"
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = " ".join(answer.body[:_SHOWN_OF_ANSWER].decode("utf-8", "replace").split())
        return f"{printable(answer.url)} answers with status {answer.status}: {printable(said) or 'nothing more'}"
    said = printable(problem.detail)
    if answer.status == 400 and problem.line > 0 and problem.column > 0:
        return f"{said}\n\n{_excerpt(text, problem.line, problem.column)}"
    return f"{said} (status {answer.status})"


def _excerpt(text: str, line: int, column: int) -> str:
    """The line of a query, the one before it, and a caret below a character, both counted from 1."""
    lines = text.split("\n")
    if line > len(lines):
        return ""
    margin = len(str(line))
    shown = []
    if line > 1:
        shown.append(f"{line - 1:>{margin + 2}} | {_shown(lines[line - 2][:_MOST_WIDTH])}".rstrip())
    # Of a long line the part around the place is enough.
    first = max(column - 1 - 60, 0)
    before, after = lines[line - 1][first : column - 1], lines[line - 1][column - 1 : column - 1 + 30]
    before, after = ("… " if first else "") + _shown(before), _shown(after)
    cut = " …" if len(lines[line - 1]) > column + 29 else ""
    shown.append(f"{line:>{margin + 2}} | {before}{after}{cut}".rstrip())
    shown.append(f"{'':>{margin + 2}} | {' ' * cell_len(before)}^")
    return "\n".join(shown)


def _shown(text: str) -> str:
    return printable(text.rstrip("\r").replace("\t", "    "))
