"""RDF from strangers: parsed within bounds, and cut down to what one offering reaches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple, parse

from topology.rdf.json_ld import nests_deeper

OFFERING = NamedNode("https://w3id.org/sedimark/ontology#Offering")
TYPE = NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")

MAXIMUM_NESTING = 100
"""How deep a document may nest. The JSON-LD expansion is recursive and quadratic in depth: 24 KB nested 3,000 deep take
five seconds, and contexts nested as deep overflow the stack, which ends the process."""

SMALL = 32 * 1024
"""Bytes of a document that is parsed in about a millisecond, when nothing in it is quadratic."""

Subject = NamedNode | BlankNode | Triple
Term = NamedNode | BlankNode | Literal | Triple
Statement = tuple[Any, NamedNode, Any]
"""A subject, a predicate and an object. pyoxigraph does not say whether a Triple may be a subject."""


def parse_bounded(
    document: bytes, media: RdfFormat, base_iri: str | None = None, named_graphs: bool = True
) -> list[Quad]:
    """The quads of a document in the format `media`, its blank nodes renamed so that they meet no other document's.

    Relative IRIs are resolved against `base_iri`; without one JSON-LD drops them and the other formats fail.
    With `named_graphs` False a document that names a graph is refused.
    Raises SyntaxError, with what the parser says, when the document is malformed or nests deeper than MAXIMUM_NESTING.
    """
    check_nesting(document, media)
    quads = parse(document, media, base_iri=base_iri, without_named_graphs=not named_graphs, rename_blank_nodes=True)
    return list(quads)


def check_nesting(document: bytes, media: RdfFormat) -> None:
    """Raises SyntaxError when a document nests deeper than MAXIMUM_NESTING, so deep that it must not reach a parser."""
    if media == RdfFormat.JSON_LD:
        too_deep = nests_deeper(document, MAXIMUM_NESTING)
    else:
        too_deep = document.count(b"<<(") > MAXIMUM_NESTING
    if too_deep:
        raise SyntaxError(f"The document nests deeper than {MAXIMUM_NESTING} levels: flatten it.")


def is_quick(document: bytes, media: RdfFormat) -> bool:
    """Whether parse_bounded is surely done with the document within some milliseconds.

    A JSON-LD context within another, or in many places, may be processed anew wherever it is in force: 21 KB take five
    seconds. `\\u` may spell `@context`.
    """
    if len(document) > SMALL:
        return False
    return media != RdfFormat.JSON_LD or (document.count(b"@context") <= 1 and b"\\u" not in document)


class Description:
    """What a document says, by subject, and the `sedimark:Offering`s that it says it of."""

    def __init__(self, quads: Iterable[Quad], default_graph_only: bool = True) -> None:
        """Takes the statements of the default graph, or of all graphs together."""
        self._statements: dict[Subject, list[tuple[NamedNode, Term]]] = {}
        self.offerings: dict[NamedNode, None] = {}
        """Those with an IRI, in the order of the document: one without cannot name a graph."""
        default = DefaultGraph()
        for subject, predicate, value, graph in quads:
            if default_graph_only and graph != default:
                continue
            self._statements.setdefault(subject, []).append((predicate, value))
            if value == OFFERING and predicate == TYPE and isinstance(subject, NamedNode):
                self.offerings[subject] = None

    def reachable(self, offering: NamedNode, follow_blank_nodes: bool = True) -> list[Statement]:
        """What is said of one of the offerings, and of all that its statements lead to, breadth first.

        The search stops at the other offerings: what is said of those is theirs. Without `follow_blank_nodes` it stops
        at blank nodes too: a statement that points to one stays, and what is said of that one goes.
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
