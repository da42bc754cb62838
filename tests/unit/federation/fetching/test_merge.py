"""From nodes' rows to quads."""

from __future__ import annotations

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.analysis.plan import DEFAULT_GRAPH, PushedBGP
from federation.errors import SourceFailedError, TooLargeError, UnreadableRowsError
from federation.fetching.merge import MergedQuads, skolem_label, skolem_suffix
from federation.fetching.terms import in_full, iri
from federation.source_selection import Source

SKOLEM = "https://catena.invalid/.well-known/genid/"
A, B = Source("a", "http://a/"), Source("b", "http://b/")
XSD = "http://www.w3.org/2001/XMLSchema#"


def rows(*, default: bool = False, named: bool = True, most: int = 100) -> MergedQuads:
    return MergedQuads(None if default else frozenset(), None if named else frozenset(), SKOLEM, most)


def anything(graph: str) -> bool:
    return True


def row(
    subject: str = "<urn:s>", predicate: str = "<urn:p>", object_: str = "<urn:o>", graph: str = "<urn:g>"
) -> bytes:
    return f"{subject}\t{predicate}\t{object_}\t{graph}\n".encode()


def parsed(pulled: MergedQuads) -> set[pyoxigraph.Quad]:
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
    pulled.add(A, 0, row(object_=written), anything)
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
    pulled.add(A, 0, body.partition(b"\n")[2], anything)
    assert parsed(pulled) == {quad}


def test_graphs_that_do_not_count_are_left_out() -> None:
    pulled = rows()
    pulled.add(
        A, 0, row(graph="<urn:g>") + row(graph="<urn:h>") + row(graph="<urn:\\u00E9>"), {"urn:g", "urn:é"}.__contains__
    )
    assert {str(quad.graph_name)[1:-1] for quad in parsed(pulled)} == {"urn:g", "urn:é"}


def test_rows_go_where_the_query_looks() -> None:
    default, named, both = rows(default=True, named=False), rows(), rows(default=True)
    for pulled in (default, named, both):
        pulled.add(A, 0, row(), anything)
    assert [quad.graph_name for quad in parsed(default)] == [pyoxigraph.DefaultGraph()]
    assert [quad.graph_name for quad in parsed(named)] == [pyoxigraph.NamedNode("urn:g")]
    assert len(parsed(both)) == 2


def test_what_is_about_other_things_can_be_forgotten() -> None:
    pulled = rows(default=True, named=False)
    skolem = f"<{SKOLEM}abc/c1>"
    pulled.add(A, 0, row("<urn:other>") + row("<urn:\\u00E9>") + row(skolem), anything)
    pulled.add(B, 1, row("_:b") + row("<urn:s>", object_="<urn:other>") + row("<urn:other>"), anything)
    pulled.retain({"<urn:s>", "<urn:é>", skolem})
    label = skolem_label(b"abc/c1").decode()
    assert {str(quad.subject) for quad in parsed(pulled)} == {"<urn:é>", f"_:{label}", "<urn:s>"}


def test_names_of_graphs() -> None:
    pulled = rows()
    pulled.add(A, 0, "\t\t\t<urn:g>\n\t\t\t<urn:é>\n".encode(), {"urn:g"}.__contains__)
    pulled.add(B, 0, b"\t\t\t<urn:g>\n\t\t\t<urn:\\u00E9>\n", {"urn:é"}.__contains__)
    assert (pulled.graphs, pulled.quads()) == ({"urn:g", "urn:é"}, b"")


def test_blank_nodes_of_two_nodes_are_not_the_same() -> None:
    pulled = rows()
    pulled.add(A, 0, row("_:b", object_="_:c") + row("_:c"), anything)
    pulled.add(B, 1, row("_:b"), anything)
    assert len({quad.subject for quad in parsed(pulled)}) == 3
    assert {str(quad.object) for quad in parsed(pulled)} & {str(quad.subject) for quad in parsed(pulled)} == {"_:n0_c"}


