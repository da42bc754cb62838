"""Redis, in memory: a restart brings it back empty."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis

from tests.servers import debian
from tests.servers.cache import cached
from tests.servers.container import Container
from tests.servers.process import Process, free_port
from tests.servers.server import Engine, Server, ServerFailedError, ServerUnavailable, first_to_start

NAME = "Redis"
ENVIRONMENT = "CATENA_TEST_REDIS"
IMAGE = "redis:7-alpine"

SETTINGS = ["--save", "", "--appendonly", "no", "--maxmemory", "128mb"]


class Redis(Server):
    """A Redis server, and the number of a database in it that tests may empty."""

    def __init__(self, url: str, engine: Engine | None) -> None:
        super().__init__(NAME, url, engine)
        self._client = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10, retry=None)
        to = self._client.connection_pool.connection_kwargs
        self.host: str = to.get("host", "localhost")
        self.port: int = to.get("port", 6379)
        self.database: int = to.get("db", 0)

    @property
    def url(self) -> str:
        """The URL, `redis://HOST:PORT/DATABASE`."""
        return self.address

    def answers(self) -> bool:
        """Tell whether it answers a PING."""
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def clear(self) -> None:
        """Empty the database."""
        self._client.flushdb()

    def keys(self) -> int:
        """Return how many keys the database holds."""
        return int(self._client.dbsize())


@contextmanager
def redis_server(own: bool = False) -> Iterator[Redis]:
    """Run Redis for the length of a block; its database is empty at first.

    Args:
        own: do not use the one that `CATENA_TEST_REDIS` (`redis://HOST:PORT/DATABASE`) names, because it is to be
            killed.

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start, or the given database is not empty.
    """
    given = None if own else os.environ.get(ENVIRONMENT)
    if given:
        with Redis(given if "://" in given else f"redis://{given}", engine=None) as server:
            if keys := server.keys():
                raise ServerFailedError(
                    f"{ENVIRONMENT}={given} holds {keys} keys, and tests would delete them: name an empty one"
                )
            yield server
            server.clear()
        return
    port = free_port()
    with Redis(
        f"redis://127.0.0.1:{port}/0", first_to_start(NAME, partial(_container, port), partial(_process, port))
    ) as server:
        yield server


@contextmanager
def guarded_redis_server(folder: Path, password: str) -> Iterator[Redis]:
    """Run a Redis that requires TLS and a password, always as a process of this machine.

    Args:
        folder: Holds `key.pem` and `certificate.pem`, which clients have to trust.
        password: That of the default user.

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start.
    """
    port = free_port()
    certificate = folder / "certificate.pem"
    options = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--requirepass", password]
    options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(folder / "key.pem")]
    url = f"rediss://:{password}@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    with Redis(url, first_to_start(NAME, partial(_process, port, options))) as server:
        yield server


def _container(port: int) -> Engine:
    # Requests come from outside the container's own loopback; the port is published on that of this machine only.
    return Container(IMAGE, port, ["redis-server", "--protected-mode", "no", "--port", str(port), *SETTINGS])


def _process(port: int, options: Sequence[str] | None = None) -> Engine:
    program, environment = _program()
    door = ["--port", str(port)] if options is None else options
    return Process([program, "--bind", "127.0.0.1", *door, *SETTINGS], environment=environment)


def _program() -> tuple[str, dict[str, str]]:
    """Return the path of redis-server, and the variables that it needs."""
    installed = shutil.which("redis-server")
    if installed:
        return installed, {}
    folder = cached(f"redis-{debian.release()}", "Redis from the system's packages (4 MB)", _fetch)
    return str(folder / "usr/bin/redis-server"), debian.library_path(folder)


def _fetch(folder: Path) -> None:
    debian.unpack(folder, "redis-server", "redis-tools")
    command = [str(folder / "usr/bin/redis-server"), "--version"]
    result = subprocess.run(
        command,
        env=os.environ | debian.library_path(folder),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    if result.returncode:
        raise ServerUnavailable(f"no redis-server, and the system's package does not run: {result.stderr.strip()}")
