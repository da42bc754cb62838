"""A gateway without a link: its application, over nodes and offerings that a test tells it of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flask
import pyoxigraph as ox
from flask.testing import FlaskClient

from federation.engine import Engine
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.consumer_groups import LinkStatus
from topology.gateway.api.app import create_app
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.rdf.offering_graph import Description, canonical_text
from topology.rdf.title import title_of
from topology.records import Node, NodeState, OfferingHead, Ring, placement_key
from topology.ring import RingView

G = "https://p.example/1"


class Serving:
    """A gateway's application, and what it is told of nodes and offerings."""

    def __init__(self, engine: Engine) -> None:
        self.nodes: list[Node] = []
        self.links: list[LinkStatus] = []
        self.directory = ReplicaSelector(lambda: self.view)
        self.failing: dict[str, str] = {}
        self.app: flask.Flask = create_app(
            engine, self.directory, lambda: self.view, links=lambda: self.links, failing=lambda: self.failing
        )
        self.client: FlaskClient = self.app.test_client()
        self._claims: dict[str, OfferingHead] = {}
        self._copies: dict[str, Replica] = {}
        self.directory.claims, self.directory.replicas = self._claims, self._copies

    @classmethod
    def over(cls, engine: Engine, nodes: Iterable[Sandbox]) -> Serving:
        """Make a gateway over nodes a, b …, with one offering, at address 0xa, on all of them."""
        serving = cls(engine)
        for name, node in zip("abc", nodes, strict=False):
            serving.has(name, node.url)
            serving.place(name, described(G))
        serving.list("0xa", described(G))
        return serving

    @property
    def view(self) -> RingView:
        return RingView(Ring(4, tuple(self.nodes), 50, 2)) if self.nodes else RingView(None)

    def has(self, name: str, url: str, state: NodeState = "up") -> None:
        self.nodes.append(Node(name, url, state))
        self.directory.changed()

    def list(self, address: str, description: Description, claimed_at: int = 1) -> None:
        title = title_of(description.graph, description.triples)
        self._claims[address] = OfferingHead(
            graph=description.graph, digest=description.digest, claimed_at=claimed_at, title=title
        )
        self.directory.changed()

    def withdraw(self, address: str) -> None:
        del self._claims[address]
        self.directory.changed()

    def place(self, name: str, description: Description) -> None:
        """Put a graph on a node, as the writer does."""
        (node,) = [node for node in self.nodes if node.id == name]
        if node.state == "up" and ".invalid" not in node.url:
            NodeClient(node.url, WebClient(5), "graph-store").put(description.graph, description.triples)
        self.note(name, description)

    def note(self, name: str, description: Description) -> None:
        self._copies[placement_key(name, description.graph)] = Replica(description.digest, 1)
        self.directory.changed()

    def offering(self, identifier: Any, **headers: str) -> Any:
        return self.client.post("/offerings", json={"offerings_id": identifier}, headers=headers)


def same_graph(body: bytes, description: Description) -> bool:
    """Whether it is that description's graph, with blank nodes for what stands for them."""
    answered = [quad.triple for quad in ox.parse(body, format=ox.RdfFormat.JSON_LD)]
    return canonical_text(answered, description.graph) == description.triples
