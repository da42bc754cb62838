"""Turns the description of an offering into the graph that nodes store.

The graph of an offering is the part of its description that is reachable from its one ``sedimark:Offering``. A SEDIMARK
catalogue stores that part, so all kinds of nodes hold the same graph. Its blank nodes are named after their canonical labels
(RDF Dataset Canonicalization, RDFC-1.0, https://www.w3.org/TR/rdf-canon/). So a description always becomes the same text, and
digests can be compared.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import Any

import pyoxigraph as ox

from catena_core.errors import RejectedError
from federation import skolem
from topology.rdf.json_ld import read_json_ld

OFFERING = ox.NamedNode("https://w3id.org/sedimark/ontology#Offering")
_DEFAULT_GRAPH = ox.DefaultGraph()
# Only a line of N-Triples with a blank subject begins so, and only one with a blank object ends so.
_BLANK_SUBJECT = re.compile(r"^_:(c14n\d+)", re.MULTILINE)
_BLANK_OBJECT = re.compile(r"(?<=> )_:(c14n\d+)(?= \.$)", re.MULTILINE)
_TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")

# RDFC-1.0 tries every order of blank nodes that look alike to their neighbours. With crafted graphs that takes years
# (https://www.w3.org/TR/rdf-canon/#security-considerations).
_MOST_ORDERS = 20_000
# So few nodes with so few statements are canonicalised in milliseconds, even if they all look alike.
_FEW = 6
_LITTLE = 200
_MOST_CHARACTERS = 10_000_000  # one Kafka message carries a whole graph, within JSON


@dataclass(frozen=True, slots=True)
class Description:
    """An offering's graph.

    Attributes:
        graph: The offering's IRI.
        triples: Its canonical N-Triples, one per line, sorted.
        digest: SHA-256 of that text, in hexadecimal.
    """

    graph: str
    triples: str
    digest: str


def read_description(document: bytes, source: str, contexts: Mapping[str, Any] | None = None) -> Description:
    """Read a JSON-LD description.

    Args:
        document: The document, UTF-8.
        source: Its URI, the base of relative IRIs.
        contexts: The known JSON-LD contexts by URL; no context is ever fetched.

    Raises:
        RejectedError: The document is not JSON-LD, refers to an unknown context, does not describe exactly one offering, or
            would take too long to canonicalise.
    """
    quads = read_json_ld(document, source, contexts or {})
    triples = [quad.triple for quad in quads if quad.graph_name == _DEFAULT_GRAPH]
    offerings = {triple.subject for triple in triples if triple.object == OFFERING and triple.predicate == _TYPE}
    if len(offerings) != 1:
        raise RejectedError(
            f"the description holds {len(offerings)} resources of type {OFFERING.value}, not exactly one"
        )
    (offering,) = offerings
    if not isinstance(offering, ox.NamedNode):
        raise RejectedError("the offering has no IRI: give it an @id")
    text = canonical_text(reachable(triples, offering), offering.value)
    if len(text) > _MOST_CHARACTERS:
        raise RejectedError(f"the description's graph has {len(text)} characters, more than {_MOST_CHARACTERS}")
    return Description(offering.value, text, digest(text))


def reachable(triples: Iterable[ox.Triple], start: ox.NamedNode) -> list[ox.Triple]:
    """Return the triples that are reachable from a resource, from subjects to objects."""
    by_subject: dict[Any, list[ox.Triple]] = defaultdict(list)
    for triple in triples:
        by_subject[triple.subject].append(triple)
    found: list[ox.Triple] = []
    waiting: list[Any] = [start]
    while waiting:
        for triple in by_subject.pop(waiting.pop(), ()):
            found.append(triple)
            if triple.object in by_subject:
                waiting.append(triple.object)
    return found


def canonical_text(triples: Iterable[ox.Triple], graph: str) -> str:
    """Write a graph as canonical N-Triples, with IRIs for blank nodes.

    Args:
        triples: The graph.
        graph: Its IRI, which keeps its blank nodes apart from those of other graphs.

    Raises:
        RejectedError: Too many of its blank nodes look alike, or it uses the IRIs that stand for blank nodes.
    """
    dataset = ox.Dataset(ox.Quad(*triple) for triple in triples)
    check_symmetry(dataset)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    serialized = ox.serialize((quad.triple for quad in dataset), format=ox.RdfFormat.N_TRIPLES)
    assert serialized is not None
    text = serialized.decode()
    if skolem.PREFIX in text and any(map(_is_forged, dataset)):
        raise RejectedError(f"the description uses IRIs below {skolem.PREFIX}, which stand for blank nodes here")
    if "_:" in text:
        named = rf"<{skolem.skolem_iri(graph, '')}\1>"
        text = _BLANK_OBJECT.sub(named, _BLANK_SUBJECT.sub(named, text))
    # splitlines() would also split at the Unicode line breaks that a literal may hold.
    return "".join(f"{line}\n" for line in sorted(text.split("\n")[:-1]))


def _is_forged(quad: ox.Quad) -> bool:
    terms = (term.datatype if isinstance(term, ox.Literal) else term for term in quad.triple)
    return any(isinstance(term, ox.NamedNode) and term.value.startswith(skolem.PREFIX) for term in terms)


def digest(triples: str) -> str:
    """Return the digest that copies of a graph are compared by: SHA-256 of the canonical text, in hexadecimal."""
    return hashlib.sha256(triples.encode()).hexdigest()


# A graph goes to several nodes within a short time.
@lru_cache(maxsize=128)
def to_json_ld(triples: str) -> bytes:
    """Convert N-Triples to JSON-LD, for SEDIMARK catalogues."""
    parsed = ox.parse(triples, format=ox.RdfFormat.N_TRIPLES)
    result = ox.serialize((quad.triple for quad in parsed), format=ox.RdfFormat.JSON_LD)
    assert result is not None
    return result


def check_symmetry(quads: Iterable[ox.Quad]) -> None:
    """Refuse graphs for which RDFC-1.0 would try too many orders.

    It names blank nodes at once if their own statements tell them apart (section 4.6, Hash First Degree Quads). For the others
    it tries orders (section 4.8, Hash N-Degree Quads): the orders of each node's alike neighbours, multiplied along every
    connected group.

    Raises:
        RejectedError: It would try more than 20,000 orders.
    """
    mentions: dict[Any, list[str]] = defaultdict(list)
    edges: list[tuple[Any, str, Any]] = []
    for quad in quads:
        ends = quad.subject, quad.object
        blank = [isinstance(end, ox.BlankNode) for end in ends]
        if not any(blank):
            continue
        if all(blank):
            edges.append((quad.subject, quad.predicate.value, quad.object))
        for place, end in enumerate(ends):
            if blank[place]:
                subject, object_ = (
                    "_" if other == end else "?" if isinstance(other, ox.BlankNode) else str(other) for other in ends
                )
                mentions[end].append(f"{place} {subject} {quad.predicate} {object_}")
    if len(mentions) <= _FEW and sum(map(len, mentions.values())) <= _LITTLE:
        return
    known: dict[str, int] = {}
    look_of = {node: known.setdefault("\n".join(sorted(lines)), len(known)) for node, lines in mentions.items()}
    looks = Counter(look_of.values())
    neighbours: dict[Any, list[tuple[str, Any]]] = defaultdict(list)
    for subject_, predicate, object__ in edges:
        if subject_ != object__ and looks[look_of[subject_]] > 1 and looks[look_of[object__]] > 1:
            neighbours[subject_].append((f"> {predicate} {look_of[object__]}", object__))
            neighbours[object__].append((f"< {predicate} {look_of[subject_]}", subject_))
    said_of = {node: len(lines) for node, lines in mentions.items()}
    if sum(_orders(group, neighbours, said_of) for group in _connected(neighbours)) > _MOST_ORDERS:
        raise RejectedError("too many blank nodes of the description look alike to canonicalise it; give them IRIs")


def _connected(neighbours: Mapping[Any, list[tuple[str, Any]]]) -> Iterator[list[Any]]:
    seen: set[Any] = set()
    for start in neighbours:
        if start in seen:
            continue
        seen.add(start)
        group = [start]
        for node in group:
            for _, other in neighbours[node]:
                if other not in seen:
                    seen.add(other)
                    group.append(other)
        yield group


def _orders(group: list[Any], neighbours: Mapping[Any, list[tuple[str, Any]]], said_of: Mapping[Any, int]) -> int:
    # RDFC-1.0 also walks from each node along all others, and reads the statements of each.
    orders = sum(said_of[node] for node in group) ** 2 // 4
    for node in group:
        for alike in Counter(look for look, _ in neighbours[node]).values():
            orders *= factorial(min(alike, 20))
            if orders > _MOST_ORDERS:
                return orders
    return orders
