"""The credentials of an operator's servers: each goes to its own server, and is shown nowhere."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import redacted
from topology import credentials as module
from topology.credentials import Credentials, read_credentials
from topology.membership import Member
from topology.records import Endpoints, Node

BASIC = {"Authorization": "Basic Y2F0ZW5hOnMzY3JldC1vZi1hLW5vZGU="}  # catena:s3cret-of-a-node
LOGIN = {"user": "catena", "password": "s3cret-of-a-node"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)


def write(file: Path, entries: Any, mode: int = 0o600) -> Credentials:
    file.write_text(json.dumps(entries))
    file.chmod(mode)
    return Credentials(str(file), LinkLogger("test"))


@pytest.mark.parametrize(
    ("entry", "headers"),
    [
        (LOGIN, BASIC),
        ({"bearer": "t0ken-of-a-node"}, {"Authorization": "Bearer t0ken-of-a-node"}),
        ({"headers": {"X-API-Key": "key-of-a-node"}}, {"X-API-Key": "key-of-a-node"}),
    ],
    ids=["basic", "bearer", "header"],
)
def test_credentials_node_named_by_id_or_url_gets_its_header(file: Path, entry: Any, headers: dict[str, str]) -> None:
    found = write(file, {"alpha": entry, "http://b:3030/catalogue/": entry})
    found.follow([Member("alpha", "http://a:3030/catalogue"), Member("beta", "http://b:3030/catalogue")])

    assert found.headers("http://a:3030/catalogue/sparql?query=x") == headers
    assert found.headers("http://b:3030/catalogue") == headers
    assert all(value.rpartition(" ")[2] not in redacted(f"it says {value}") for value in headers.values())


@pytest.mark.parametrize(
    "url",
    [
        "http://other:3030/catalogue/data",
        "https://a:3030/catalogue/data",
        "http://a:3031/catalogue/data",
        "http://a:3030/catalogues",
        "http://a:3030/",
        "http://a.evil.example:3030/catalogue/data",
        "http://[::1/",
    ],
)
def test_credentials_other_server_or_path_gets_none(file: Path, url: str) -> None:
    found = write(file, {"http://a:3030/catalogue": LOGIN})

    assert found.headers(url) == {}


def test_credentials_usual_port_may_be_left_out(file: Path) -> None:
    found = write(file, {"https://a/catalogue": LOGIN})

    assert found.headers("https://A:443/catalogue/data") == BASIC


def test_credentials_longest_path_counts(file: Path) -> None:
    found = write(file, {"http://a": {"bearer": "of-the-server"}, "http://a/two": {"bearer": "of-the-second"}})

    assert found.headers("http://a/two/data")["Authorization"] == "Bearer of-the-second"
    assert found.headers("http://a/one/data")["Authorization"] == "Bearer of-the-server"


def test_credentials_changed_file_is_read_again(file: Path) -> None:
    found = write(file, {"http://a": {"bearer": "first-token"}})
    file.write_text(json.dumps({"http://a": {"bearer": "second-and-longer-token"}}))

    assert found.headers("http://a/")["Authorization"] == "Bearer second-and-longer-token"


def test_credentials_broken_file_leaves_those_before_and_is_logged_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = write(file, {"http://a": LOGIN})
    file.write_text('{"http://a": {"user": "catena", "password": "half-of-a-secr')

    assert [found.headers("http://a/") for _ in range(3)] == [BASIC] * 3
    (line,) = caplog.messages
    assert "the credentials stay as they were" in line and "secr" not in line.partition("should be like")[0]
    assert "half-of" not in line


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"a": {}}',
        b'{"a": {"user": "u", "password": "pw-one-two", "bearer": "t0ken-one-two"}}',
        b'{"a": {"passwort": "pw-one-two"}}',
        b'{"a": {"headers": {"X-Key": "pw-one-two\\r\\nX: y"}}}',
        b'{"a": {"headers": {"X Key": "pw-one-two"}}}',
        b'{"a": "pw-one-two"}',
    ],
)
def test_read_credentials_other_content_is_refused_and_not_shown(content: bytes) -> None:
    with pytest.raises(UsageError, match="NODE_CREDENTIALS=file") as refused:
        read_credentials(content, "file")

    assert "one-two" not in str(refused.value)


def test_read_credentials_mistake_is_named_with_line_and_column() -> None:
    with pytest.raises(UsageError, match="line 2, column 1: there is a comma before the closing }"):
        read_credentials(b'{"a": {"bearer": "t0ken"},\n}', "file")


def test_credentials_missing_file_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Credentials(str(file))


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_credentials_file_that_others_can_read_is_warned_of(
    file: Path, caplog: pytest.LogCaptureFixture, mode: int, warns: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        write(file, {"a": LOGIN}, mode)

    assert any("can be read by other users" in line for line in caplog.messages) is warns


def test_credentials_of_an_address_count_until_it_has_none() -> None:
    found = Credentials()
    found.add("http://a/c", BASIC["Authorization"])
    assert found.headers("http://a/c/data") == BASIC
    assert "s3cret-of-a-node" not in redacted("the node says: catena has the password s3cret-of-a-node")

    found.add("http://a/c", None)
    assert found.headers("http://a/c/data") == {}


def test_credentials_file_wins_over_address(file: Path) -> None:
    found = write(file, {"a": {"bearer": "of-the-file"}})
    found.add("http://a/c", BASIC["Authorization"])
    found.follow([Member("a", "http://a/c")])

    assert found.headers("http://a/c")["Authorization"] == "Bearer of-the-file"


def test_credentials_file_stays_when_it_cannot_be_stat(file: Path) -> None:
    found = write(file, {"http://a": LOGIN})
    file.unlink()

    assert found.headers("http://a/") == BASIC


def test_credentials_endpoints_of_a_node_at_its_own_server_get_its_header(file: Path) -> None:
    found = write(file, {"a": LOGIN})
    endpoints = Endpoints("http://a:80/query", "http://other/store", "http://a:80/update")
    found.follow([Node("a", "http://a:80/catalogue", endpoints=endpoints)])

    assert found.headers("http://a:80/query?query=x") == found.headers("http://a:80/update") == BASIC
    assert found.headers("http://a:80/catalogue/data") == BASIC
    assert found.headers("http://other/store") == found.headers("http://a:80/other") == {}


def test_credentials_odd_basic_header_goes_as_it_is(file: Path) -> None:
    found = write(file, {"http://a": {"headers": {"Authorization": "Basic odd"}}})

    assert found.headers("http://a/") == {"Authorization": "Basic odd"}


def test_credentials_no_request_overtakes_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY", 60.0)
    reading, read = threading.Event(), threading.Event()

    def refresh() -> None:
        reading.set()
        assert read.wait(60)
        found.add("http://a/catalogue", "Basic secret")

    found = Credentials(refresh=refresh)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(found.headers, "http://a/catalogue")
        assert reading.wait(60)
        second = pool.submit(found.headers, "http://a/catalogue")
        assert wait([second], timeout=0.2).not_done
        read.set()
        assert first.result(60) == second.result(60) == {"Authorization": "Basic secret"}
