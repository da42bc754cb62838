"""What catalogues tell of an offering comes from its own graph, and holds whatever providers leave out or write oddly."""

from __future__ import annotations

import pytest

from topology.gateway.harvesting.datasets import (
    DCAT,
    DCT,
    RDF_TYPE,
    SEDIMARK,
    Graph,
    Term,
    dataset_of,
    is_iri,
    is_url,
    preferred,
)
from topology.gateway.offering_list import ListedOffering

IRI = "https://p.example/1"
OFFERING, ASSET, PROVISION = Term("uri", IRI), Term("uri", "urn:asset"), Term("bnode", "b")
LISTED = ListedOffering(graph=IRI, nodes=(), address="0xa", owner="The owner", name="The name")


def text(content: object, lang: str = "") -> Term:
    return Term("literal", content, lang)


def graph(*triples: tuple[Term, str, Term]) -> Graph:
    """Make the graph of an offering with one asset and one way to its data."""
    made = Graph()
    for triple in (
        (OFFERING, RDF_TYPE, Term("uri", f"{SEDIMARK}Offering")),
        (OFFERING, f"{SEDIMARK}hasAsset", ASSET),
        (ASSET, f"{SEDIMARK}isProvidedBy", PROVISION),
        *triples,
    ):
        made.add(*triple)
    return made


def test_dataset_of_a_graph_that_does_not_describe_the_offering_is_none() -> None:
    other = Graph()
    other.add(Term("uri", "https://p.example/other"), RDF_TYPE, Term("uri", f"{SEDIMARK}Offering"))
    blank = Graph()
    blank.add(Term("bnode", IRI), RDF_TYPE, Term("uri", f"{SEDIMARK}Offering"))

    assert dataset_of(LISTED, Graph()) is None
    assert dataset_of(LISTED, other) is None
    assert dataset_of(LISTED, blank) is None


def test_dataset_of_a_bare_offering_has_all_that_a_catalogue_needs() -> None:
    found = dataset_of(LISTED, graph())

    assert found is not None
    assert [one.text for one in found.titles] == [one.text for one in found.descriptions] == ["The name"]
    assert found.publisher_name == "The owner"
    assert (found.keywords, found.themes, found.licence, found.issued, found.distributions) == ((), (), "", "", ())
    assert found.page("https://c.example") == "https://c.example/offerings/0xa"


def test_dataset_of_an_offering_without_an_address_has_a_page_by_its_iri() -> None:
    found = dataset_of(ListedOffering(graph=IRI, nodes=()), graph())

    assert found is not None
    assert found.page("") == "/offerings/https%3A%2F%2Fp.example%2F1"
    assert ([one.text for one in found.titles], found.publisher_name) == ([IRI], "unknown")


def test_dataset_of_an_offering_takes_words_of_its_assets_where_it_has_none() -> None:
    title = f"{DCT}title"
    of_asset = dataset_of(LISTED, graph((ASSET, title, text("asset", "en"))))
    of_both = dataset_of(LISTED, graph((ASSET, title, text("asset")), (OFFERING, title, text("own"))))
    of_blanks = dataset_of(LISTED, graph((ASSET, title, text("asset")), (OFFERING, title, text(" \n"))))

    assert of_asset is not None and of_both is not None and of_blanks is not None
    assert [one.text for one in of_asset.titles] == ["asset"]
    assert [one.text for one in of_both.titles] == ["own"]
    assert [one.text for one in of_blanks.titles] == ["asset"]


@pytest.mark.parametrize(
    ("licence", "iri"),
    [
        (Term("uri", "https://l.example/1"), "https://l.example/1"),
        (text("https://l.example/1"), "https://l.example/1"),
        (text("All rights: see https://l.example/1."), "https://l.example/1"),
        (text("see (https://l.example/1)"), "https://l.example/1"),
        (text("all rights reserved"), ""),
    ],
)
def test_dataset_finds_the_address_of_a_licence_in_its_text(licence: Term, iri: str) -> None:
    found = dataset_of(LISTED, graph((OFFERING, f"{DCT}license", licence)))

    assert found is not None
    assert (found.licence, found.licence_text) == (iri, licence.text)


@pytest.mark.parametrize(
    ("issued", "shown"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("May 2024", ""),
        ("2024", ""),
        ("2024-05-01 or so", ""),
    ],
)
def test_dataset_shows_a_date_only_if_it_is_one(issued: str, shown: str) -> None:
    found = dataset_of(LISTED, graph((OFFERING, f"{DCT}issued", text(issued))))

    assert found is not None
    assert found.issued == shown


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "ftp://p.example/x", "file:///etc/passwd", "urn:x", "https://", "http://[", "no address"],
)
def test_dataset_leads_to_no_address_that_is_not_of_the_web(address: str) -> None:
    way = f"{DCAT}endpointURL"
    bad = dataset_of(LISTED, graph((PROVISION, way, text(address))))
    both = dataset_of(LISTED, graph((PROVISION, way, text(address)), (PROVISION, way, text("https://z.example/api"))))

    assert bad is not None and both is not None
    assert bad.distributions == ()
    assert [one.access_url for one in both.distributions] == ["https://z.example/api"]
    assert not is_url(address)


@pytest.mark.parametrize(
    ("written", "name", "media_type"),
    [
        (text("text/csv"), "text/csv", "text/csv"),
        (text(" CSV "), "CSV", ""),
        (
            Term("uri", "https://www.iana.org/assignments/media-types/application/json"),
            "application/json",
            "application/json",
        ),
        (Term("uri", "http://publications.europa.eu/resource/authority/file-type/CSV"), "CSV", ""),
        (Term("bnode", "f"), "", ""),
    ],
)
def test_dataset_names_a_format_without_the_list_that_it_is_from(written: Term, name: str, media_type: str) -> None:
    way = (PROVISION, f"{DCAT}accessURL", text("https://z.example/api"))
    found = dataset_of(LISTED, graph(way, (PROVISION, f"{DCT}format", written)))

    assert found is not None
    (distribution,) = found.distributions
    assert (distribution.format, distribution.media_type, distribution.iri) == (name, media_type, "")


def test_dataset_lists_words_of_offering_and_assets_once_each() -> None:
    keyword = f"{DCAT}keyword"
    found = dataset_of(
        LISTED,
        graph(
            (OFFERING, keyword, text("a")),
            (ASSET, keyword, text("a")),
            (ASSET, keyword, text("b")),
            (ASSET, keyword, Term("uri", "urn:k")),
            (OFFERING, f"{DCT}theme", Term("uri", "urn:t")),
            (ASSET, f"{DCAT}theme", text("urn:t")),
            (ASSET, f"{DCAT}theme", text("no iri")),
        ),
    )

    assert found is not None
    assert [one.text for one in found.keywords] == ["a", "b"]
    assert found.themes == ("urn:t",)


def test_graph_leaves_out_terms_of_other_kinds_than_rdf_has() -> None:
    made = graph((OFFERING, f"{DCT}title", Term("triple", {"subject": 1})))

    assert made.values(OFFERING, f"{DCT}title") == []
    assert not is_iri("no iri")


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ([text("Wasser", "de"), text("water", "en-GB")], "water"),
        ([text("Wasser", "de"), text("eau")], "eau"),
        ([text("Wasser", "de"), text("eau", "fr")], "Wasser"),
    ],
)
def test_preferred_text_is_english_of_any_country_or_of_no_language(terms: list[Term], said: str) -> None:
    assert preferred(terms).text == said
