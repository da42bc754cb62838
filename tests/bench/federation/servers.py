"""The nodes, the single store, and the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import requests

from sandbox.made_up_offerings import SandboxOffering
from tests.bench.federation.offerings import as_quads, as_shown, portions
from tests.bench.federation.placed import Placed
from tests.differential.catalogue import sandbox_nodes, sandbox_processes
from tests.servers import fuseki_server
from tests.servers.process import free_port
from topology.rdf.offering_graph import Description
from topology.records import CompressedOffering, Node, Placement, Ring
from topology.ring import RingView

ROOT = Path(__file__).resolve().parents[3]
COUNT, REPLICAS, VIRTUAL_NODES = 3, 2, 150
NODE_KINDS = ("sandbox", "fuseki")
GATEWAY_KINDS = ("placed", "fixed")

_START_TIMEOUT = 60.0  # seconds
_STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs.

    Attributes:
        ready: Seconds from its start to the end of its view's building.
        url: Its SPARQL endpoint.
        pid: Its process.
    """

    ready: float
    url: str
    pid: int


@contextmanager
def single_store(kind: str, on_disk: bool) -> Iterator[str]:
    """Run an empty store of one kind of nodes; its endpoint.

    Args:
        kind: One of :data:`NODE_KINDS`.
        on_disk: Whether a sandbox node keeps its data on disk.

    Raises:
        ServerUnavailable: Fuseki cannot be had here.
    """
    if kind == "sandbox" and on_disk:
        with (
            tempfile.TemporaryDirectory(prefix="bench-single-") as name,
            sandbox_processes(1, "--store", name) as (node,),
        ):
            yield node.url
    else:
        with servers(kind, 1) as (url,):
            yield url


@contextmanager
def servers(kind: str, count: int) -> Iterator[list[str]]:
    """Empty catalogue nodes as processes; their endpoints.

    Args:
        kind: One of :data:`NODE_KINDS`.
        count: How many.

    Raises:
        ServerUnavailable: Fuseki cannot be had here.
    """
    with ExitStack() as stack:
        if kind == "fuseki":
            yield [stack.enter_context(fuseki_server(own=True)).url for _ in range(count)]
        else:
            yield stack.enter_context(sandbox_nodes(count))


def catalogue(nodes: Sequence[str], made: Sequence[tuple[SandboxOffering, Description]]) -> Placed:
    """Load each offering to two of the nodes, those that the ring names; what the gateway would know of that from Kafka."""
    ring = Ring(
        epoch=1,
        nodes=tuple(Node(f"node{number}", url) for number, url in enumerate(nodes)),
        virtual_nodes=VIRTUAL_NODES,
        replicas=REPLICAS,
    )
    view = RingView(ring)
    for node in ring.nodes:
        load(node.url, (as_quads(described) for _, described in made if node.id in view.owners(described.graph)))
    return Placed(
        ring,
        {
            offering.address: CompressedOffering(
                graph=described.graph,
                digest=described.digest,
                claimed_at=1,
                compressed=zlib.compress(described.triples.encode(), 1),
                owner=offering.owner,
                name=offering.name,
                source=offering.iri,
            )
            for offering, described in made
        },
        [
            Placement(node, described.graph, offering.address, 1, 1, 0, described.digest)
            for offering, described in made
            for node in view.owners(described.graph)
        ],
    )


def load_all(store: str, made: Sequence[tuple[SandboxOffering, Description]]) -> None:
    """Load every offering to the single store, each graph and the default graph as the union of all."""
    load(store, (as_shown(described) for _, described in made))


def load_as_union(nodes: Sequence[str], made: Sequence[tuple[SandboxOffering, Description]], placed: Placed) -> None:
    """Load to other servers what the nodes hold, and to each one's default graph the union of its graphs."""
    view = RingView(placed.ring)
    for node, server in zip(placed.ring.nodes, nodes, strict=True):
        held = (described for _, described in made if node.id in view.owners(described.graph))
        load(server, (as_quads(described) + described.triples for described in held))


def load(server: str, quads: Iterable[str]) -> None:
    """Add N-Quads to a server, by the Graph Store Protocol."""
    with requests.Session() as session:
        for body in portions(quads):
            answer = session.post(f"{server}/data", data=body, headers={"Content-Type": "application/n-quads"})
            if answer.status_code not in (200, 201, 204):
                raise click.ClickException(f"{server} does not take the offerings: {answer.text[:300]}")


@contextmanager
def gateway(kind: str, placed: Placed, on_disk: bool = False) -> Iterator[Gateway]:
    """Run the gateway over these nodes as a process, once its view is complete.

    Args:
        kind: ``placed``: it is told where each graph stands, as by Kafka. ``fixed``: it is told the nodes only.
        placed: The nodes, and what stands where.
        on_disk: Whether the view is on disk from the start.
    """
    with tempfile.TemporaryDirectory(prefix="bench-federation-") as name, Path(name, "log").open("w+") as log:
        port = free_port()
        environment = {**os.environ}
        if kind == "placed":
            Path(name, "placed.json").write_bytes(msgspec.json.encode(placed))
            command = ["-m", "tests.bench.federation.serve_placed", str(Path(name, "placed.json")), str(port)]
            if on_disk:
                environment["GATEWAY_VIEW_DIRECTORY"] = str(Path(name, "view"))
        else:
            listed = {node.id: {"id": node.id, "catalogue_url": node.url} for node in placed.ring.nodes}
            Path(name, "nodes.json").write_text(json.dumps(listed))
            command = ["links/gateway.py"]
            for unset in ("KAFKA_ENDPOINT", "CENTRALISED"):
                environment.pop(unset, None)
            environment |= {
                "OPERATOR_PROVIDED": "1",
                "CATALOGUE_LIST": str(Path(name, "nodes.json")),
                "HOST_ADDRESS": "127.0.0.1",
                "HOST_PORT": str(port),
            }
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            began = time.monotonic()
            _wait(process, f"http://127.0.0.1:{port}/health", Path(name, "log"))
            yield Gateway(time.monotonic() - began, f"http://127.0.0.1:{port}/sparql", process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline, is_up = time.monotonic() + _START_TIMEOUT, False
    with requests.Session() as session:
        while process.poll() is None and (is_up or time.monotonic() < deadline):
            try:
                answer = session.get(url, timeout=60.0)
                is_up = answer.status_code == 200
                if is_up and answer.json().get("view", {}).get("state") != "building":
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise click.ClickException(f"the gateway did not start; its last words:\n{last}")
