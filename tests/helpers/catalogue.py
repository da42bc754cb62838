"""A catalogue as harvesters and connectors read it, and an offering that tries to break what they read."""

from __future__ import annotations

import json
from typing import Any

import rdflib
import rdflib.compare

from tests.helpers.gateway import Serving
from topology.gateway.harvesting import dsp

DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")
HYDRA = rdflib.Namespace("http://www.w3.org/ns/hydra/core#")
REQUEST = {"@context": [dsp.CONTEXT], "@type": "CatalogRequestMessage"}
FORMATS = {"text/turtle": "turtle", "application/rdf+xml": "xml", "application/ld+json": "json-ld"}
# A provider that has no title, no contract and no way to its data, and writes what markup and XML stumble over.
HOSTILE = json.dumps(
    {
        "@id": "https://p.example/hostile",
        "@type": "https://w3id.org/sedimark/ontology#Offering",
        "http://purl.org/dc/terms/description": "a\u0001b </script> & <b>",
        "http://purl.org/dc/terms/license": "All rights: https://p.example/licence.",
        "http://www.w3.org/ns/dcat#keyword": ["a,b", {"@value": "c", "@language": "en"}],
        "https://w3id.org/sedimark/ontology#hasAsset": {
            "https://w3id.org/sedimark/ontology#isProvidedBy": {
                "http://www.w3.org/ns/dcat#endpointURL": "javascript:alert(1)"
            }
        },
    }
)


def read(serving: Serving, path: str, accept: str = "text/turtle") -> rdflib.Graph:
    response = serving.client.get(path, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    assert response.mimetype == accept
    assert response.headers["Catena-Completeness"] == "complete"
    return rdflib.Graph().parse(data=response.text, format=FORMATS[accept])


def one(graph: rdflib.Graph, subject: Any, predicate: Any) -> Any:
    (value,) = graph.objects(subject, predicate)
    return value
