"""SPARQL 1.1 Graph Store HTTP Protocol at the sandbox's node."""

from __future__ import annotations

from typing import Any

import pytest
from pyoxigraph import CanonicalizationAlgorithm, Dataset, Quad, RdfFormat, parse, serialize

from sandbox.made_up_offerings import generate
from tests.unit.sandbox.conftest import Server

TURTLE = {"Content-Type": "text/turtle"}
N_QUADS = {"Content-Type": "application/n-quads", "Accept": "application/n-quads"}
G = "data?graph=https://x.example/g"


def canonical(document: bytes | str, rdf_format: RdfFormat) -> Dataset:
    dataset = Dataset(parse(document, rdf_format))
    dataset.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return dataset


def turtle(answer: Any) -> Dataset:
    assert answer.status_code == 200, answer.text
    return canonical(answer.content, RdfFormat.N_TRIPLES)


def read(node: Server, path: str) -> Dataset:
    return turtle(node.get(path, headers={"Accept": "application/n-triples"}))


@pytest.mark.parametrize("path", [G, "data?default"])
def test_a_graph_is_put_read_added_to_and_deleted(node: Server, path: str) -> None:
    new = 204 if "default" in path else 201
    assert node.put(path, data=b'<a:s> <a:p> "1", [ <a:q> "2" ] .', headers=TURTLE).status_code == new
    assert read(node, path) == canonical('<a:s> <a:p> "1", [ <a:q> "2" ] .', RdfFormat.TURTLE)
    assert node.put(path, data=b'<a:s> <a:p> "3", [ <a:q> "2" ] .', headers=TURTLE).status_code == 204
    assert read(node, path) == canonical('<a:s> <a:p> "3", [ <a:q> "2" ] .', RdfFormat.TURTLE)
    assert node.post(path, data=b'<a:s> <a:p> "4" .', headers=TURTLE).status_code == 204
    assert read(node, path) == canonical('<a:s> <a:p> "3", "4", [ <a:q> "2" ] .', RdfFormat.TURTLE)
    assert node.delete(path).status_code == 204
    gone = node.get(path)
    assert gone.status_code == (200 if "default" in path else 404)
    assert node.delete(path).status_code == (204 if "default" in path else 404)


def test_a_real_description_is_stored_exactly_as_it_came(node: Server) -> None:
    description = generate(1, seed=21)[0].description
    assert node.put(G, data=description, headers={"Content-Type": "application/ld+json"}).status_code == 201
    assert read(node, G) == canonical(description, RdfFormat.JSON_LD)
    assert node.put(G, data=description, headers={"Content-Type": "application/ld+json"}).status_code == 204
    assert read(node, G) == canonical(description, RdfFormat.JSON_LD)


def test_posting_to_a_new_graph_creates_it(node: Server) -> None:
    assert node.post(G, data=b"<a:s> <a:p> <a:o> .", headers=TURTLE).status_code == 201


def test_a_graph_put_empty_does_not_exist(node: Server) -> None:
    node.put(G, data=b"<a:s> <a:p> <a:o> .", headers=TURTLE)
    assert node.put(G, data=b"", headers=TURTLE).status_code == 204
    assert node.get(G).status_code == 404
    assert node.get("graphs").json()["totalCount"] == 0


def test_blank_nodes_of_two_graphs_never_meet(node: Server) -> None:
    for name in "gh":
        path = f"data?graph=https://x.example/{name}"
        node.put(path, data=b'_:same <a:p> "x" .', headers={"Content-Type": "application/n-triples"})
    query = "SELECT * { GRAPH <https://x.example/g> { ?b ?p ?o } GRAPH <https://x.example/h> { ?b ?p ?o } }"
    assert node.get("sparql", params={"query": query}).json()["results"]["bindings"] == []


def test_relative_iris_are_relative_to_the_graph(node: Server) -> None:
    node.put(G, data=b"<> <#p> <other> .", headers=TURTLE)
    expected = "<https://x.example/g> <https://x.example/g#p> <https://x.example/other> ."
    assert read(node, G) == canonical(expected, RdfFormat.N_TRIPLES)


