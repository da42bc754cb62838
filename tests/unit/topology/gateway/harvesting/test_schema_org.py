"""An offering in the words of schema.org, for search engines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.datasets import dataset_from
from topology.gateway.harvesting.schema_org import as_dataset

IRI = "https://p.example/1"
BASE = "https://catalogue.example"
HEAD = """
@prefix : <https://p.example/> . @prefix dct: <http://purl.org/dc/terms/> . @prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix s: <https://w3id.org/sedimark/ontology#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:1 a s:Offering ; s:hasAsset :asset .
"""


def said(turtle: str, address: str = "") -> dict[str, Any]:
    dataset = dataset_from(HEAD + turtle, IRI, address)
    assert dataset is not None
    return as_dataset(dataset, BASE)


def test_dataset_is_found_on_its_page_and_in_the_catalogue() -> None:
    found = said(':1 dct:title "one" .', address="0xa/b")

    assert (found["@type"], found["@id"], found["name"]) == ("Dataset", IRI, "one")
    assert found["url"] == f"{BASE}/offerings/0xa%2Fb"
    assert found["identifier"] == [IRI, "0xa/b"]
    assert found["includedInDataCatalog"]["@id"] == f"{BASE}/catalog"


@pytest.mark.parametrize(
    ("titles", "name"),
    [('"uno"@es, "one"@en, "eins"@de', "one"), ('"uno"@es, "eins"@de', "eins"), ('"one"', "one")],
)
def test_title_is_the_english_one_where_there_is_one(titles: str, name: str) -> None:
    assert said(f":1 dct:title {titles} .")["name"] == name


def test_licence_place_subject_and_data_have_the_words_of_schema_org() -> None:
    found = said(
        """:1 dct:title "one" .
        :asset dct:license <https://l.example/by> ; dcat:keyword "air" ; dcat:theme :theme ; dct:issued "2026-01-02"^^xsd:date ;
            dct:spatial :here ; s:isProvidedBy :way .
        :theme rdfs:label "Environment" . :here rdfs:label "Here" .
        :way dcat:endpointURL "https://p.example/data"^^xsd:anyURI ."""
    )

    assert found["license"] == "https://l.example/by"
    assert found["keywords"] == ["air"]
    assert found["about"] == [{"@type": "DefinedTerm", "@id": "https://p.example/theme", "name": "Environment"}]
    assert found["datePublished"] == "2026-01-02"
    assert found["spatialCoverage"] == [{"@type": "Place", "@id": "https://p.example/here", "name": "Here"}]
    assert [one["contentUrl"] for one in found["distribution"]] == ["https://p.example/data"]


def test_property_of_which_nothing_is_known_is_left_out() -> None:
    found = said(':1 dct:title "one" .')

    assert not {"license", "keywords", "about", "datePublished", "spatialCoverage", "distribution"} & found.keys()
