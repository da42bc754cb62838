"""Descriptions of offerings as they are read, or the reason of their refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from catena_core.errors import RejectedError
from federation import skolem
from topology.rdf.offering_graph import Description, read_description

CHECKOUT = Path(__file__).parents[2]
SOURCE = "https://provider.example/descriptions/1"
OFFERING = "https://w3id.org/sedimark/ontology#Offering"
IRI = "https://provider.example/offerings/1"
P = "https://vocabulary.example/p"


def offering(content: Any = None, **more: Any) -> dict[str, Any]:
    """Describe a small offering with a text."""
    return {"@id": IRI, "@type": OFFERING, P: [] if content is None else content, **more}


def read(document: Any, **arguments: Any) -> Description:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_description(content, **{"source": SOURCE, **arguments})


def refusal(document: Any, **arguments: Any) -> str:
    with pytest.raises(RejectedError) as refused:
        read(document, **arguments)
    return str(refused.value)


def triples(text: str) -> list[ox.Triple]:
    return [quad.triple for quad in ox.parse(text, format=ox.RdfFormat.N_TRIPLES)]


def values(description: Description) -> set[str]:
    said = [triple.object for triple in triples(description.triples) if triple.predicate.value == P]
    return {value.value for value in said if isinstance(value, (ox.Literal, ox.NamedNode))}


def subjects(graph: list[ox.Triple]) -> set[str]:
    return {triple.subject.value for triple in graph if isinstance(triple.subject, ox.NamedNode)}


def isomorphic(one: list[ox.Triple], other: list[ox.Triple]) -> bool:
    def canonical(graph: list[ox.Triple]) -> ox.Dataset:
        dataset = ox.Dataset(ox.Quad(*triple) for triple in graph)
        dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
        return dataset

    return canonical(one) == canonical(other)


def with_blank_nodes(text: str) -> list[ox.Triple]:
    """Return the graph as it was before blank nodes got IRIs."""

    def term(named: Any) -> Any:
        is_skolem = isinstance(named, ox.NamedNode) and named.value.startswith(skolem.PREFIX)
        return ox.BlankNode(named.value.rpartition("/")[2]) if is_skolem else named

    return [ox.Triple(term(t.subject), t.predicate, term(t.object)) for t in triples(text)]
