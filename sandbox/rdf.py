"""Parses untrusted RDF within bounds, and cuts out the reachable part of each offering."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple, parse

from topology.rdf.json_ld import nests_deeper

OFFERING = NamedNode("https://w3id.org/sedimark/ontology#Offering")
TYPE = NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")

MAXIMUM_NESTING = 100
"""The deepest nesting of a document. JSON-LD expansion is recursive and quadratic in depth: 24 KB nested 3,000 deep take five
seconds, and contexts nested as deep overflow the stack, which ends the process."""

SMALL = 32 * 1024
"""Bytes of a document that takes about a millisecond to parse, unless something in it is quadratic."""

Subject = NamedNode | BlankNode | Triple
Term = NamedNode | BlankNode | Literal | Triple
Statement = tuple[Any, NamedNode, Any]
"""A subject, a predicate and an object. pyoxigraph does not say whether a Triple may be a subject."""


def parse_bounded(
    document: bytes, media: RdfFormat, base_iri: str | None = None, named_graphs: bool = True
) -> list[Quad]:
    """Parse a document, and rename its blank nodes apart from those of other documents.

    Args:
        document: The document.
        media: Its format.
        base_iri: The base of relative IRIs; without one, JSON-LD drops them and the other formats fail.
        named_graphs: Whether the document may name graphs.

    Raises:
        SyntaxError: The document is malformed, or nests deeper than MAXIMUM_NESTING.
    """
    check_nesting(document, media)
    quads = parse(document, media, base_iri=base_iri, without_named_graphs=not named_graphs, rename_blank_nodes=True)
    return list(quads)


def check_nesting(document: bytes, media: RdfFormat) -> None:
    """Refuse a document that nests too deep for the parser.

    Raises:
        SyntaxError: It nests deeper than MAXIMUM_NESTING.
    """
    if media == RdfFormat.JSON_LD:
        too_deep = nests_deeper(document, MAXIMUM_NESTING)
    else:
        too_deep = document.count(b"<<(") > MAXIMUM_NESTING
    if too_deep:
        raise SyntaxError(f"The document nests deeper than {MAXIMUM_NESTING} levels: flatten it.")


def is_quick(document: bytes, media: RdfFormat) -> bool:
    """Tell whether parse_bounded surely takes only some milliseconds.

    A JSON-LD parser may process nested or repeated contexts again wherever they apply: 21 KB take five seconds. `\\u` may
    spell `@context`.
    """
    if len(document) > SMALL:
        return False
    return media != RdfFormat.JSON_LD or (document.count(b"@context") <= 1 and b"\\u" not in document)


class DocumentIndex:
    """The statements of a document by subject, and its offerings.

    Args:
        quads: The document's quads.
        default_graph_only: Whether to leave out the named graphs.
    """

    def __init__(self, quads: Iterable[Quad], default_graph_only: bool = True) -> None:
        self._statements: dict[Subject, list[tuple[NamedNode, Term]]] = {}
        self.offerings: dict[NamedNode, None] = {}
        """The offerings with an IRI, which can name a graph, in the order of the document."""
        default = DefaultGraph()
        for subject, predicate, value, graph in quads:
            if default_graph_only and graph != default:
                continue
            self._statements.setdefault(subject, []).append((predicate, value))
            if value == OFFERING and predicate == TYPE and isinstance(subject, NamedNode):
                self.offerings[subject] = None

    def reachable(self, offering: NamedNode, follow_blank_nodes: bool = True) -> list[Statement]:
        """Return the statements that are reachable from an offering, breadth first.

        The search stops at other offerings, which own their statements.

        Args:
            offering: One of the offerings.
            follow_blank_nodes: Whether the search goes beyond blank nodes.
        """
        seen: set[object] = set()
        found: list[Statement] = []
        queue = deque[Any]([offering])
        while queue:
            subject = queue.popleft()
            for predicate, value in self._statements[subject]:
                found.append((subject, predicate, value))
                if value not in self._statements or value in seen or value in self.offerings:
                    continue
                if follow_blank_nodes or not isinstance(value, BlankNode):
                    seen.add(value)
                    queue.append(value)
        return found
