"""Skolem IRIs for blank nodes.

A blank node has no name outside of its document, so replicas could not be compared, nor patterns joined through it across
nodes. The fetcher therefore gives each one an IRI (RDF 1.1 Concepts, section 3.5,
https://www.w3.org/TR/rdf11-concepts/#section-skolemization), and the gateway shows it as a blank node again.
"""

from __future__ import annotations

import hashlib

# A host below .invalid belongs to no one (RFC 2606), so these IRIs clash with no others.
PREFIX = "https://catena.invalid/.well-known/genid/"


def skolem_iri(graph: str, label: str) -> str:
    """Return the IRI that stands for a blank node.

    Args:
        graph: The IRI of its graph: blank nodes of two graphs are never the same.
        label: Its canonical label in that graph, letters and digits only.
    """
    return f"{PREFIX}{hashlib.sha256(graph.encode()).hexdigest()[:24]}/{label}"
