"""SPARQL clients of others that are no Python packages, fetched once into the cache by Maven and npm.

Each is asked several queries at once and returns the values that it found, in their order.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.cache import cached
from tests.servers.fuseki import fuseki_jars
from tests.servers.java import fetch_jars, java
from tests.servers.server import ServerUnavailable

_FOLDER = Path(__file__).parent
_RDF4J = "5.1.3"  # of those for Java 17
_SLF4J = "2.0.17"
_COMUNICA = "4.5.0"  # of those for Node.js 18 and newer
_HEAP = 128  # MiB
_TIMEOUT = 1200  # seconds


def rdf4j(endpoint: str, key: str, *queries: str) -> list[str]:
    """Return what RDF4J finds; before that the size of the default graph, and the named graphs.

    Raises:
        ServerUnavailable: There is no JDK, or no Maven to fetch it with.
    """
    jars = cached(f"rdf4j-{_RDF4J}", f"RDF4J {_RDF4J} (13 MB)", _fetch_rdf4j)
    return _values(java(jars, str(_FOLDER / "Rdf4jClient.java"), endpoint, key, *queries, heap=_HEAP))


def jena(endpoint: str, key: str, *queries: str) -> list[str]:
    """Return what Apache Jena finds.

    Raises:
        ServerUnavailable: There is no JDK, or no Maven to fetch it with.
    """
    return _values(java(fuseki_jars(), str(_FOLDER / "JenaClient.java"), endpoint, key, *queries, heap=_HEAP))


def comunica(endpoint: str, key: str, *queries: str) -> list[str]:
    """Return what Comunica finds.

    Raises:
        ServerUnavailable: There is no Node.js, or no npm to fetch it with.
    """
    node = shutil.which("node")
    if not node:
        raise ServerUnavailable("no Node.js (`node`)")
    modules = cached(f"comunica-{_COMUNICA}", f"Comunica {_COMUNICA} (110 MB)", _fetch_comunica) / "node_modules"
    return _values([node, str(_FOLDER / "comunica.cjs"), endpoint, key, *queries], NODE_PATH=str(modules))


def _fetch_rdf4j(folder: Path) -> None:
    fetch_jars(folder, f"org.eclipse.rdf4j:rdf4j-repository-sparql:{_RDF4J}", f"org.slf4j:slf4j-nop:{_SLF4J}")


def _fetch_comunica(folder: Path) -> None:
    npm = shutil.which("npm")
    if not npm:
        raise ServerUnavailable("no npm to fetch Comunica with")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"@comunica/query-sparql@{_COMUNICA}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode:
        raise ServerUnavailable(f"npm did not fetch Comunica: {done.stderr.strip()[-500:]}")


def _values(command: list[str], **variables: str) -> list[str]:
    environment = {**os.environ, **variables, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=_TIMEOUT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout.splitlines()
