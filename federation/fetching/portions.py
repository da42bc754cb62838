"""Tables of nodes, read a portion at a time as columns of cells."""

from __future__ import annotations

from collections.abc import Iterator

# Bytes of a table to read at once: a list of short cells takes many times as much.
_PORTION = 256 * 1024


def portions(body: bytes, width: int) -> Iterator[list[list[bytes]]]:
    """Yield the columns of some rows, until all rows were among them.

    Args:
        body: Rows of cells with tabs between them; empty lines are none.
        width: The number of columns.

    Raises:
        ValueError: A row has another number of cells.
    """
    start = 0
    while start < len(body):
        end = body.rfind(b"\n", start, start + _PORTION) + 1 or body.find(b"\n", start) + 1 or len(body)
        rows, start = body[start:end].strip(b"\n"), end
        while b"\n\n" in rows:
            rows = rows.replace(b"\n\n", b"\n")
        if not rows:
            continue
        # A cell of its own for the end of each line tells whether all rows have the same number of cells.
        cells, ends = rows.replace(b"\n", b"\t\n\t").split(b"\t"), rows.count(b"\n")
        if len(cells) != (ends + 1) * (width + 1) - 1 or cells[width :: width + 1].count(b"\n") != ends:
            raise ValueError(f"a row has not {width} columns")
        yield [cells[column :: width + 1] for column in range(width)]
