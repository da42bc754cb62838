"""The file in which the runner tells its gateways of processes that die again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from topology.runner.failing import FILE, read_failing, write_failing


def test_gateway_reads_what_the_runner_wrote_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "failing.json"
    monkeypatch.setenv(FILE, str(path))

    for failing in ({"writer": "died 3 times", "mönitor": "ö"}, {"writer": "died 4 times"}, {}):
        write_failing(path, failing)
        assert read_failing() == failing
    assert list(tmp_path.iterdir()) == [path], "no part of it is left behind"


def test_gateway_without_a_runner_knows_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    assert read_failing() == {}
    monkeypatch.setenv(FILE, str(tmp_path / "none.json"))
    assert read_failing() == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"writer": 3}', b"\xff", b'{"writer": "\xff"}', b"[" * 100_000]
)
def test_gateway_takes_a_file_that_it_cannot_read_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "failing.json").write_bytes(content)
    monkeypatch.setenv(FILE, str(tmp_path / "failing.json"))

    assert read_failing() == {}
