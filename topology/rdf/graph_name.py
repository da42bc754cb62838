"""Graph names that offerings may have.

An offering's IRI names its graph on every node, and a stranger chooses it. Stores give some names a meaning of their own: a PUT
of ``urn:x-arq:DefaultGraph`` replaces the default graph of an Apache Jena server. Stores also resolve names: Jena takes
``https://host/a/../b`` for ``https://host/b``, which may be another's graph.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import pyoxigraph as ox

from catena_core.errors import RejectedError

# The names of graphs that Catena puts on nodes for a moment, to tell stores apart: see topology.same_store.
MARKERS = "https://catena.invalid/.well-known/marker/"

# Percent-encoded in a query string it stays below the 8 KiB that servers accept as a request's first line.
_MOST_BYTES = 2000
_SHAPES = {
    # RFC 3986, section 3, with the characters of RFC 3987; no user, whose password each node would publish.
    "http": re.compile(r"https?://(?:[^/?#@\[\]:]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?(?:[/?#].*)?"),
    # RFC 8141, section 2. Names that begin with X- are experimental (section 5.1), and stores use them for graphs of their own.
    "urn": re.compile(r"urn:(?![Xx]-)[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[^/?#][^?#]*(?:\?[+=][^#]+)?(?:#.*)?"),
    # Decentralized Identifiers 1.0, sections 3.1 and 3.2.
    "did": re.compile(r"did:[a-z0-9]+:(?:(?:[\w.-]|%[0-9A-Fa-f]{2})*:)*(?:[\w.-]|%[0-9A-Fa-f]{2})+(?:[/?#].*)?", re.A),
}
_SHAPES["https"] = _SHAPES["http"]
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# A scheme and a host, and what may follow a host without naming another one.
_HOST = re.compile(r"https?(://[^/?#:]*?)\.?(?::0*(?:80|443)?)?(?=[/?#]|$)")
_DOT_SEGMENT = re.compile(r"(?:/|%2f)(?:\.|%2e){1,2}(?:/|%2f|$)", re.I)
# The beginnings of the names by which stores call their own graphs, in lower case; http for https, too.
_RESERVED = {
    "http://catena.invalid/": "Catena",
    "urn:x-": "Apache Jena and TopBraid",
    "urn:jena:": "Apache Jena",
    "urn:dydra:": "Dydra",
    "urn:rdf4j:": "RDF4J and GraphDB",
    "urn:sesame:": "RDF4J and GraphDB",
    "urn:virtuoso:": "Virtuoso",
    "http://jena.apache.org/": "Apache Jena",
    "http://jena.hpl.hp.com/": "Apache Jena",
    "http://rdf4j.org/schema/": "RDF4J and GraphDB",
    "http://www.openrdf.org/schema/": "RDF4J and GraphDB",
    "http://www.ontotext.com/": "GraphDB",
    "http://www.openlinksw.com/schemas/virtrdf": "Virtuoso",
    "http://www.openlinksw.com/virtrdf": "Virtuoso",
    "http://localhost:8890/": "Virtuoso",
    "http://www.w3.org/ns/ldp#": "Virtuoso",
    "http://www.w3.org/2002/07/owl#": "Virtuoso",
    "http://www.bigdata.com/rdf": "Blazegraph",
    "http://franz.com/": "AllegroGraph",
    "http://marklogic.com/semantics": "MarkLogic",
    "http://aws.amazon.com/neptune/": "Neptune",
    "http://oxfordsemantic.tech/": "RDFox",
    "http://qlever.cs.uni-freiburg.de/builtin-functions/": "QLever",
    "http://openanzo.org/": "Anzo",
}


def check_graph_name(iri: str) -> None:
    """Refuse an IRI that must not name an offering's graph.

    Args:
        iri: The offering's IRI.

    Raises:
        RejectedError: It is no http, https, urn or did IRI of its scheme's shape, it has more than 2,000 bytes, a store may
            take it for another IRI, or stores call graphs of their own so.
    """
    reason = _fault(iri)
    if reason:
        raise RejectedError(f"the offering's @id {iri[:200]!r} cannot name a graph: {reason}")


def _fault(iri: str) -> str:
    if len(iri.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        return f"it has more than {_MOST_BYTES} bytes"
    known = _HOST.sub(r"http\1", unquote(iri).lower(), count=1)  # one text for all that may be taken for the same
    for beginning, store in _RESERVED.items():
        if known.startswith(beginning):
            return f"{store} may call a graph of its own so; choose an IRI of your own"
    shape = _SHAPES.get(iri.partition(":")[0])
    if shape is None:
        return "it begins neither with http:, https:, urn: nor did:, in lower case"
    if shape.fullmatch(iri) is None:
        return f"it has not the shape of {iri.partition(':')[0]}: IRIs"
    if not _is_iri(iri) or _BAD_ESCAPE.search(iri) or not iri.isprintable():
        return "it holds characters that no IRI has; percent-encode them"
    if _DOT_SEGMENT.search(re.split("[?#]", iri, maxsplit=1)[0]):
        return "it has . or .. as a segment of its path, which stores resolve to another IRI"
    return ""


def _is_iri(text: str) -> bool:
    try:
        ox.NamedNode(text)
    except ValueError:
        return False
    return not re.search(r'[\s<>"{}|\\^`]', text)
