"""Apache Jena Fuseki with one dataset in memory, `/catalogue`: a restart brings it back empty."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests

from tests.servers.cache import cached
from tests.servers.container import Container
from tests.servers.java import archived_classes, fetch_jars, java, java_program
from tests.servers.process import Process, free_port
from tests.servers.server import Engine, Server, ServerFailedError, first_to_start

NAME = "Apache Jena Fuseki"
ENVIRONMENT = "CATENA_TEST_FUSEKI"
VERSION = "5.6.0"  # the last that runs on Java 17
IMAGE = "atomgraph/fuseki"  # Jena publishes none; this one takes the server's own options
HEAP = 256  # MiB
DATASET = "/catalogue"


class Fuseki(Server):
    """A Fuseki server; below its `url`: `/sparql`, `/update` (SPARQL 1.1 Protocol), `/data` (Graph Store Protocol)."""

    def __init__(self, url: str, engine: Engine | None) -> None:
        super().__init__(NAME, url, engine)
        self.base = url.rpartition("/")[0]
        self._client = requests.Session()
        self._client.trust_env = False  # a proxy has no way to this machine's own addresses

    @property
    def url(self) -> str:
        """The dataset, `http://HOST:PORT/catalogue`."""
        return self.address

    def answers(self) -> bool:
        """Tell whether it answers a query."""
        try:
            return self._post("sparql", query="ASK {}").ok
        except requests.RequestException:
            return False

    def clear(self) -> None:
        """Drop all graphs."""
        self._post("update", update="DROP ALL").raise_for_status()

    def empty(self) -> bool:
        """Tell whether no graph holds a triple."""
        response = self._post("sparql", query="ASK { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }")
        response.raise_for_status()
        return not response.json()["boolean"]

    def _post(self, service: str, **form: str) -> requests.Response:
        headers = {"Accept": "application/sparql-results+json"}
        return self._client.post(f"{self.url}/{service}", data=form, headers=headers, timeout=10)


@contextmanager
def fuseki_server(own: bool = False) -> Iterator[Fuseki]:
    """Run Fuseki for the length of a block; its dataset is empty at first.

    Args:
        own: do not use the one that `CATENA_TEST_FUSEKI` (`http://HOST:PORT/DATASET`) names, because it is in use, or
            is to be killed.

    Raises:
        ServerUnavailable: there is no way to have it here.
        ServerFailedError: it did not start, or the given dataset is not empty.
    """
    given = None if own else os.environ.get(ENVIRONMENT)
    if given:
        with Fuseki(given.rstrip("/"), engine=None) as server:
            if not server.empty():
                raise ServerFailedError(
                    f"{ENVIRONMENT}={given} holds data, and tests would drop it: name an empty dataset"
                )
            yield server
            server.clear()
        return
    port = free_port()
    engine = first_to_start(NAME, partial(_container, port), partial(_process, port))
    with Fuseki(f"http://127.0.0.1:{port}{DATASET}", engine) as server:
        yield server


def _container(port: int) -> Engine:
    return Container(IMAGE, port, _options(port))


def _process(port: int) -> Engine:
    return _server(port, archived_classes(fuseki_jars(), NAME, _run_once))


def _run_once(option: str) -> None:
    port = free_port()
    engine = _server(port, [option])
    engine.start()
    with Fuseki(f"http://127.0.0.1:{port}{DATASET}", engine) as server:
        server.clear()
        server.empty()
        server.stop()


def _server(port: int, options: list[str]) -> Engine:
    # FusekiMainCmd keeps nothing on disk; the jar's own main class adds administration, which does.
    main_class = "org.apache.jena.fuseki.main.cmds.FusekiMainCmd"
    return Process(java(fuseki_jars(), main_class, "--localhost", *_options(port), heap=HEAP, options=options))


def fuseki_jars() -> Path:
    """Return the folder of Fuseki's jar, which holds all of Jena.

    Raises:
        ServerUnavailable: there is no Java, or no Maven to fetch it with.
    """
    java_program()  # without Java there is no need to fetch what runs on it
    return cached(f"fuseki-{VERSION}", f"{NAME} {VERSION} (56 MB)", _fetch)


def _options(port: int) -> list[str]:
    return ["--port", str(port), "--mem", "--update", "--ping", "--quiet", DATASET]


def _fetch(folder: Path) -> None:
    # The jar holds all that it needs; its pom names those parts once more.
    fetch_jars(folder, f"org.apache.jena:jena-fuseki-server:{VERSION}", without=("*:*",))
