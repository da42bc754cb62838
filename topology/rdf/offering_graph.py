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
from catena_core.text import bounded
from federation import skolem
from topology.rdf.graph_name import check_graph_name
from topology.rdf.iri import may_have_risks, risk_of
from topology.rdf.json_ld import NoDescriptionError, read_json_ld
from topology.rdf.statements import DEFAULT_GRAPH, Statements

Row = tuple[str, str, str]
"""A subject, a predicate and an object, as N-Triples writes them."""

OFFERING = "https://w3id.org/sedimark/ontology#Offering"
_IS_OFFERING = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", f"<{OFFERING}>"
_FORGED = f"<{skolem.PREFIX}"
# Only a line of N-Triples with a blank subject begins so, and only one with a blank object ends so.
_BLANK_SUBJECT = re.compile(r"^_:c14n(\d+)", re.MULTILINE)
_BLANK_OBJECT = re.compile(r"(?<=> )_:c14n(\d+)(?= \.$)", re.MULTILINE)

# RDFC-1.0 tries every order of blank nodes that look alike to their neighbours. With crafted graphs that takes years
# (https://www.w3.org/TR/rdf-canon/#security-considerations).
_MOST_ORDERS = 20_000
# So few nodes with so few statements are canonicalised in milliseconds, even if they all look alike.
_FEW = 6
_LITTLE = 200
_FEW_STATEMENTS = 2000
_MOST_RISKS = 5
_LONGEST_HINT = 300
_MOST_CHARACTERS = 10_000_000  # one Kafka message carries a whole graph, within JSON


@dataclass(frozen=True, slots=True)
class Description:
    """An offering's graph.

    Attributes:
        graph: The offering's IRI.
        triples: Its canonical N-Triples, one per line, sorted.
        digest: SHA-256 of that text, in hexadecimal.
        dropped: The number of the document's statements that were left out, since a term of theirs is not well-formed.
        reasons: The reasons for that, the first few of them.
        risks: IRIs that some nodes change or drop, each with the reason, the first few of them.
    """

    graph: str
    triples: str
    digest: str
    dropped: int = 0
    reasons: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()


def read_description(
    document: bytes, source: str, contexts: Mapping[str, Any] | None = None, linked: str = ""
) -> Description:
    """Read a JSON-LD description.

    Args:
        document: The document, UTF-8.
        source: Its URI, the base of relative IRIs.
        contexts: The known JSON-LD contexts by URL; no context is ever fetched.
        linked: The URL of the context that its provider names in a header; empty: none.

    Raises:
        NoDescriptionError: The document is not JSON, or describes no offering.
        RejectedError: The document is not JSON-LD, refers to an unknown context, does not describe exactly one offering, or
            would take too long to canonicalise. Or the offering's IRI must not name a graph.
    """
    read = read_json_ld(document, source, contexts or {}, linked)
    rows = [row[:3] for row in read.rows if row[3] == DEFAULT_GRAPH]
    offerings = {row[0] for row in rows if row[1:] == _IS_OFFERING}
    if len(offerings) != 1:
        problem = f"the description holds {len(offerings)} resources of type {OFFERING}, not exactly one"
        raise RejectedError(problem) if offerings else NoDescriptionError(problem + _hints(read))
    (offering,) = offerings
    if offering.startswith("_:"):
        raise RejectedError("the offering has no IRI: give it an @id")
    name = offering[1:-1]
    check_graph_name(name)
    graph = reachable(rows, offering)
    # Canonicalisation takes most of the time of a large graph, and makes it no smaller.
    if len(graph) > _FEW_STATEMENTS:
        _check_size(_least_characters(graph, name))
    text = canonical_text(graph, name)
    _check_size(len(text))
    return Description(name, text, digest(text), read.dropped, tuple(read.reasons), _risks(text, graph))


def _hints(read: Statements) -> str:
    """Return what may explain that a document describes no offering."""
    found = f"; statements left out: {'; '.join(read.reasons)}" if read.dropped else ""
    if any(row[1:3] == _IS_OFFERING for row in read.rows):
        return (
            f"{found}; one stands in a named graph, not in the default graph: take the @id away from beside its @graph"
        )
    types = sorted({row[2] for row in read.rows if row[1] == _IS_OFFERING[0]})
    return found + (f"; it holds resources of type {bounded(', '.join(types), _LONGEST_HINT)}" if types else "")


def reachable(rows: Iterable[Row], start: str) -> list[Row]:
    """Return the rows that are reachable from a resource, from subjects to objects, each once."""
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        by_subject[row[0]].append(row)
    found: list[Row] = []
    waiting = [start]
    while waiting:
        rows_of_subject = by_subject.pop(waiting.pop(), [])
        found += rows_of_subject
        waiting += [row[2] for row in rows_of_subject if row[2] in by_subject]
    return found


def _risks(text: str, graph: Iterable[Row]) -> tuple[str, ...]:
    """Return the IRIs of a graph that some nodes change or drop."""
    if not may_have_risks(text):
        return ()
    iris = {term[1:-1] for row in graph for term in row if term.startswith("<")}
    found = [f"<{iri[:200]}>: {risk}" for iri in sorted(iris) if (risk := risk_of(iri))]
    return tuple(found[:_MOST_RISKS])


