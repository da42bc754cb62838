"""The title that is looked up in an offering's canonical statements."""

from __future__ import annotations

import json

import pyoxigraph as ox
import pytest

from sandbox.made_up_offerings import generate
from topology import records
from topology.rdf.offering_graph import canonical_text, read_description
from topology.rdf.title import MOST_CHARACTERS, title_of
from topology.records import Offering

G = "https://p.example/1"
TITLE = ox.NamedNode("http://purl.org/dc/terms/title")
TEXT = ox.NamedNode("http://purl.org/dc/terms/description")


def text(*titles: ox.Literal, subject: str = G) -> str:
    """Return canonical statements with these titles, between others."""
    triples = [ox.Triple(ox.NamedNode(subject), TITLE, one) for one in titles]
    others = [ox.Triple(ox.NamedNode(f"{G}{end}"), TITLE, ox.Literal("another")) for end in ("", "/asset") if end]
    about = ox.Triple(ox.NamedNode(G), TEXT, ox.Literal(f'<{G}> <http://purl.org/dc/terms/title> "x" .'))
    return canonical_text([*triples, *others, about], G)


@pytest.mark.parametrize(
    ("titles", "found"),
    [
        ((), ""),
        ((ox.Literal("Wasser", language="de"), ox.Literal("Water", language="en-GB")), "Water"),
        ((ox.Literal("Wasser", language="de"), ox.Literal("Plain")), "Plain"),
        ((ox.Literal("Wasser", language="de"), ox.Literal("Eau", language="fr")), "Eau"),
        ((ox.Literal("Eingabe", language="enm"), ox.Literal("Eau", language="de")), "Eau"),
        ((ox.Literal('a "quoted" one\\'),), 'a "quoted" one\\'),
        ((ox.Literal(" on\ntwo\tlines "),), "on two lines"),
        ((ox.Literal("\u00e9\U0001f4a7"),), "\u00e9\U0001f4a7"),
    ],
)
def test_title_of_prefers_english_then_no_language_and_unescapes(titles: tuple[ox.Literal, ...], found: str) -> None:
    assert title_of(G, text(*titles)) == found


def test_title_of_another_subject_is_none() -> None:
    assert title_of(G, text(ox.Literal("another"), subject=f"{G}/more")) == ""


def test_title_of_a_long_title_is_cut() -> None:
    found = title_of(G, text(ox.Literal("x" * 1000)))
    assert len(found) == MOST_CHARACTERS
    assert found.endswith("…")


def test_title_of_made_up_offerings_is_the_english_one_of_their_descriptions() -> None:
    for one in generate(20):
        description = read_description(one.description, one.iri)
        statements = ox.parse(description.triples.encode(), ox.RdfFormat.N_TRIPLES)
        english = {
            quad.object.value
            for quad in statements
            if quad.predicate == TITLE
            and quad.subject == ox.NamedNode(one.iri)
            and isinstance(quad.object, ox.Literal)
            and quad.object.language == "en"
        }
        assert {title_of(one.iri, description.triples)} == english


def test_titled_and_compressed_heads_have_the_title_that_records_leave_out() -> None:
    whole = Offering(graph=G, triples=text(ox.Literal("Water")), digest="d", claimed_at=1, owner="me")
    sent = records.to_text(whole)

    assert "title" not in json.loads(sent)
    assert records.read_titled_head("0xa", sent).title == "Water"
    assert records.read_compressed("0xa", sent).title == "Water"
    assert records.read_head("0xa", sent).title == ""
