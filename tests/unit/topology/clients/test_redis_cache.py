"""The cache without Redis: bounded, expiring, and quick even where a Redis should be and is not."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from catena_core.monitoring.logs import LinkLogger
from tests.helpers.odd_server import closed_port
from topology.clients.redis_cache import Cache, advice
from topology.settings import RedisSecurity


class Log(LinkLogger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__("test")
        self.lines: list[str] = []

    def log(self, message: object = "", level: str = "info", **_: object) -> None:
        self.lines.append(f"{level}: {message}")


@pytest.fixture
def log() -> Log:
    return Log()


def counted_connections(monkeypatch: pytest.MonkeyPatch) -> list[redis.connection.AbstractConnection]:
    """Note each connection to Redis that is tried from now on."""
    tried: list[redis.connection.AbstractConnection] = []
    connect = redis.connection.AbstractConnection.connect

    def counting(connection: redis.connection.AbstractConnection) -> None:
        tried.append(connection)
        connect(connection)

    monkeypatch.setattr(redis.connection.AbstractConnection, "connect", counting)
    return tried


@pytest.fixture
def own(log: Log) -> Cache:
    return Cache("", 6379, 0, log, capacity=3)


def test_what_is_put_is_there(own: Cache) -> None:
    own.put("key", "text", 60)

    assert own.get("key") == "text"
    assert own.get("other") is None


def test_the_newest_text_counts(own: Cache) -> None:
    own.put("key", "old", 60)
    own.put("key", "new", 60)

    assert own.get("key") == "new"


def test_texts_expire(own: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    own.put("short", "text", 10)
    own.put("long", "text", 1000)

    monkeypatch.setattr(time, "monotonic", lambda: now + 60)

    assert own.get("short") is None
    assert own.get("long") == "text"


def test_the_least_recently_used_goes_first(own: Cache) -> None:
    for key in "abc":
        own.put(key, key, 60)
    own.get("a")

    own.put("d", "d", 60)

    assert [own.get(key) for key in "abcd"] == ["a", None, "c", "d"]


def test_it_never_grows_beyond_its_capacity(own: Cache) -> None:
    for number in range(1000):
        own.put(str(number), "x", 60)

    assert len(own._own) == 3


def test_nothing_is_said_where_no_redis_is_wanted(own: Cache, log: Log) -> None:
    own.put("key", "text", 60)
    own.get("key")

    assert log.lines == []


def test_many_threads_may_use_it(log: Log) -> None:
    cache = Cache("", 6379, 0, log, capacity=5)
    problems: list[Exception] = []

    def use(number: int) -> None:
        try:
            for turn in range(300):
                cache.put(f"{(number + turn) % 9}", "x", 60)
                assert cache.get(f"{turn % 9}") in (None, "x")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []


@pytest.mark.parametrize(
    ("error", "tls", "said"),
    [
        (redis.AuthenticationError("invalid username-password pair or user is disabled."), False, "REDIS_PASSWORD"),
        (redis.exceptions.NoPermissionError("this user has no permissions"), False, "REDIS_USER"),
        (
            redis.ConnectionError("Error 1 connecting. [SSL: WRONG_VERSION_NUMBER] wrong version number"),
            True,
            "REDIS_TLS",
        ),
        (redis.ConnectionError("Connection closed by server."), False, "REDIS_TLS=1 where it speaks TLS"),
        (redis.ConnectionError("Error 104 while writing. Connection reset by peer."), True, "REDIS_TLS=0"),
        (
            redis.ConnectionError("Error 111 connecting to r:6379. Connection refused."),
            True,
            "REDIS_HOST and REDIS_PORT",
        ),
    ],
)
def test_advice_names_the_settings_that_an_error_is_about(error: Exception, tls: bool, said: str) -> None:
    assert said in advice(error, RedisSecurity(uses_tls=tls))


def test_a_redis_that_is_not_there_is_told_once_and_tried_seldom(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = counted_connections(monkeypatch)
    cache = Cache("127.0.0.1", closed_port(), 0, log)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)  # a slow machine may try again meanwhile

    for number in range(500):
        cache.put(f"key {number}", "text", 60)
        assert cache.get(f"key {number}") == "text"

    assert len(tried) <= 5
    assert len(log.lines) == 1
    assert "no Redis, so this process keeps its own cache" in log.lines[0]


@pytest.fixture
def mute() -> Iterator[int]:
    """Give the port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_redis_that_hangs_delays_one_call_only(log: Log, mute: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = counted_connections(monkeypatch)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cache = Cache("127.0.0.1", mute, 0, log)
    cache.put("key", "text", 60)
    delayed = len(tried)

    for _ in range(100):
        assert cache.get("key") == "text"

    assert len(tried) == delayed


def test_a_redis_that_is_back_is_taken_up_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    cache = Cache("127.0.0.1", port, 0, log)
    cache.put("key", "own", 60)
    now = time.monotonic()
    with socket.create_server(("127.0.0.1", port)) as listening:
        answering = threading.Thread(target=_answer_like_redis, args=(listening,), daemon=True)
        answering.start()
        monkeypatch.setattr(time, "monotonic", lambda: now + 10)

        assert cache.get("key") == "from Redis"

    assert log.lines[-1] == "info: Redis is back"


def _answer_like_redis(listening: socket.socket) -> None:
    """Say to GET and HELLO what Redis would in RESP3, and OK to all else."""
    connection, _ = listening.accept()
    with connection:
        while data := connection.recv(65536):
            if b"HELLO" in data:
                connection.sendall(b"%1\r\n+proto\r\n:3\r\n")
            elif b"GET" in data:
                connection.sendall(b"$10\r\nfrom Redis\r\n")
            else:
                connection.sendall(b"+OK\r\n" * data.count(b"*"))


def test_without_its_client_it_keeps_its_own_and_says_what_to_install(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "catena_core.stores.redis_client", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)

    cache = Cache("localhost", 6379, 0, log)
    cache.put("key", "text", 60)

    assert cache.get("key") == "text"
    assert len(log.lines) == 1
    assert "pip install 'catena-links[redis]'" in log.lines[0]