def test_skolem_iris_are_the_same_blank_node_everywhere() -> None:
    pulled = rows()
    pulled.add(A, 0, row(f"<{SKOLEM}abc/c1>"), anything)
    pulled.add(B, 1, row(object_=f"<{SKOLEM}abc/c1>"), anything)
    pulled.add(B, 1, row(f"<{SKOLEM}abc/c2>", f"<{SKOLEM}abc/c1>", f'"<{SKOLEM}abc/c1>"', f"<{SKOLEM}g>"), anything)
    quads = parsed(pulled)
    assert {str(quad.subject) for quad in quads} == {"_:gabc_2Fc1", "_:gabc_2Fc2", "<urn:s>"}
    assert {str(quad.object) for quad in quads} == {"_:gabc_2Fc1", "<urn:o>", f'"<{SKOLEM}abc/c1>"'}


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
        row('"literal"'),
        row("<<( <urn:s> <urn:p> <urn:o> )>>"),
        row("<relative>"),
        row(predicate='"literal"'),
        row(predicate="_:b"),
        row(graph="<relative>"),
        row(graph="<>"),
        b"<urn:s>\t<urn:o>\t<urn:g>\n"[:12] + b"\n",
    ],
)
def test_rows_that_are_no_quads_are_the_fault_of_the_node(body: bytes) -> None:
    with pytest.raises(SourceFailedError) as caught:
        rows().add(B, 0, body, anything)
    assert caught.value.sources == {"b"}


def test_too_many_quads_are_refused() -> None:
    pulled = rows(most=2)
    pulled.add(A, 0, row() * 2, anything)
    with pytest.raises(TooLargeError, match="more than 2 triples"):
        pulled.add(B, 1, row(), anything)


JOIN = PushedBGP(DEFAULT_GRAPH, (("?0", "<urn:p>", "?1"), ("?1", "<urn:q>", '"?x"'), ("?1", "?2", "?3")))
BLOCKS = {b"<urn:block:0>": JOIN}


def match(*terms: str, kind: str = "<urn:block:0>", graph: str = "<urn:g>") -> bytes:
    return "\t".join((kind, *terms, graph)).encode() + b"\n"


def watching() -> MergedQuads:
    return MergedQuads(frozenset(), None, SKOLEM, 100, [JOIN])


def test_a_match_of_a_block_is_the_quads_that_its_patterns_matched() -> None:
    pulled = rows()
    pulled.add(A, 0, match("<urn:s>", "<urn:t>", "<urn:r>", "5"), anything, BLOCKS)
    assert {str(quad.triple) for quad in parsed(pulled)} == {
        "<urn:s> <urn:p> <urn:t>",
        '<urn:t> <urn:q> "?x"',
        f'<urn:t> <urn:r> "5"^^<{XSD}integer>',
    }


def test_quads_of_many_matches_count_once() -> None:
    pulled = rows()
    pulled.add(A, 0, b"".join(match("<urn:s>", "<urn:t>", "<urn:r>", str(n)) for n in range(10)), anything, BLOCKS)
    assert len(pulled) == 12


def test_rows_without_a_kind_are_quads_and_names_of_graphs() -> None:
    pulled = rows()
    pulled.add(
        A,
        0,
        match("<urn:s>", "<urn:p>", "true", "", kind="") + match("", "", "", "", kind="", graph="<urn:h>"),
        anything,
        BLOCKS,
    )
    assert {str(quad.object) for quad in parsed(pulled)} == {f'"true"^^<{XSD}boolean>'}
    assert pulled.graphs == {"urn:h"}


def test_matches_in_graphs_that_do_not_count_are_left_out_and_not_watched() -> None:
    pulled = watching()
    pulled.add(A, 0, match("<urn:stale>", "<urn:t>", "<urn:r>", "5"), {"urn:h"}.__contains__, BLOCKS)
    assert (len(pulled), pulled.terms[JOIN][0]) == (0, set())
    pulled.add(B, 1, match("<urn:s>", "<urn:t>", "<urn:r>", "5"), anything, BLOCKS)
    assert (len(pulled), pulled.terms[JOIN][0]) == (3, {"<urn:s>"})


