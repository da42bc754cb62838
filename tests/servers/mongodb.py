"""MongoDB, in memory: a restart brings it back empty.

Where no container can be had, mongo-java-server stands in, which speaks MongoDB's protocol.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.servers.cache import cached
from tests.servers.container import Container
from tests.servers.java import fetch_jars, java, java_program
from tests.servers.process import Process, free_port
from tests.servers.server import Engine, Server, ServerFailedError, ServerUnavailable, first_to_start

NAME = "MongoDB"
ENVIRONMENT = "CATENA_TEST_MONGODB"
IMAGE = "mongo:7"
VERSION = "1.47.0"  # of mongo-java-server
SLF4J_VERSION = "2.0.17"  # the one that this version brings
MAIN = Path(__file__).with_name("InMemoryMongoDB.java")
HEAP = 128  # MiB

SYSTEM_DATABASES = {"admin", "config", "local"}


class MongoDB(Server):
    """A MongoDB server whose databases tests may drop."""

    def __init__(self, uri: str, engine: Engine | None) -> None:
        super().__init__(NAME, uri, engine)

    @property
    def uri(self) -> str:
        """The URI, `mongodb://HOST:PORT`."""
        return self.address

    def answers(self) -> bool:
        """Tell whether it answers a ping."""
        try:
            with self._client() as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    def databases(self) -> list[str]:
        """Return the names of the databases that are not the server's own."""
        with self._client() as client:
            return sorted(set(client.list_database_names()) - SYSTEM_DATABASES)

    def clear(self) -> None:
        """Drop the databases."""
        with self._client() as client:
            for name in self.databases():
                client.drop_database(name)

    def _client(self) -> pymongo.MongoClient[dict[str, Any]]:
        return pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=5000, socketTimeoutMS=10000)


@contextmanager
def mongodb_server(own: bool = False) -> Iterator[MongoDB]:
    """Run MongoDB for the length of a block; it holds no databases at first.

    Args:
        own: do not use the one that `CATENA_TEST_MONGODB` (`mongodb://HOST:PORT`) names, because it is to be killed.

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start, or the given one is not empty.
    """
    given = None if own else os.environ.get(ENVIRONMENT)
    if given:
        with MongoDB(given if "://" in given else f"mongodb://{given}", engine=None) as server:
            if names := server.databases():
                raise ServerFailedError(
                    f"{ENVIRONMENT}={given} holds {', '.join(names)}, and tests would drop that: name an empty one"
                )
            yield server
            server.clear()
        return
    port = free_port()
    engine = first_to_start(NAME, partial(_container, port), partial(_process, port))
    with MongoDB(f"mongodb://127.0.0.1:{port}", engine) as server:
        yield server


def _container(port: int) -> Engine:
    return Container(IMAGE, port, ["mongod", "--bind_ip_all", "--port", str(port)])


def _process(port: int) -> Engine:
    java_program()  # without Java there is no need to fetch what runs on it
    digest = hashlib.sha256(MAIN.read_bytes()).hexdigest()[:8]
    jars = cached(f"mongodb-{VERSION}-{digest}", f"mongo-java-server {VERSION} (4 MB)", _fetch)
    return Process(java(jars, MAIN.stem, "127.0.0.1", str(port), heap=HEAP))


def _fetch(folder: Path) -> None:
    compiler = shutil.which("javac", path=str(Path(java_program()).parent)) or shutil.which("javac")
    if not compiler:
        raise ServerUnavailable("no Java compiler (`javac`, which comes with a JDK)")
    fetch_jars(folder, f"de.bwaldvogel:mongo-java-server:{VERSION}", f"org.slf4j:slf4j-nop:{SLF4J_VERSION}")
    with tempfile.TemporaryDirectory() as classes:
        command = [compiler, "-cp", f"{folder}/*", "-d", classes, str(MAIN)]
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
        )
        if result.returncode:
            raise ServerUnavailable(f"{MAIN.name} does not compile: {result.stdout.strip()}")
        with zipfile.ZipFile(folder / f"{MAIN.stem}.jar", "w") as jar:
            for path in sorted(Path(classes).rglob("*.class")):
                jar.write(path, path.relative_to(classes))
