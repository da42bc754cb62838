"""An RDF4J server, with one repository in memory, `catalogue`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.servers.cache import cached
from tests.servers.java import fetch_jars, java
from tests.servers.process import Process, free_port
from tests.servers.server import Engine, Server, first_to_start

NAME = "RDF4J server"
VERSION = "4.1.3"  # the last whose web application is on Maven Central
JETTY = "9.4.57.v20241219"  # the last that reads its servlets
HEAP = 256  # MiB

_PATH = "/rdf4j-server"
_REPOSITORY = """
@prefix rep: <http://www.openrdf.org/config/repository#> .
@prefix sr: <http://www.openrdf.org/config/repository/sail#> .
@prefix sail: <http://www.openrdf.org/config/sail#> .
[] a rep:Repository ;
    rep:repositoryID "catalogue" ;
    rep:repositoryImpl [
        rep:repositoryType "openrdf:SailRepository" ;
        sr:sailImpl [ sail:sailType "openrdf:MemoryStore" ]
    ] .
"""


class Rdf4j(Server):
    """An RDF4J server; its `url` is that of the repository, which takes queries itself."""

    def __init__(self, base: str, engine: Engine) -> None:
        super().__init__(NAME, f"{base}/repositories/catalogue", engine)
        self._client = requests.Session()
        self._client.trust_env = False  # a proxy has no way to this machine's own addresses

    @property
    def url(self) -> str:
        """The repository, `http://HOST:PORT/rdf4j-server/repositories/catalogue`."""
        return self.address

    def answers(self) -> bool:
        """Make the repository where there is none, and tell whether it answers a query."""
        headers = {"Accept": "application/sparql-results+json"}
        try:
            found = self._client.get(self.url, params={"query": "ASK {}"}, headers=headers, timeout=10)
            if found.status_code == 404:
                turtle = {"Content-Type": "text/turtle"}
                self._client.put(self.url, data=_REPOSITORY, headers=turtle, timeout=60)
            return found.ok
        except requests.RequestException:
            return False


@contextmanager
def rdf4j_server() -> Iterator[Rdf4j]:
    """Run an RDF4J server for the length of a block; its repository is empty at first.

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start.
    """
    port = free_port()
    with Rdf4j(f"http://127.0.0.1:{port}{_PATH}", first_to_start(NAME, lambda: _process(port))) as server:
        yield server


def _process(port: int) -> Engine:
    jars = cached(f"rdf4j-server-{VERSION}", f"{NAME} {VERSION} (54 MB)", _fetch)
    war = str(jars / f"rdf4j-http-server-{VERSION}.war")
    # It runs in a temporary folder, where it unpacks itself and keeps its data.
    places = {"org.eclipse.rdf4j.appdata.basedir": ".", "java.io.tmpdir": "."}
    options = ["--host", "127.0.0.1", "--port", str(port), "--path", _PATH, war]
    return Process(java(jars, "org.eclipse.jetty.runner.Runner", *options, heap=HEAP, properties=places))


def _fetch(folder: Path) -> None:
    # Either of them holds all that it needs.
    server, jetty = f"org.eclipse.rdf4j:rdf4j-http-server:{VERSION}:war", f"org.eclipse.jetty:jetty-runner:{JETTY}"
    fetch_jars(folder, server, jetty, without=("*:*",))
