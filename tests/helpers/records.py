"""Records as other links would have made them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from catena_core import Electron
from topology import records
from topology.rdf.offering_graph import Description, read_description
from topology.records import Node, NodeState, Offering, Ring

OFFERING = "https://w3id.org/sedimark/ontology#Offering"


def document(iri: str = "https://p.example/1", note: Any = "a note") -> bytes:
    """Make a JSON-LD description of an offering."""
    return json.dumps({"@id": iri, "@type": OFFERING, "https://p.example/note": note}).encode()


def described(iri: str = "https://p.example/1", note: Any = "a note") -> Description:
    return read_description(document(iri, note), "https://p.example/")


def offering(graph: str, content: str = "content", claimed_at: int = 1, **more: Any) -> Offering:
    """Make an offering whose triples are any text."""
    return Offering(
        graph=graph,
        triples=content,
        digest=hashlib.sha256(content.encode()).hexdigest(),
        claimed_at=claimed_at,
        **more,
    )


def node(name: str, state: NodeState = "up", **more: Any) -> Node:
    return Node(name, f"http://{name}.invalid/catalogue", state, **more)


def ring(epoch: int, nodes: Sequence[Node], replicas: int = 2) -> Ring:
    return Ring(epoch, tuple(nodes), 50, replicas)


def values(electrons: Sequence[Electron], kind: Any) -> list[Any]:
    """Read the values of electrons; ``None`` for tombstones."""
    return [None if electron.value is None else records.from_text(electron.value, kind) for electron in electrons]


def milliseconds_ago(seconds: float) -> int:
    return int((time.time() - seconds) * 1000)