def test_watched_terms_are_those_that_nodes_can_be_asked_for_again() -> None:
    pulled = watching()
    pulled.add(A, 0, match(f"<{SKOLEM}a>", "_:b", "<urn:r>", "5"), anything, BLOCKS)
    pulled.add(B, 1, match("<urn:s>", "<urn:t>", "<urn:r>", '"5"'), anything, BLOCKS)
    assert pulled.terms == {
        JOIN: {
            0: {f"<{SKOLEM}a>", "<urn:s>"},
            1: {"_:b", "<urn:t>"},
            2: {"<urn:r>"},
            3: {f'"5"^^<{XSD}integer>', '"5"'},
        }
    }
    assert {str(quad.subject) for quad in parsed(pulled)} == {"_:ga", "_:n0_b", "<urn:s>", "<urn:t>"}


def test_a_watched_block_without_matches_is_known_to_have_none() -> None:
    pulled = watching()
    pulled.add(A, 0, b"", anything, BLOCKS)
    assert pulled.terms == {JOIN: {number: set() for number in range(4)}}


def test_blank_nodes_of_a_block_s_constants_are_those_of_the_quads() -> None:
    bgp = PushedBGP(DEFAULT_GRAPH, ((f"<{SKOLEM}a>", "<urn:p>", "?0"), ("?0", "<urn:q>", f"<{SKOLEM}a>")))
    pulled = rows()
    body = match(f"<{SKOLEM}b>", "", "")
    pulled.add(A, 0, body, anything, {b"<urn:block:0>": bgp})
    assert {(str(quad.subject), str(quad.object)) for quad in parsed(pulled)} == {("_:ga", "_:gb"), ("_:gb", "_:ga")}


@pytest.mark.parametrize(
    "body",
    [
        match("<urn:s>", "<urn:t>", "<urn:r>", "5", kind="<urn:block:7>"),
        match("<urn:s>"),
        match("<urn:s>", "<urn:t>", "<urn:r>", "5x"),
        match("<urn:s>", "<urn:t>", "<urn:r>", "5", graph="g"),
        b"\xff\n",
        b"<urn:g>\n",
    ],
)
def test_rows_that_are_no_matches_are_the_fault_of_the_node(body: bytes) -> None:
    with pytest.raises(SourceFailedError) as caught:
        rows().add(B, 0, body, anything, BLOCKS)
    assert caught.value.sources == {"b"}


def test_what_is_mended_is_the_node_s_that_sent_it() -> None:
    pulled = rows()
    pulled.add(A, 0, row(object_="<urn:no iri>"), anything)
    pulled.add(B, 1, row(object_='"\\q"'), anything)
    with pytest.raises(SourceFailedError, match="node b sends what is no RDF"):
        pulled.check()


@given(st.text(alphabet=st.characters(min_codepoint=0x21, exclude_categories=["Cs"]), max_size=20))
def test_labels_tell_all_skolem_iris_apart_and_can_be_read_back(suffix: str) -> None:
    label = skolem_label(suffix.encode()).decode()
    assert skolem_suffix(label) == suffix
    assert str(pyoxigraph.BlankNode(label)) == f"_:{label}"


@pytest.mark.parametrize("label", ["", "n0_g", "x", "G", "_67"])
def test_other_labels_have_no_suffix(label: str) -> None:
    assert skolem_suffix(label) is None


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (b"<urn:a>", "urn:a"),
        ("<urn:é>".encode(), "urn:é"),
        (b"<urn:\\u00e9>", "urn:é"),
        (b"<urn:\\U0001F600>", "urn:😀"),
        (b"<urn:no iri>", "urn:no iri"),
        (b"<>", ""),
    ],
)
def test_an_iri_is_the_same_however_it_is_escaped(term: bytes, text: str) -> None:
    assert iri(term) == text


@pytest.mark.parametrize(
    "term",
    [
        b"",
        b"<",
        b"urn:a",
        b'"urn:a"',
        b"_:b",
        b"<\xff>",
        b"<\\UFFFFFFFF>",
        b"<\\U00110000>",
        b"<\\uD800>",
        b"<\\uDFFF>",
    ],
)
def test_what_names_no_graph_is_refused(term: bytes) -> None:
    with pytest.raises(ValueError):
        iri(term)


