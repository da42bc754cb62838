"""Results that leave a worker in parts."""

from __future__ import annotations

import io

import pyoxigraph
import pytest
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, QueryResultsFormat, RdfFormat, Store

from federation.errors import NotAcceptableError, TooLargeError
from federation.evaluation.output import ResultOutput

SPARQL_XML, RDF_XML, CSV = "application/sparql-results+xml", "application/rdf+xml", "text/csv"
SOLUTIONS = [CSV, SPARQL_XML, "application/sparql-results+json", "text/tab-separated-values"]
GRAPHS = [
    RDF_XML,
    "text/turtle",
    "application/n-triples",
    "application/ld+json",
    "application/n-quads",
    "application/trig",
]
SUBJECT, PREDICATE = NamedNode("urn:s"), NamedNode("urn:p")


@pytest.fixture
def store() -> Store:
    literals = [Literal(f"value {number}\r\n<&>") for number in range(2000)]
    store = Store()
    store.extend(Quad(SUBJECT, PREDICATE, literal, DefaultGraph()) for literal in literals)
    return store


def parts(store: Store, media_type: str, stream_from: int, max_bytes: int = 10**7) -> list[bytes]:
    """Return the parts of everything in a store."""
    sent: list[bytes] = []
    output = ResultOutput(media_type, max_bytes, stream_from, sent.append)
    write(store, media_type, output)
    return [*sent, output.rest()]


def write(store: Store, media_type: str, output: io.BytesIO) -> None:
    text = "SELECT * { ?s ?p ?o } ORDER BY ?o"
    result = store.query(text if media_type in SOLUTIONS else f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ {text} }}")
    if isinstance(result, pyoxigraph.QueryTriples):
        result.serialize(output, RdfFormat.from_media_type(media_type))
    else:
        result.serialize(output, QueryResultsFormat.from_media_type(media_type))


@pytest.mark.parametrize("media_type", [*SOLUTIONS, *GRAPHS])
def test_the_parts_are_the_result(store: Store, media_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.evaluation.output._PART_BYTES", 7000)
    whole = io.BytesIO()
    write(store, media_type, whole)
    expected = whole.getvalue()
    if media_type in (SPARQL_XML, RDF_XML):
        expected = expected.replace(b"\r", b"&#13;")

    found = parts(store, media_type, 10_000)

    assert b"".join(found) == expected
    assert len(found) > 3
    assert parts(store, media_type, 0) == [expected]
    assert parts(store, media_type, len(expected) + 1) == [expected]


def test_a_result_that_is_too_large_is_found_after_some_parts(store: Store) -> None:
    sent: list[bytes] = []
    output = ResultOutput(CSV, 30_000, 10_000, sent.append)
    with pytest.raises(TooLargeError):
        write(store, CSV, output)
    assert 10_000 <= sum(map(len, sent)) <= 30_000


@pytest.mark.parametrize("media_type", [SPARQL_XML, RDF_XML])
@pytest.mark.parametrize("place", range(12))
def test_what_xml_cannot_hold_is_found_across_parts(media_type: str, place: int) -> None:
    """The first part is sent after any byte of it."""
    wrong = "\ufffe" if media_type == SPARQL_XML else "<oxprefix: "
    document = b"<a>" + b"x" * 100 + wrong.encode() + b"y" * 100
    sent: list[bytes] = []
    output = ResultOutput(media_type, 10**6, 103 + place, sent.append)
    with pytest.raises(NotAcceptableError):
        for byte in document:
            output.write(bytes([byte]))
        output.rest()
    assert wrong.encode()[:1] not in b"".join(sent)[3:]


def test_a_row_from_a_query_is_read_again(store: Store) -> None:
    result = pyoxigraph.parse_query_results(b"".join(parts(store, SPARQL_XML, 5000)), QueryResultsFormat.XML)
    assert isinstance(result, pyoxigraph.QuerySolutions)
    assert {solution["o"].value for solution in result} == {f"value {number}\r\n<&>" for number in range(2000)}