def test_head_tells_without_telling_all(node: Server) -> None:
    assert node.request("HEAD", G).status_code == 404
    node.put(G, data=b"<a:s> <a:p> <a:o> .", headers=TURTLE)
    answer = node.request("HEAD", G, headers={"Accept": "text/turtle"})
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (
        200,
        b"",
        "text/turtle; charset=utf-8",
    )


DATASET = b"""
<a:s> <a:p> "default" .
<a:s> <a:p> _:shared <a:g> .
_:shared <a:p> "named" <a:h> .
<a:s> <a:p> "in a graph that a blank node names" _:graph .
"""


@pytest.mark.parametrize("rdf_format", [RdfFormat.N_QUADS, RdfFormat.TRIG, RdfFormat.JSON_LD])
def test_a_whole_dataset_is_loaded_and_read(node: Server, rdf_format: RdfFormat) -> None:
    body = serialize(parse(DATASET, RdfFormat.N_QUADS), format=rdf_format)
    assert node.post("data", data=body, headers={"Content-Type": rdf_format.media_type}).status_code == 204
    answer = node.get("data", headers={"Accept": rdf_format.media_type})
    assert answer.headers["Content-Type"] == rdf_format.media_type
    assert canonical(answer.content, rdf_format) == canonical(DATASET, RdfFormat.N_QUADS)


def test_posted_quads_are_added_and_put_quads_replace(node: Server) -> None:
    node.post("data", data=DATASET, headers=N_QUADS)
    node.post("data", data=b"<a:1> <a:1> <a:1> <a:g> .", headers=N_QUADS)
    assert len(canonical(node.get("data", headers=N_QUADS).content, RdfFormat.N_QUADS)) == 5
    assert node.put("data", data=b"<a:2> <a:2> <a:2> <a:i> .", headers=N_QUADS).status_code == 204
    assert node.get("data", headers=N_QUADS).content == b"<a:2> <a:2> <a:2> <a:i> .\n"
    assert node.get("graphs").json()["offerings"] == [{"uri": "a:i"}]


@pytest.mark.parametrize("size", [1, 3000])
def test_small_and_large_bodies_are_stored_alike(node: Server, size: int) -> None:
    body = b"".join(b'<a:s> <a:p> "%d", _:b%d .\n_:b%d <a:q> _:b%d .\n' % (n, n, n, n + 1) for n in range(size))
    for _ in range(2):
        node.put(G, data=body, headers=TURTLE)
        stored = node.get(G, headers={"Accept": "application/n-triples"}).content
        assert len(stored.splitlines()) == 3 * size
        assert {line for line in stored.splitlines() if b'"' in line} == {
            b'<a:s> <a:p> "%d" .' % n for n in range(size)
        }


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status", "message"),
    [
        ("PUT", G, b"<a:s> <a:p", "text/turtle", 400, "The body is not Turtle"),
        ("PUT", G, b"<a:s> <a:p> <a:o> <a:g> .", "application/n-quads", 400, "The body is not N-Quads"),
        ("POST", G, b"{}", "application/json5", 415, "is not RDF"),
        ("PUT", "data?graph=relative", b"", "text/turtle", 400, "not an absolute IRI"),
        ("POST", "data", b"<a:s> <a:p", "application/n-quads", 400, "The body is not N-Quads"),
        ("DELETE", "data", b"", "text/turtle", 400, "Say which graph"),
        ("PUT", G, b"#" * 2_000_001, "text/turtle", 413, "size"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(
    node: Server, method: str, path: str, body: bytes, content_type: str, status: int, message: str
) -> None:
    before = [Quad(*quad) for quad in parse(b"<a:s> <a:p> <a:before> <https://x.example/g> .", RdfFormat.N_QUADS)]
    node.post("data", data=serialize(before, format=RdfFormat.N_QUADS), headers=N_QUADS)
    answer = node.request(method, path, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert message in answer.json()["message"]
    assert list(parse(node.get("data", headers=N_QUADS).content, RdfFormat.N_QUADS)) == before
