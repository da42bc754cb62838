"""The text of a query on the command line, and the place of a mistake in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import click
from rich.cells import cell_len

from catena_core.text import printable
from topology.cli.gateway import Problem

# A gateway reads at most this much of a request.
_MOST_BYTES = 1024 * 1024
_MOST_WIDTH = 160


def query_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the option that hold a query; :func:`query_text` reads them."""
    argument = click.argument("query", required=False, metavar="[QUERY]")
    file = click.option(
        "-f", "--file", type=click.File("rb"), metavar="FILE", help="Read the query from a file; -: from stdin."
    )
    return argument(file(command))


def query_text(query: str | None, file: BinaryIO | None) -> str:
    """Return the text of a query.

    Args:
        query: The text, or ``-`` for the standard input.
        file: The file that holds it.

    Raises:
        click.ClickException: There is none, or it cannot be read.
    """
    if (query is None) == (file is None):
        raise click.UsageError("give one query: its text, -f FILE, or - to read it from stdin")
    if query is not None and query != "-":
        if "{" not in query and os.path.isfile(query):  # noqa: PTH113 (no error for long names)
            raise click.UsageError(
                f"{printable(query)} is a file; to read the query from it, say -f {printable(query)}"
            )
        if "{" not in query and query.lower().endswith((".rq", ".sparql")):
            raise click.UsageError(f"there is no file {printable(query)}")
        return _filled(query)
    stream = sys.stdin.buffer if file is None else file
    content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise click.ClickException(f"the query has more than the {_MOST_BYTES:,} bytes that a gateway reads")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"the query is not in UTF-8: byte {error.start + 1:,} cannot be read") from error
    return _filled(text)


def _filled(text: str) -> str:
    if not text.strip():
        raise click.UsageError("the query is empty")
    return text


def problem_in_query(problem: Problem, text: str) -> str:
    """Format a gateway's error, with an excerpt of the query at its position."""
    if problem.line > 0 and problem.column > 0:
        said = problem.detail.removesuffix(" (status 400)")
        return f"{said}\n\n{_excerpt(text, problem.line, problem.column)}"
    return problem.detail


def _excerpt(text: str, line: int, column: int) -> str:
    """Show a line of a query, the line before it, and a caret below a column; line and column count from 1."""
    lines = text.split("\n")
    if line > len(lines):
        return ""
    margin = len(str(line))
    shown = []
    if line > 1:
        shown.append(f"{line - 1:>{margin + 2}} | {_shown(lines[line - 2][:_MOST_WIDTH])}".rstrip())
    # Cut long lines to the part around the column.
    first = max(column - 1 - 60, 0)
    before, after = lines[line - 1][first : column - 1], lines[line - 1][column - 1 : column - 1 + 30]
    before, after = ("… " if first else "") + _shown(before), _shown(after)
    cut = " …" if len(lines[line - 1]) > column + 29 else ""
    shown.append(f"{line:>{margin + 2}} | {before}{after}{cut}".rstrip())
    shown.append(f"{'':>{margin + 2}} | {' ' * cell_len(before)}^")
    return "\n".join(shown)


def _shown(text: str) -> str:
    return printable(text.rstrip("\r").replace("\t", "    "))
