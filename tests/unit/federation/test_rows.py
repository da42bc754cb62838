"""From nodes' rows to quads."""

from __future__ import annotations

import pyoxigraph
import pytest

from topology.federation.errors import SourceFailed, TooLarge
from topology.federation.rows import Rows
from topology.federation.sources import Snapshot, Source
from topology.federation.terms import skolem_label, skolem_suffix

SKOLEM = "https://catena.invalid/.well-known/genid/"
A, B = Source("a", "http://a/"), Source("b", "http://b/")
XSD = "http://www.w3.org/2001/XMLSchema#"


def rows(snapshot: Snapshot | None = None, *, default: bool = False, named: bool = True, most: int = 100) -> Rows:
    return Rows(snapshot or Snapshot((A, B)), lambda graph: default, lambda graph: named, SKOLEM, most)


def row(
    subject: str = "<urn:s>", predicate: str = "<urn:p>", object_: str = "<urn:o>", graph: str = "<urn:g>"
) -> bytes:
    return f"{subject}\t{predicate}\t{object_}\t{graph}\n".encode()


def parsed(pulled: Rows) -> set[pyoxigraph.Quad]:
    return set(pyoxigraph.parse(pulled.quads(), pyoxigraph.RdfFormat.N_QUADS, rename_blank_nodes=False))


@pytest.mark.parametrize(
    ("written", "value", "datatype"),
    [
        ("1", "1", "integer"),
        ("-01", "-01", "integer"),
        ("+3", "+3", "integer"),
        ("1.50", "1.50", "decimal"),
        (".5", ".5", "decimal"),
        ("1e6", "1e6", "double"),
        ("-1.5E-3", "-1.5E-3", "double"),
        (".5e1", ".5e1", "double"),
        ("true", "true", "boolean"),
        ("false", "false", "boolean"),
        ('"1"^^<urn:t>', "1", None),
    ],
)
def test_short_forms_of_literals(written: str, value: str, datatype: str | None) -> None:
    pulled = rows()
    pulled.add(A, 0, row(object_=written))
    expected = pyoxigraph.NamedNode(XSD + datatype if datatype else "urn:t")
    assert {quad.object for quad in parsed(pulled)} == {pyoxigraph.Literal(value, datatype=expected)}


@pytest.mark.parametrize(
    "literal",
    [
        pyoxigraph.Literal('tab\t new\n line\r quote" back\\ slash\\t \b \f \x01 \x85 \u2028 é 𝒳'),
        pyoxigraph.Literal("<urn:g> . _:b <https://catena.invalid/.well-known/genid/x/y>"),
        pyoxigraph.Literal("_:b", language="en-gb"),
        pyoxigraph.Literal(""),
    ],
)
def test_literals_arrive_as_they_are(literal: pyoxigraph.Literal) -> None:
    store = pyoxigraph.Store()
    iri = pyoxigraph.NamedNode
    quad = pyoxigraph.Quad(iri("urn:s"), iri("urn:p"), literal, iri("urn:g"))
    store.add(quad)
    found = store.query("SELECT ?s ?p ?o ?g { GRAPH ?g { ?s ?p ?o } }")
    assert isinstance(found, pyoxigraph.QuerySolutions)
    body = found.serialize(format=pyoxigraph.QueryResultsFormat.TSV)
    assert body
    pulled = rows()
    pulled.add(A, 0, body.partition(b"\n")[2])
    assert parsed(pulled) == {quad}


def test_each_graph_is_read_from_its_holder() -> None:
    pulled = rows(Snapshot((A, B), {"urn:g": "a", "urn:h": "b"}, frozenset({"urn:deleted"})))
    for number, source in enumerate((A, B)):
        for graph in ("urn:g", "urn:h", "urn:own", "urn:deleted"):
            pulled.add(source, number, row(object_=f"<urn:{source.id}>", graph=f"<{graph}>"))
    assert {(str(quad.graph_name)[1:-1], str(quad.object)[1:-1]) for quad in parsed(pulled)} == {
        ("urn:g", "urn:a"),
        ("urn:h", "urn:b"),
        ("urn:own", "urn:a"),
        ("urn:own", "urn:b"),
    }


