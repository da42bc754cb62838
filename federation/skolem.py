"""Blank nodes as IRIs, and back.

A blank node has no name outside of the document that it stands in, so two replicas could not be compared, nor patterns
joined through it across nodes. The fetcher therefore gives each one an IRI, as RDF 1.1 Concepts, section 3.5
(https://www.w3.org/TR/rdf11-concepts/#section-skolemization) describes, and the gateway shows it as a blank node again.
"""

from __future__ import annotations

import hashlib

# Nobody can own a host below .invalid (RFC 2606), so these IRIs cannot clash with anybody's own.
PREFIX = "https://catena.invalid/.well-known/genid/"


def skolem_iri(graph: str, label: str) -> str:
    """The IRI that stands for a blank node.

    Args:
        graph: The IRI of the graph that the blank node belongs to: blank nodes of two graphs are never the same.
        label: Its canonical label in that graph, letters and digits only.
    """
    return f"{PREFIX}{hashlib.sha256(graph.encode()).hexdigest()[:24]}/{label}"
