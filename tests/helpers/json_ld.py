"""Documents read as JSON-LD: their statements, or the reason of their refusal."""

from __future__ import annotations

import json
from typing import Any

import pyoxigraph as ox
import pytest

from catena_core.errors import RejectedError
from topology.rdf.json_ld import read_json_ld
from topology.rdf.statements import Statements

SOURCE = "https://provider.example/descriptions/1"
V = "https://vocabulary.example/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD = "http://www.w3.org/2001/XMLSchema#"


def read(document: Any, contexts: dict[str, Any] | None = None, source: str = SOURCE) -> Statements:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_json_ld(content, source, contexts or {})


def statements(document: Any, contexts: dict[str, Any] | None = None, source: str = SOURCE) -> set[str]:
    """Return the statements in canonical form, so that labels of blank nodes do not matter."""
    dataset = ox.Dataset(read(document, contexts, source).quads)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return {str(quad).replace(V, "v:").replace(RDF, "rdf:").replace(XSD, "xsd:") for quad in dataset}


def refusal(document: Any, contexts: dict[str, Any] | None = None) -> str:
    with pytest.raises(RejectedError) as refused:
        read(document, contexts)
    return str(refused.value)


def node(value: Any, **more: Any) -> dict[str, Any]:
    return {"@id": "urn:a", f"{V}p": value, **more}


def said(value: str) -> set[str]:
    return {f"<urn:a> <v:p> {value}"}
