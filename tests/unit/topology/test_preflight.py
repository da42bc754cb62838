"""Files that the settings name are read before anything starts: a wrong one is named with its setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catena_core.errors import UsageError
from topology.preflight import check_files
from topology.settings import Settings

# A file setting, the settings that it needs, and a content that is wrong for it.
FILES: list[tuple[str, dict[str, Any], str]] = [
    ("node_credentials", {}, "{"),
    ("jsonld_contexts", {}, "["),
    ("gateway_api_keys_file", {}, '{"a": {"key": "short"}}'),
    ("redis_ca_file", {"redis_host": "redis.invalid", "redis_tls": True}, "no certificate"),
]


@pytest.mark.parametrize(("setting", "more", "content"), FILES)
def test_check_files_refuses_a_file_that_is_wrong_by_name(
    setting: str, more: dict[str, Any], content: str, tmp_path: Path
) -> None:
    file = tmp_path / "the-file"
    file.write_text(content)

    with pytest.raises(UsageError, match="the-file"):
        named: dict[str, Any] = {setting: str(file), **more}
        check_files(Settings(**named))


@pytest.mark.parametrize("setting", [*(setting for setting, *_ in FILES), "redis_password_file"])
def test_check_files_refuses_a_file_that_is_missing_by_name(setting: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the-file"):
        named: dict[str, Any] = {setting: str(tmp_path / "the-file")}
        check_files(Settings(redis_host="redis.invalid", redis_tls=True, **named))


def test_check_files_reads_nothing_of_redis_where_there_is_none(tmp_path: Path) -> None:
    check_files(
        Settings(redis_host="", redis_password_file=str(tmp_path / "none"), redis_ca_file=str(tmp_path / "none"))
    )


def test_check_files_refuses_a_directory_of_the_view_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "the-file").write_text("")

    with pytest.raises(UsageError, match=r"GATEWAY_VIEW_DIRECTORY=.*the-file"):
        check_files(Settings(redis_host="", gateway_view_directory=str(tmp_path / "the-file" / "view")))
    check_files(Settings(redis_host="", gateway_view=False, gateway_view_directory=str(tmp_path / "the-file" / "view")))


def test_check_files_takes_those_that_are_right_and_settings_without_any(tmp_path: Path) -> None:
    credentials, keys, password = (tmp_path / name for name in ("credentials", "keys", "password"))
    credentials.write_text(json.dumps({"a": {"user": "ada", "password": "secret"}}))
    keys.write_text(json.dumps({"a": {"key": "long-enough-for-a-key"}}))
    password.write_text("secret\n")

    check_files(Settings())
    check_files(
        Settings(
            node_credentials=str(credentials),
            gateway_api_keys_file=str(keys),
            redis_host="redis.invalid",
            redis_password_file=str(password),
        )
    )
