"""The file ``.env``: its variables, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from catena_core.errors import UsageError
from topology.env_file import mistakes, read_env_file

KNOWN = {"OFFERING_REPLICA_COUNT", "HOST_PORT", "HOST_ADDRESS", "REDIS_PORT"}


def found(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / ".env").write_text(text)
    return [mistake.removeprefix(str(tmp_path / ".env, ")) for mistake in mistakes(tmp_path / ".env", KNOWN)]


@pytest.mark.parametrize("name", ["OFERING_REPLICA_COUNT", "OFFERING_REPLICAS_COUNT", "offering_replica_count"])
def test_mistakes_misspelt_name_offers_the_setting(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, f"{name}=3\n") == [
        f"line 1: there is no setting {name}; did you mean OFFERING_REPLICA_COUNT?"
    ]


@pytest.mark.parametrize("name", ["MY_OTHER_PROGRAM", "POSTGRES_PORT", "REDIS_URL", "HOST_PORT", "PATH"])
def test_mistakes_other_names_are_left_alone(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, f"{name}=3\n") == []


@pytest.mark.parametrize("line", ["this is not a line", "HOST PORT=3030", "=3", 'HOST_PORT="3030'])
def test_mistakes_bad_line_has_its_number(tmp_path: Path, line: str) -> None:
    (said,) = found(tmp_path, f"# nodes\n\nREDIS_PORT=1\n\n{line}\n")

    assert said.startswith("line 5: ")
    assert line.split()[0] in said


def test_mistakes_comments_exports_and_empty_lines_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PORT", "6380")
    assert found(tmp_path, "\ufeff# nodes\n\nexport HOST_PORT=1 # here\nHOST_ADDRESS='a b'\nREDIS_PORT\n") == []


def test_mistakes_setting_without_a_value_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_PORT", raising=False)

    (said,) = found(tmp_path, "MY_OTHER_PROGRAM\nREDIS_PORT\nHOST_ADDRESS=\n")
    assert said.startswith("line 2: REDIS_PORT has no value")


def test_mistakes_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("secrets/env")

    (said,) = mistakes(tmp_path / ".env", KNOWN)
    assert said.endswith("is a link to secrets/env, where no file is")


def test_mistakes_no_file_has_none() -> None:
    assert mistakes("/nowhere/.env", KNOWN) == []
    assert mistakes("", KNOWN) == []


def test_read_env_file_folder_or_bytes_are_refused_with_the_name(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"A=\xff\n")

    with pytest.raises(UsageError, match="bytes cannot be read"):
        read_env_file(tmp_path / "bytes")
    assert read_env_file(tmp_path) == {}


@pytest.mark.parametrize(
    "line",
    [
        "REDIS_PASSWORD pw-1 pw-1",
        'REDIS_PASSWORD="pw-1 pw-1',
        "KAFKA_SASL_PASSWORD: pw-1",
        "DLT_BASE_URL http://ada:pw-1@host",
    ],
)
def test_mistakes_show_no_secret(tmp_path, line):
    (tmp_path / ".env").write_text(line)
    (found,) = mistakes(tmp_path / ".env", {"REDIS_PASSWORD"})
    assert line[:12] in found and "pw-1" not in found


def test_mistakes_reference_to_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE", "1")
    file = tmp_path / ".env"
    file.write_text("A=b\nHOST_PORT=${A}${THERE}${GONE:-3}\nREDIS_HOST=pa${gone}ss\n")

    (told,) = mistakes(file, {"HOST_PORT", "REDIS_HOST"})
    assert "line 3: REDIS_HOST refers to ${gone}, which is not set" in told


def test_mistakes_setting_that_stands_twice_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, "HOST_PORT=1\n\nOTHER=1\nOTHER=2\nHOST_PORT=2\n") == [
        "line 5: HOST_PORT stands in line 1, too; this line counts"
    ]


def test_read_env_file_tells_where_it_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\nHOST_PORT=\xff\n")
    with pytest.raises(UsageError, match="cannot be read: line 2 is not UTF-8"):
        read_env_file(tmp_path / ".env")


def test_mistakes_directory_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, KNOWN)
    assert "is a directory, not a file of settings" in mistake