@pytest.mark.parametrize("term", [b"", b"1x", b"1 2", b"yes", b"TRUE", b"'a'", b"1e", b"--1", b"1\n"])
def test_what_has_no_short_form_is_no_term(term: bytes) -> None:
    with pytest.raises(ValueError, match="no term"):
        in_full(term)


@given(st.integers() | st.booleans() | st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_short_forms_mean_what_turtle_means_by_them(value: object) -> None:
    short = str(value).lower()
    turtle = pyoxigraph.parse(f"<urn:s> <urn:p> {short} .", pyoxigraph.RdfFormat.TURTLE)
    assert in_full(short.encode()).decode() == str(next(iter(turtle)).object).replace('" ', '"') or short == str(
        next(iter(turtle)).object
    )


def test_odd_subjects_of_several_rows_are_each_written_as_n_quads_does() -> None:
    pulled = rows()
    odd = row("<urn:\\u00E9>", object_="<urn:1>") + row("<urn:\\u00E9>", object_="<urn:2>")
    pulled.add(A, 0, odd + row("<urn:s>") + row("<urn:s>", object_="<urn:3>"), anything)
    assert {str(quad.subject) for quad in parsed(pulled)} == {"<urn:é>", "<urn:s>"}
    with pytest.raises(UnreadableRowsError):
        pulled.add(B, 1, row('"no subject"') + row('"no subject"'), anything)


def test_rows_without_a_graph_are_refused_and_empty_lines_are_none() -> None:
    pulled = rows()
    pulled.add(A, 0, b"\n" + row() + b"\n", anything)
    assert len(pulled) == 1
    with pytest.raises(UnreadableRowsError):
        pulled.add(B, 1, b"<urn:s>\t<urn:p>\t<urn:o>\t\n", anything)


def test_rows_of_one_block_are_its_terms_that_count() -> None:
    pulled = rows()
    bgp = PushedBGP("?", (("?0", "<urn:p>", "?1"), ("?1", "<urn:q>", "?2")), hidden=(1,))
    pulled.add(
        A, 0, b'<urn:s>\t"x"\t<urn:g>\n<urn:s>\t1\t<urn:g>\n<urn:t>\t2\t<urn:h>\n', {"urn:g"}.__contains__, {b"": bgp}
    )
    found = parsed(pulled)
    links = {quad.object: quad.subject for quad in found if quad.predicate.value == "urn:p"}
    assert len(found) == 4 and set(links.values()) == {pyoxigraph.NamedNode("urn:s")}
    values = {quad.subject: quad.object.value for quad in found if quad.predicate.value == "urn:q"}
    assert values.keys() == links.keys() and sorted(values.values()) == ["1", "x"]


def test_rows_of_one_block_without_terms_tell_its_graphs() -> None:
    pulled = rows()
    pulled.add(
        A,
        0,
        b"<urn:g>\n<urn:h>\n",
        {"urn:g"}.__contains__,
        {b"": PushedBGP("?", (("?0", "?1", "?2"),), hidden=(0, 1, 2))},
    )
    assert [str(quad.graph_name) for quad in parsed(pulled)] == ["<urn:g>"]


@pytest.mark.parametrize("body", [b"<urn:s>\t<urn:g>\n", b"<urn:s>\t\t<urn:g>\n", b"<a>\t<b>\t<c>\t<urn:g>\n"])
def test_rows_of_one_block_have_all_its_terms(body: bytes) -> None:
    with pytest.raises(UnreadableRowsError):
        rows().add(A, 0, body, anything, {b"": PushedBGP("?", (("?0", "<urn:p>", "?1"),))})


def test_terms_of_a_watched_block_alone_are_collected() -> None:
    bgp = PushedBGP(DEFAULT_GRAPH, (("?0", "<urn:p>", "?1"),))
    pulled = MergedQuads(None, frozenset(), SKOLEM, 100, [bgp])
    pulled.add(A, 0, b"<urn:s>\t1\t<urn:g>\n<urn:t>\t_:b\t<urn:g>\n", anything, {b"": bgp})
    assert pulled.terms[bgp] == {0: {"<urn:s>", "<urn:t>"}, 1: {f'"1"^^<{XSD}integer>', "_:b"}}
    assert len(parsed(pulled)) == 2
