"""Tables on a terminal, whose cells may be strangers' text."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catena_core.text import bounded

_LONGEST_CELL = 2000
_NARROWEST = 40
_WIDTH_OF_FILES = 400


def grid(columns: str, numbers: str, rows: Iterable[tuple[object, ...]]) -> Table:
    """Make a table.

    Args:
        columns: The names of its columns, with commas between them.
        numbers: Those of them that hold numbers; they are written with commas, and stand to the right.
        rows: Its rows.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns.split(","):
        table.add_column(name, justify="right" if name in numbers.split(",") else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text(bounded(f"{cell:,}" if isinstance(cell, int) else str(cell), _LONGEST_CELL)) for cell in row)
        )
    return table


def console() -> Console:
    """Return a console for tables: as wide as the terminal, but with room for words; wide where a program reads the lines."""
    found = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    found.width = max(found.width, _NARROWEST)
    return found


def show(columns: str, numbers: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Print a table, as :func:`grid` makes it."""
    console().print(grid(columns, numbers, rows))
