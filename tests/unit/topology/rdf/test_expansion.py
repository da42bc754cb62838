"""Random documents of usual shapes mean what rdflib's reader of JSON-LD, an independent one, says."""

from __future__ import annotations

import json
import random
from typing import Any

import pyoxigraph as ox
import pytest
import rdflib

from topology.rdf.json_ld import read_json_ld

BASE = "https://provider.example/descriptions/1"
# Not what rdflib reads otherwise than the specification says: contexts of types, and doubles.
CONTEXT: dict[str, Any] = {
    "@vocab": "https://vocabulary.example/",
    "ex": "https://ex.example/",
    "id": "@id",
    "kind": "@type",
    "link": {"@id": "ex:link", "@type": "@id"},
    "class": {"@id": "ex:class", "@type": "@vocab"},
    "day": {"@id": "ex:day", "@type": "ex:Date"},
    "german": {"@id": "ex:german", "@language": "de"},
    "plain": {"@id": "ex:plain", "@language": None},
    "list": {"@id": "ex:list", "@container": "@list"},
    "set": {"@id": "ex:set", "@container": "@set"},
    "titles": {"@id": "ex:titles", "@container": "@language"},
    "parts": {"@id": "ex:parts", "@container": "@index"},
    "partOf": {"@reverse": "ex:part", "@type": "@id"},
    "Asset": "ex:Asset",
    "provider": {"@id": "ex:provider", "@context": {"name": "ex:nameOfProvider"}},
}
IRIS = ("https://a.example/x", "ex:y", "../z", "#part", "urn:a:b", "_:b1", "_:b2")


class Documents:
    """Makes documents.

    Args:
        seed: Seed of the choices.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def document(self) -> dict[str, Any]:
        """Make a document with a context."""
        chance = self._chance
        context = {
            name: CONTEXT[name] for name in CONTEXT if name.startswith("@") or name == "ex" or chance.random() < 0.8
        }
        if chance.random() < 0.3:
            context["@language"] = "en"
        if chance.random() < 0.3:
            context["@base"] = "https://base.example/a/b"
        if chance.random() < 0.3:
            return {"@context": context, "@graph": [self.node(3), self.node(3)]}
        return {"@context": context, **self.node(3)}

    def node(self, depth: int) -> dict[str, Any]:
        """Make a node with at least one property."""
        chance = self._chance
        node: dict[str, Any] = {"name": self.text()}
        if chance.random() < 0.7:
            node["@id"] = chance.choice(IRIS)
        if chance.random() < 0.5:
            node["@type"] = chance.choice(["Asset", "ex:Thing", ["Asset", "https://a.example/T"]])
        for key in chance.sample(
            ["link", "class", "day", "german", "plain", "ex:p", "size", "flag", "https://a.example/q"], 3
        ):
            node[key] = self.text() if key not in ("link", "class") else chance.choice(IRIS)
        if depth:
            for key in chance.sample(["list", "set", "titles", "parts", "partOf", "provider", "ex:has", "value"], 3):
                node[key] = self.value(key, depth - 1)
        return node

    def value(self, key: str, depth: int) -> Any:
        """Make a value that suits a key."""
        chance = self._chance
        if key == "titles":
            return {"en": self.text(), "de": [self.text(), self.text()]}
        if key == "parts":
            return {"one": self.node(depth), "two": [self.node(depth)]}
        if key in ("list", "set"):
            return [self.text(), chance.choice((1, -7, True, None)), self.node(depth)]
        if key == "value":
            typed = {"@value": self.text(), "@type": "ex:Type"}
            return chance.choice((1, -7, True, typed, {"@value": self.text(), "@language": "fr"}, None))
        return chance.choice((self.node(depth), [self.node(depth), self.node(depth)]))

    def text(self) -> str:
        """Make a text, which may look like something else."""
        return self._chance.choice(("text", "ex:y", "https://a.example/x", "1", "ü\n", "2026-01-01", " ", "@value"))


def canonical(quads: Any) -> set[str]:
    dataset = ox.Dataset(quads)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return {str(quad) for quad in dataset}


def by_rdflib(document: bytes) -> set[str]:
    read = rdflib.Dataset().parse(data=document, format="json-ld", base=BASE)
    text = read.serialize(format="nquads")
    return canonical(ox.parse(text.encode(), format=ox.RdfFormat.N_QUADS))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
@pytest.mark.parametrize("seed", range(60))
def test_read_json_ld_document_of_usual_shape_means_what_another_reader_says(seed: int) -> None:
    document = json.dumps(Documents(seed).document()).encode()

    assert canonical(read_json_ld(document, BASE, {}).quads) == by_rdflib(document)
