"""``catena query``: asks a gateway a SPARQL query, and shows the result."""

from __future__ import annotations

import difflib
import sys
from typing import Any, BinaryIO
from urllib.parse import urlencode

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catena_core.text import printable
from federation.analysis.plan import Form
from federation.protocol.negotiation import GRAPH_NAMES, SOLUTION_NAMES, media_type_named
from federation.protocol.sparql import COMPLETENESS
from topology.cli.completion import one_of
from topology.cli.gateway import Gateway, errors_in_words, problem_of, url_option
from topology.cli.grid import console
from topology.cli.query_text import problem_in_query, query_argument, query_text

_RESULTS = "application/sparql-results+json"
_MOST_ROWS = 1000
_PARTIAL_STATUS = 3
_PARTS = ("subject", "predicate", "object")
_MOST_NESTED = 10
_NAMES = sorted({*SOLUTION_NAMES, *GRAPH_NAMES})


class _Head(msgspec.Struct):
    vars: list[str] = []


class _Bindings(msgspec.Struct):
    bindings: list[dict[str, dict[str, Any]]]


class _Results(msgspec.Struct):
    """A result of SELECT or ASK (SPARQL 1.1 Query Results JSON Format)."""

    head: _Head
    results: _Bindings | None = None
    boolean: bool | None = None


@click.command("query")
@query_argument
@url_option
@click.option(
    "-F",
    "--format",
    "name",
    metavar="NAME",
    shell_complete=one_of(_NAMES),
    help="csv, tsv, json, xml, turtle, ntriples, … as the gateway knows them.  [default: a table on a terminal, else csv; "
    "turtle for CONSTRUCT and DESCRIBE]",
)
@click.option("--no-cache", is_flag=True, help="Go past all caches.")
@click.option("--complete", is_flag=True, help=f"End with status {_PARTIAL_STATUS} if graphs may be missing.")
def query(
    query: str | None, file: BinaryIO | None, url: str | None, name: str | None, no_cache: bool, complete: bool
) -> None:
    """Run a SPARQL query at a gateway, and show its result.

    QUERY is the query's text, or - to read it from stdin. A warning on stderr says when graphs may be missing, since nodes did
    not answer. HOST_ADDRESS, HOST_PORT and SPARQL_TIMEOUT, from the environment or from .env, say where this machine's gateway
    is and how long to wait for it.

    \b
    Examples:
      catena query 'SELECT ?g (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?g ORDER BY DESC(?n) LIMIT 10'
      catena query -f search.rq -F csv > found.csv
      catena query -u http://gateway:3030 'DESCRIBE <https://provider.example/offerings/1>'
      cat search.rq | catena query -F json - | jq '.results.bindings[].title.value'
    """
    text = query_text(query, file)
    formats = () if name is None else _formats(name)
    as_table = name is None and _is_terminal()
    parameters = {"query": text, **({"format": name} if name else {})}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": f"{_RESULTS if as_table else 'text/csv'}, text/turtle;q=0.9",
        **({"Cache-Control": "no-cache"} if no_cache else {}),
    }
    errors = Console(stderr=True, highlight=False)
    with errors_in_words(), errors.status("waiting for the answer …"):
        answer = Gateway(url).request("POST", "/sparql", headers, urlencode(parameters, errors="replace").encode())
    if answer.status != 200:
        raise click.ClickException(problem_in_query(problem_of(answer), text))
    content_type = answer.headers.get("content-type", "").partition(";")[0]
    if formats and content_type not in formats:
        names = SOLUTION_NAMES if content_type in SOLUTION_NAMES.values() else GRAPH_NAMES
        raise click.UsageError(
            f"-F {name} is no format of this query's answer, which comes as {printable(content_type)}; take one of "
            f"{', '.join(names)}"
        )
    if as_table and answer.headers.get("content-type", "").startswith(_RESULTS):
        _show(answer.body)
    elif _is_terminal():
        # The text comes from strangers, and a terminal obeys control characters.
        for line in answer.body.decode("utf-8", "replace").splitlines():
            click.echo(printable(line))
    else:
        sys.stdout.buffer.write(answer.body)
    completeness = answer.headers.get(COMPLETENESS, "complete")
    if completeness != "complete":
        click.echo(f"graphs may be missing from this answer: {printable(completeness)}", err=True)
        if complete:
            sys.exit(_PARTIAL_STATUS)


def _formats(name: str) -> set[str]:
    """Return the media types that a name stands for: the gateway passes over names that it does not know.

    Raises:
        UsageError: It stands for none.
    """
    forms: tuple[Form, Form] = ("SELECT", "CONSTRUCT")
    if found := {media_type_named(form, [name]) for form in forms} - {""}:
        return found
    meant = difflib.get_close_matches(name.lower(), _NAMES, n=1)
    raise click.UsageError(
        f"there is no format '{name}'; " + (f"did you mean {meant[0]}?" if meant else f"there are {', '.join(_NAMES)}")
    )


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _show(body: bytes) -> None:
    """Show the result of a SELECT as a table, that of an ASK as a word."""
    try:
        found = msgspec.json.decode(body, type=_Results)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"the gateway's answer is no SPARQL result: {printable(str(error))}") from error
    if found.results is None:
        click.echo("yes" if found.boolean else "no")
        return
    rows = found.results.bindings
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in found.head.vars:
        table.add_column(Text(f"?{name}"))
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(_term(row.get(name)), overflow="fold") for name in found.head.vars))
    out = console()
    out.print(table)
    more = f", of which the first {_MOST_ROWS:,} are shown; -F csv shows all" if len(rows) > _MOST_ROWS else ""
    out.print(f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}{more}")


def _term(term: Any, depth: int = 0) -> str:
    """Return a term as people read it: an IRI in brackets, a literal with its language, a triple term as in SPARQL 1.2."""
    if not isinstance(term, dict):
        return ""
    kind = term.get("type")
    if kind == "triple" and isinstance(parts := term.get("value"), dict):
        shown = "…" if depth == _MOST_NESTED else " ".join(_term(parts.get(name), depth + 1) for name in _PARTS)
        return f"<<( {shown} )>>"
    value = printable(str(term.get("value", "")))
    if kind == "uri":
        return f"<{value}>"
    if kind == "bnode":
        return f"_:{value}"
    language = term.get("xml:lang")
    return f"{value} @{printable(str(language))}" if language else value
