"""The proof that offerings stand where they should, each as its description says."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

import pyoxigraph as ox
import requests

from tests.helpers.catena_up import graph_of, graphs_of
from tests.helpers.waiting import eventually

OFFERING = ox.NamedNode("https://w3id.org/sedimark/ontology#Offering")
TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
GENID = "/.well-known/genid/"


def load(documents: Iterable[bytes]) -> ox.Store:
    """One store with each offering's graph once, default graph materialised: the independent truth."""
    store = ox.Store()
    for document in documents:
        triples = [
            quad.triple for quad in ox.parse(document, format=ox.RdfFormat.JSON_LD, base_iri="http://none.invalid/")
        ]
        (offering,) = {triple.subject for triple in triples if (triple.predicate, triple.object) == (TYPE, OFFERING)}
        seen, waiting = {offering}, [offering]
        while waiting:
            subject = waiting.pop()
            for triple in triples:
                if triple.subject == subject:
                    quad = triple.subject, triple.predicate, triple.object
                    store.add(ox.Quad(*quad, offering))
                    store.add(ox.Quad(*quad))
                    if triple.object not in seen and not isinstance(triple.object, ox.Literal):
                        seen.add(triple.object)
                        waiting.append(triple.object)
    return store


def canonical(triples: Iterable[ox.Triple]) -> list[str]:
    """Bring triples into a form to compare: canonical blank nodes, skolem IRIs taken for blank nodes."""
    names: dict[str, ox.BlankNode] = {}

    def blank(term: Any) -> Any:
        if isinstance(term, ox.NamedNode) and GENID in term.value:
            return names.setdefault(term.value, ox.BlankNode())
        return term

    # Oxigraph keeps numbers and dates by their values, Fuseki as they were written: stored once, both are by their values.
    store = ox.Store()
    store.extend(ox.Quad(blank(t.subject), t.predicate, blank(t.object)) for t in triples)
    dataset = ox.Dataset(store)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return sorted(map(str, dataset))


def assert_placed(nodes, documents, copies=2):
    """Each offering stands on so many nodes, each copy being what its description says; nothing else stands there.

    A node that a busy machine lets answer late passes for down for a while, and its graphs move: that is waited for.
    """
    truth = {}
    for document in documents:
        store = load([document])
        (name,) = store.named_graphs()
        truth[name.value] = canonical(quad.triple for quad in store.quads_for_pattern(None, None, None, name))
    holders = {}

    def placed():
        holders.update((node, graphs_of(node)) for node in nodes)
        count = collections.Counter(graph for graphs in holders.values() for graph in graphs)
        return count == dict.fromkeys(truth, copies)

    eventually(placed, message=lambda: f"{sorted(truth)} should stand on {copies} nodes each: {holders}")
    for node, graphs in holders.items():
        for graph in graphs:
            found = ox.parse(graph_of(node, graph), format=ox.RdfFormat.N_TRIPLES)
            assert canonical(quad.triple for quad in found) == truth[graph], (node, graph)


def documents_of(booth):
    """Every description that the ledger lists, by address, as its provider serves it."""
    found = {}
    for address in requests.get(f"{booth}/offerings", timeout=120).json()["addresses"]:
        entry = requests.get(f"{booth}/offerings/{address}", timeout=120).json()
        found[address] = requests.get(entry["descriptionUri"], timeout=120).content
    return found
