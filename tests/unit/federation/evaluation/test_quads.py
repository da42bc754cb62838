"""Quads are read as they were written, and a document that is none is an error of its own kind."""

from __future__ import annotations

import pytest
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Store

from federation.errors import UnreadableQuadsError
from federation.evaluation.quads import add_graphs, read_quads


def test_read_quads_keeps_the_labels_of_blank_nodes() -> None:
    (quad,) = read_quads(b'_:label <urn:p> "x" <urn:g> .\n')

    assert quad == Quad(BlankNode("label"), NamedNode("urn:p"), Literal("x"), NamedNode("urn:g"))


def test_read_quads_is_lenient_with_iris_that_some_nodes_hold() -> None:
    (quad,) = read_quads(b"<urn:a> <urn:p> <http://a.example/a|b> <urn:g> .\n")

    assert str(quad.object) == "<http://a.example/a|b>"


@pytest.mark.parametrize("document", [b"<urn:a> <urn:p>", b"<html>", b"\xff\xfe", b'<urn:a> <urn:p> "x" "g" .'])
def test_read_quads_of_what_is_none_is_an_error(document: bytes) -> None:
    with pytest.raises(UnreadableQuadsError):
        list(read_quads(b"<urn:a> <urn:p> <urn:b> .\n" + document))


def test_a_quad_that_is_too_long_to_read_is_no_lack_of_memory() -> None:
    with pytest.raises(UnreadableQuadsError, match="16 MiB"):
        list(read_quads(b'<urn:a> <urn:p> "%b" .\n' % (b"x" * 2**24)))


def test_add_graphs_adds_empty_ones_and_skips_names_that_are_no_iris() -> None:
    store = Store()
    add_graphs(store, ["urn:a", "no iri", "", "urn:b"])

    assert {str(graph) for graph in store.named_graphs()} == {"<urn:a>", "<urn:b>"}
