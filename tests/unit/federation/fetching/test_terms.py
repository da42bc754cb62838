"""Terms as the nodes write them."""

from __future__ import annotations

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.fetching.terms import in_full, iri, skolem_label, skolem_suffix


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
