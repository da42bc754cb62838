"""The SEDIMARK catalogue API of the sandbox's node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from pyoxigraph import BlankNode, NamedNode, RdfFormat, Triple, parse, serialize

from sandbox.made_up_offerings import SandboxOffering, generate
from tests.unit.sandbox.conftest import Server

TURTLE = {"Content-Type": "text/turtle"}
PREFIXES = "@prefix s: <https://w3id.org/sedimark/ontology#> . @prefix x: <https://x.example/> .\n"


def put(node: Server, turtle: str) -> dict[str, object]:
    answer = node.put("manager", data=(PREFIXES + turtle).encode(), headers=TURTLE)
    assert answer.status_code == 200, answer.text
    stored: dict[str, object] = answer.json()
    return stored


def graph(node: Server, iri: str) -> set[Triple]:
    answer = node.get(f"manager?graph={quote(iri)}", headers={"Accept": "application/n-triples"})
    assert answer.status_code == 200, answer.text
    return triples(answer.content, RdfFormat.N_TRIPLES)


def triples(document: bytes, rdf_format: RdfFormat) -> set[Triple]:
    return {quad.triple for quad in parse(document, rdf_format)}


def graphs(node: Server) -> list[str]:
    return [offering["uri"] for offering in node.get("graphs").json()["offerings"]]


def ground(found: set[Triple]) -> set[Triple]:
    return {t for t in found if not isinstance(t.subject, BlankNode) and not isinstance(t.object, BlankNode)}


def offering() -> SandboxOffering:
    return generate(1, seed=11)[0]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_offering_is_stored_as_the_graph_that_bears_its_iri(node: Server, method: str) -> None:
    described = triples(offering().description, RdfFormat.JSON_LD)
    answer = node.request(
        method, "manager", data=offering().description, headers={"Content-Type": "application/ld+json"}
    )
    stored = graph(node, offering().iri)
    assert answer.json() == {
        "status": "success",
        "message": "Offerings stored successfully",
        "storedOfferings": [{"uri": offering().iri, "statements": len(stored)}],
        "totalOfferings": 1,
    }
    assert ground(stored) == ground(described)
    assert graphs(node) == [offering().iri]


def test_what_blank_nodes_say_is_dropped_as_the_real_server_does(node: Server) -> None:
    described = triples(offering().description, RdfFormat.JSON_LD)
    node.put("manager", data=offering().description, headers={"Content-Type": "application/ld+json"})
    stored = graph(node, offering().iri)
    assert any(isinstance(triple.subject, BlankNode) for triple in described)
    assert not any(isinstance(triple.subject, BlankNode) for triple in stored)
    assert any(isinstance(triple.object, BlankNode) for triple in stored)


def test_a_skolemised_offering_is_kept_whole_in_whatever_format_it_comes(node: Server) -> None:
    def skolem(term: Any) -> Any:
        return NamedNode(f"urn:blank:{term.value}") if isinstance(term, BlankNode) else term

    described = {
        Triple(skolem(t.subject), t.predicate, skolem(t.object))
        for t in triples(offering().description, RdfFormat.JSON_LD)
    }
    for rdf_format in (RdfFormat.N_TRIPLES, RdfFormat.TURTLE, RdfFormat.JSON_LD, RdfFormat.RDF_XML):
        body = serialize(described, format=rdf_format)
        assert node.put("manager", data=body, headers={"Content-Type": rdf_format.media_type}).status_code == 200
        assert graph(node, offering().iri) == described
        node.delete(f"manager?graph={quote(offering().iri)}")


def test_a_graph_is_replaced_not_added_to(node: Server) -> None:
    put(node, 'x:o a s:Offering ; x:p "kept", "old" .')
    put(node, 'x:o a s:Offering ; x:p "kept", "new" .')
    assert {str(t.object) for t in graph(node, "https://x.example/o") if t.predicate.value.endswith("/p")} == {
        '"kept"',
        '"new"',
    }
    put(node, 'x:o a s:Offering ; x:p [], "kept" .')
    put(node, "x:o a s:Offering ; x:p [] .")
    assert len(graph(node, "https://x.example/o")) == 2


def test_a_document_may_hold_several_offerings(node: Server) -> None:
    stored = put(
        node,
        'x:1 a s:Offering ; x:p x:2, x:shared . x:2 a s:Offering ; x:p x:shared . x:shared x:p "s" . x:other x:p x:1 .',
    )
    assert stored["totalOfferings"] == 2
    assert {s["uri"]: s["statements"] for s in stored["storedOfferings"]} == {  # type: ignore[attr-defined]
        "https://x.example/1": 4,
        "https://x.example/2": 3,
    }
    assert graphs(node) == ["https://x.example/1", "https://x.example/2"]


def test_offerings_are_replaced_together_with_new_ones(node: Server) -> None:
    put(node, 'x:1 a s:Offering ; x:p "old" .')
    put(node, 'x:1 a s:Offering ; x:p "new" . x:2 a s:Offering ; x:p [ ] .')
    assert len(graph(node, "https://x.example/1")) == 2
    assert len(graph(node, "https://x.example/2")) == 2


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"{}", "application/ld+json", 400, "No offering found"),
        (b"", "text/turtle", 400, "No offering found"),
        (b'{"@id":', "application/ld+json", 400, "The body is not JSON-LD"),
        (b"<a:a> <b", "text/turtle", 400, "The body is not Turtle"),
        (b"[] a <https://w3id.org/sedimark/ontology#Offering> .", "text/turtle", 400, "No offering found"),
        (b"title,price", "text/csv", 415, "is not RDF"),
        (b" " * 2_000_001, "text/turtle", 413, "size"),
        (b'{"@id":"' + b"x" * 100_000, "application/ld+json", 400, "The body is not JSON-LD"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    node: Server, body: bytes, content_type: str, status: int, message: str
) -> None:
    answer = node.put("manager", data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert message in answer.json()["message"]
    assert graphs(node) == []


@pytest.mark.parametrize(
    ("accept", "content_type", "rdf_format"),
    [
        (None, "application/ld+json", RdfFormat.JSON_LD),
        ("*/*", "application/ld+json", RdfFormat.JSON_LD),
        ("text/html", "application/ld+json", RdfFormat.JSON_LD),
        ("text/turtle", "text/turtle; charset=utf-8", RdfFormat.TURTLE),
        ("application/n-triples", "application/n-triples", RdfFormat.N_TRIPLES),
        ("application/ld+json;q=0.1, application/rdf+xml;q=0.9", "application/rdf+xml", RdfFormat.RDF_XML),
    ],
)
def test_a_graph_is_read_in_the_format_asked_for(
    node: Server, accept: str | None, content_type: str, rdf_format: RdfFormat
) -> None:
    put(node, 'x:o a s:Offering ; x:p "é" .')
    answer = node.get("manager?graph=https://x.example/o", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert triples(answer.content, rdf_format) == graph(node, "https://x.example/o")


def test_a_deleted_graph_is_gone(node: Server) -> None:
    put(node, "x:o a s:Offering .")
    assert node.delete("manager?graph=https://x.example/o").json()["status"] == "success"
    for answer in (node.delete("manager?graph=https://x.example/o"), node.get("manager?graph=https://x.example/o")):
        assert answer.status_code == 404
        assert answer.json() == {"status": "error", "message": "Graph not found: https://x.example/o"}
    assert graphs(node) == []


@pytest.mark.parametrize("query", ["", "?graph=", "?graph=relative", "?graph=http://a%3Cb"])
def test_a_graph_must_be_named_by_an_iri(node: Server, query: str) -> None:
    assert node.get(f"manager{query}").status_code == 400
    assert node.delete(f"manager{query}").status_code == 400


def test_graphs_are_counted(node: Server) -> None:
    empty = node.get("graphs").json()
    assert (empty["status"], empty["totalCount"], empty["offerings"]) == ("success", 0, [])
    put(node, "x:1 a s:Offering . x:2 a s:Offering .")
    counted = node.get("graphs").json()
    assert set(counted) == {"status", "message", "totalCount", "offerings", "timestamp"}
    assert counted["totalCount"] == 2
    assert counted["offerings"] == [{"uri": "https://x.example/1"}, {"uri": "https://x.example/2"}]


def test_a_graph_that_an_update_empties_does_not_exist(node: Server) -> None:
    put(node, "x:o a s:Offering .")
    update = "DELETE WHERE { GRAPH ?g { ?s ?p ?o } }"
    assert node.post("update", data={"update": update}).status_code == 204
    assert graphs(node) == []
    assert node.get("manager?graph=https://x.example/o").status_code == 404


def test_a_reader_never_meets_a_graph_half_replaced(node: Server) -> None:
    """While a graph is written over and over, with blank nodes and without, every query finds one version whole."""
    size = 200
    versions = [
        "x:o a s:Offering ; x:version " + ", ".join(f'"{version}-{n}"' for n in range(size)) + blank + " ."
        for version, blank in enumerate(["", " ; x:q []", "", " ; x:r []"])
    ]
    put(node, versions[0])
    query = "SELECT ?v { GRAPH ?g { ?o <https://x.example/version> ?v } }"

    def write() -> None:
        for turn in range(60):
            put(node, versions[turn % len(versions)])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        reads = 0
        while not writing.done() or reads < 20:
            bindings = node.get("sparql", params={"query": query}).json()["results"]["bindings"]
            values = [row["v"]["value"] for row in bindings]
            assert len(values) == size
            assert len({value.split("-")[0] for value in values}) == 1
            reads += 1
        writing.result()


def test_a_document_that_takes_long_to_parse_holds_nothing_else_up(node: Server) -> None:
    terms = ",".join(f'"t{n}":"a:{n}"' for n in range(400))
    nodes = ",".join(['{"p":{}}'] * 800)
    scoped = '{"@context":{"p":{"@id":"a:p","@context":{' + terms + '}}},"@graph":[' + nodes + "]}"
    with ThreadPoolExecutor(1) as pool:
        parsing = pool.submit(lambda: node.put("manager", data=scoped, headers={"Content-Type": "application/ld+json"}))
        meanwhile = 0
        while not parsing.done():
            node.get("health", timeout=3)
            meanwhile += 1
        assert parsing.result().status_code == 400
        assert meanwhile > 5
