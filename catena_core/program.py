"""A program of the command line: its standard streams may be closed, full, or read by a program that ends early."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

# Of write() on standard output; an error of a file names the file.
_CANNOT_WRITE = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EPIPE})


class Program(click.Command):
    """Ends with status 1, and without a traceback, once its output cannot be written; escapes what its encoding lacks."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run with streams that can be used: see :meth:`click.Command.main`."""
        _open_closed_streams()
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            # Strangers write in all scripts, and the terminal or the locale may know fewer characters.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            try:
                return super().main(*args, **extra)
            finally:
                sys.stdout.flush()  # else the interpreter does it at its end, and shows the error
        except OSError as error:
            if error.errno not in _CANNOT_WRITE or error.filename is not None:
                raise
            _end(error)


def _open_closed_streams() -> None:
    """Let closed streams read and write nothing: a file that is opened later may get their numbers."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            # The lowest free number is this one, unless something has taken it already.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.dup2(getattr(sys, name).fileno(), number)


def _end(error: OSError) -> NoReturn:
    """Say why nothing can be written, unless a reader has simply read enough, and end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest in the buffer
    if error.errno != errno.EPIPE:
        with contextlib.suppress(OSError):
            click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
    sys.exit(1)
