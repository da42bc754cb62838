"""Tables on a terminal and in files."""

from __future__ import annotations

import io
import sys

import pytest

from topology.cli.grid import show

URL = "http://node-1.catalogue.example:3030/with/a/long/path/and/more/of/it/catalogue"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdout", out)
    show("id,graphs,url", "graphs", [("node_1", 1200, URL)])
    return out.getvalue()


@pytest.mark.parametrize("columns", ["0", "20", "80"])
def test_row_for_a_program_is_one_line(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    (row,) = [line for line in shown(io.StringIO(), monkeypatch).splitlines() if "node_1" in line]
    assert row.split() == ["node_1", "1,200", URL]


@pytest.mark.parametrize("columns", ["0", "5", "40"])
def test_narrow_terminal_has_room_for_words(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert "node_1" in shown(Terminal(), monkeypatch)
