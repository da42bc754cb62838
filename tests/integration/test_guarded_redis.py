"""The shared cache on a Redis that wants TLS and a password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.tls import server_context
from tests.servers import Redis, guarded_redis_server
from topology.clients.redis_cache import Cache
from topology.settings import Settings, load

PASSWORD = "pw-of-the-cache"

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("redis")
    server_context(folder)
    return folder


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[Redis]:
    with guarded_redis_server(folder, PASSWORD) as server:
        yield server


def settings(guarded: Redis, folder: Path, **more: str) -> Settings:
    given = {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(guarded.port),
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_TLS": "1",
        "REDIS_CA_FILE": str(folder / "certificate.pem"),
    }
    return load({name: value for name, value in {**given, **more}.items() if value}, file="/nowhere/.env")


def cache(of: Settings) -> Cache:
    return Cache(of.redis_host, of.redis_port, of.redis_db, LinkLogger("test"), security=of.redis_security)


@pytest.mark.parametrize("way", ["variable", "file", "user"])
def test_cache_with_password_and_certificate_is_shared(guarded: Redis, folder: Path, way: str) -> None:
    (folder / "password").write_text(f"{PASSWORD}\n")
    more = {
        "variable": {},
        "file": {"REDIS_PASSWORD": "", "REDIS_PASSWORD_FILE": str(folder / "password")},
        "user": {"REDIS_USER": "default"},
    }[way]
    one, other = (cache(settings(guarded, folder, **more)) for _ in range(2))

    one.put(f"key of {way}", "text", 60)

    assert other.get(f"key of {way}") == "text"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"REDIS_PASSWORD": "another-password"}, "correct REDIS_USER and REDIS_PASSWORD"),
        ({"REDIS_PASSWORD": ""}, "correct REDIS_USER and REDIS_PASSWORD"),
        ({"REDIS_TLS": "0", "REDIS_CA_FILE": ""}, "set REDIS_TLS=1 where it speaks TLS"),
        ({"REDIS_CA_FILE": ""}, "correct REDIS_TLS and REDIS_CA_FILE"),
    ],
)
def test_cache_that_redis_does_not_let_in_is_the_process_s_own_and_says_so(
    guarded: Redis, folder: Path, caplog: pytest.LogCaptureFixture, wrong: dict[str, str], hint: str
) -> None:
    one = cache(settings(guarded, folder, **wrong))

    one.put("key", "text", 60)

    assert one.get("key") == "text"
    assert "no Redis, so this process keeps its own cache" in caplog.text
    assert hint in caplog.text
    assert PASSWORD not in caplog.text and "another-password" not in caplog.text