def test_a_withheld_graph_is_not_shown_although_it_has_a_holder() -> None:
    assert not Snapshot((A,), {"urn:g": "a"}, frozenset({"urn:g"})).keeps("urn:g", "a")


def test_rows_go_where_the_query_looks() -> None:
    default, named, both = rows(default=True, named=False), rows(), rows(default=True)
    for pulled in (default, named, both):
        pulled.add(A, 0, row())
    assert [quad.graph_name for quad in parsed(default)] == [pyoxigraph.DefaultGraph()]
    assert [quad.graph_name for quad in parsed(named)] == [pyoxigraph.NamedNode("urn:g")]
    assert len(parsed(both)) == 2


def test_names_of_graphs() -> None:
    pulled = rows(Snapshot((A, B), {"urn:g": "a", "urn:é": "b"}))
    pulled.add(A, 0, "\t\t\t<urn:g>\n\t\t\t<urn:é>\n".encode())
    pulled.add(B, 0, b"\t\t\t<urn:g>\n\t\t\t<urn:\\u00E9>\n")
    assert (pulled.graphs, pulled.quads()) == ({"urn:g", "urn:é"}, b"")


def test_blank_nodes_of_two_nodes_are_not_the_same() -> None:
    pulled = rows()
    pulled.add(A, 0, row("_:b", object_="_:c") + row("_:c"))
    pulled.add(B, 1, row("_:b"))
    assert pulled.has_blank_nodes
    assert len({quad.subject for quad in parsed(pulled)}) == 3
    assert {str(quad.object) for quad in parsed(pulled)} & {str(quad.subject) for quad in parsed(pulled)} == {"_:n0_c"}


def test_skolem_iris_are_the_same_blank_node_everywhere() -> None:
    pulled = rows()
    pulled.add(A, 0, row(f"<{SKOLEM}abc/c1>"))
    pulled.add(B, 1, row(object_=f"<{SKOLEM}abc/c1>"))
    pulled.add(B, 1, row(f"<{SKOLEM}abc/c2>", f"<{SKOLEM}abc/c1>", f'"<{SKOLEM}abc/c1>"', f"<{SKOLEM}g>"))
    quads = parsed(pulled)
    assert {str(quad.subject) for quad in quads} == {"_:gabc_2Fc1", "_:gabc_2Fc2", "<urn:s>"}
    assert {str(quad.object) for quad in quads} == {"_:gabc_2Fc1", "<urn:o>", f'"<{SKOLEM}abc/c1>"'}
    assert not pulled.has_blank_nodes


@pytest.mark.parametrize("suffix", ["abc/c1", "", "a_2Fb", "ä-.~!$&'()*+,;=:@/?#%41", "_", "__"])
def test_labels_of_skolem_iris_can_be_read_back(suffix: str) -> None:
    label = skolem_label(suffix.encode()).decode()
    assert skolem_suffix(label) == suffix
    assert pyoxigraph.BlankNode(label)


def test_labels_of_other_blank_nodes_are_told_from_them() -> None:
    assert skolem_suffix("n0_gabc") is None
    assert skolem_suffix("00ff00ff") is None


@pytest.mark.parametrize(
    "body",
    [
        b"<urn:s>\n",
        b"a\tb\tc\td\n",
        row(object_="1x"),
        row(graph="urn:g"),
        row(object_=""),
        b"<urn:s>\t<urn:o>\t<urn:g>\n"[:12] + b"\n",
    ],
)
def test_rows_that_are_no_quads_are_the_fault_of_the_node(body: bytes) -> None:
    with pytest.raises(SourceFailed) as caught:
        rows().add(B, 0, body)
    assert caught.value.sources == {"b"}


def test_too_many_quads_are_refused() -> None:
    pulled = rows(most=2)
    pulled.add(A, 0, row() * 2)
    with pytest.raises(TooLarge, match="more than 2 triples"):
        pulled.add(B, 1, row())
