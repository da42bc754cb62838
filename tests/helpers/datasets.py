"""Offerings as datasets, from what their graphs say."""

from __future__ import annotations

from typing import Any

import pyoxigraph as ox

from topology.gateway.harvesting.datasets import Dataset, Graph, Term, dataset_of
from topology.gateway.offering_list import ListedOffering


def dataset_from(turtle: str, iri: str, address: str = "") -> Dataset | None:
    """Return the offering of a graph in Turtle as a dataset; ``None`` if it is none."""
    graph = Graph()
    for quad in ox.parse(turtle, format=ox.RdfFormat.TURTLE):
        graph.add(_term(quad.subject), quad.predicate.value, _term(quad.object))
    return dataset_of(ListedOffering(graph=iri, nodes=(), address=address), graph)


def _term(term: Any) -> Term:
    if isinstance(term, ox.Literal):
        return Term("literal", term.value, term.language or "", term.datatype.value)
    return Term("bnode" if isinstance(term, ox.BlankNode) else "uri", term.value)