def _least_characters(graph: Iterable[Row], name: str) -> int:
    """Return the length of a graph's canonical text, but for the digits of blank nodes' labels."""
    blank = len(f"<{skolem.skolem_iri(name, 'c14n0')}>")
    return sum(sum(blank if _is_blank(term) else len(term) for term in row) + len("  .\n") for row in graph)


def _check_size(characters: int) -> None:
    if characters > _MOST_CHARACTERS:
        raise RejectedError(f"the description's graph has {characters} characters or more, over {_MOST_CHARACTERS}")


def canonical_text(triples: Iterable[ox.Triple] | Iterable[Row], graph: str) -> str:
    """Write a graph as canonical N-Triples, with IRIs for blank nodes.

    Args:
        triples: The graph.
        graph: Its IRI, which keeps its blank nodes apart from those of other graphs.

    Raises:
        RejectedError: Too many of its blank nodes look alike, or it uses the IRIs that stand for blank nodes.
    """
    rows = {(str(subject), str(predicate), str(value)) for subject, predicate, value in triples}
    lines = {_line(*row) for row in rows}
    if any(skolem.PREFIX in line for line in lines) and any(map(_is_forged, rows)):
        raise RejectedError(f"the description uses IRIs below {skolem.PREFIX}, which stand for blank nodes here")
    with_blank = [row for row in rows if _is_blank(row[0]) or _is_blank(row[2])]
    if with_blank:
        numbers = _numbers_by_own_statements(with_blank)
        if numbers is None:
            return _text_by_all_statements(lines, graph)
        prefix = skolem.skolem_iri(graph, "c14n")
        names = {label: f"<{prefix}{number}>" for label, number in numbers.items()}
        lines.difference_update(_line(*row) for row in with_blank)
        lines.update(_line(names.get(row[0], row[0]), row[1], names.get(row[2], row[2])) for row in with_blank)
    return "".join(sorted(lines))


def _numbers_by_own_statements(rows: Iterable[Row]) -> dict[str, int] | None:
    """Return the canonical numbers of blank nodes; ``None`` if their own statements do not tell all of them apart.

    It is the first half of RDFC-1.0: it hashes the statements of each blank node (section 4.6, Hash First Degree Quads), and
    numbers them in the order of the hashes (section 4.4.3, step 4), unless hashes are alike.
    """
    mentions: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for label in {term for term in (row[0], row[2]) if _is_blank(term)}:
            subject, value = (
                "_:a" if term == label else "_:z" if _is_blank(term) else term for term in (row[0], row[2])
            )
            mentions[label].append(_line(subject, row[1], value))
    hashes = {hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(): label for label, lines in mentions.items()}
    if len(hashes) < len(mentions):
        return None
    return {hashes[key]: number for number, key in enumerate(sorted(hashes))}


def _text_by_all_statements(lines: Iterable[str], graph: str) -> str:
    """Write a graph of which some blank nodes differ only by the blank nodes around them."""
    parsed = ox.parse("".join(lines), format=ox.RdfFormat.N_TRIPLES, lenient=True)
    dataset = ox.Dataset(parsed)
    check_symmetry(dataset)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    text = sorted_text(quad.triple for quad in dataset)
    named = rf"<{skolem.skolem_iri(graph, 'c14n')}\1>"
    return _sort(_BLANK_OBJECT.sub(named, _BLANK_SUBJECT.sub(named, text)))


def _line(subject: str, predicate: str, value: str) -> str:
    return f"{subject} {predicate} {value} .\n"


def _is_blank(term: str) -> bool:
    return term.startswith("_:")


def sorted_text(triples: Iterable[ox.Triple]) -> str:
    """Write triples as N-Triples, one a line, sorted: the canonical text of a graph without blank nodes."""
    serialized = ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES)
    assert serialized is not None
    return _sort(serialized.decode())


def _sort(text: str) -> str:
    # splitlines() would also split at the Unicode line breaks that a literal may hold.
    return "".join(f"{line}\n" for line in sorted(text.split("\n")[:-1]))


def _is_forged(row: Row) -> bool:
    terms = (term[term.rindex('"') + 3 :] if term.startswith('"') and term.endswith(">") else term for term in row)
    return any(term.startswith(_FORGED) for term in terms)


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
    said = [(subject, predicate, value) for subject, predicate, value, _ in quads]
    blank_ends = [end for subject, _, value in said for end in (subject, value) if isinstance(end, ox.BlankNode)]
    if len(blank_ends) <= _LITTLE and len(set(blank_ends)) <= _FEW:
        return
    mentions: dict[Any, list[str]] = defaultdict(list)
    edges: list[tuple[Any, str, Any]] = []
    for subject, predicate, value in said:
        ends = subject, value
        blank = [isinstance(end, ox.BlankNode) for end in ends]
        if all(blank):
            edges.append((subject, predicate.value, value))
        for place, end in enumerate(ends):
            if blank[place]:
                first, last = (
                    "_" if other == end else "?" if isinstance(other, ox.BlankNode) else str(other) for other in ends
                )
                mentions[end].append(f"{place} {first} {predicate} {last}")
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
