"""Programs whose standard streams are closed, full, or read by a program that ends early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import click
from catena_core.program import Program

@click.command(cls=Program)
@click.option("--status", default=0)
def main(status):
    sys.stdout.write("text\\n")
    sys.stderr.write(f"{sys.stdin.read()!r}\\n")
    sys.exit(status)

main()
"""
FULL = "Error: cannot write the output: No space left on device\n"
pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")


def run(redirection: str, *arguments: str) -> tuple[int, str]:
    """Run the program in a shell, and return its status and what is on standard error."""
    environment = {**os.environ, "PROGRAM": PROGRAM, "PYTHON": sys.executable}
    line = f'"$PYTHON" -c "$PROGRAM" {" ".join(arguments)} {redirection}'
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--status", "3")])
def test_full_output_is_a_message(arguments: tuple[str, ...]) -> None:
    status, said = run("</dev/null >/dev/full", *arguments)

    assert (status, said.removeprefix("''\n")) == (1, FULL)


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_reader_that_ends_early_is_no_error(arguments: tuple[str, ...]) -> None:
    # The reader is gone before the program starts.
    status, said = run("</dev/null | true", *arguments)

    assert (status, said.removeprefix("''\n")) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_closed_streams_read_and_write_nothing(closed: str) -> None:
    status, said = run(closed if "<" in closed else f"</dev/null {closed}", "--status", "3")

    assert (status, said) == (3, "''\n")


def test_closed_standard_error_is_no_error() -> None:
    assert run("</dev/null 2>&-") == (0, "")


def test_characters_that_the_output_does_not_know_are_escaped() -> None:
    program = PROGRAM.replace("text", "M\\u00e1laga \\u2026")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, b"M\\xe1laga \\u2026\n")
