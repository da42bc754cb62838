"""The catalogue as harvesters, connectors and search engines read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import rdflib
import rdflib.compare
from rdflib.namespace import DCTERMS, FOAF, RDF

from federation.engine import Engine
from sandbox.made_up_offerings import generate
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox, running_node
from topology.gateway.api import catalogue
from topology.gateway.api.app import create_app
from topology.gateway.harvesting import dsp
from topology.rdf.offering_graph import read_description

DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")
HYDRA = rdflib.Namespace("http://www.w3.org/ns/hydra/core#")
REQUEST = {"@context": [dsp.CONTEXT], "@type": "CatalogRequestMessage"}
FORMATS = {"text/turtle": "turtle", "application/rdf+xml": "xml", "application/ld+json": "json-ld"}
# A provider that has no title, no contract and no way to its data, and writes what markup and XML stumble over.
HOSTILE = json.dumps(
    {
        "@id": "https://p.example/hostile",
        "@type": "https://w3id.org/sedimark/ontology#Offering",
        "http://purl.org/dc/terms/description": "a\u0001b </script> & <b>",
        "http://purl.org/dc/terms/license": "All rights: https://p.example/licence.",
        "http://www.w3.org/ns/dcat#keyword": ["a,b", {"@value": "c", "@language": "en"}],
        "https://w3id.org/sedimark/ontology#hasAsset": {
            "https://w3id.org/sedimark/ontology#isProvidedBy": {
                "http://www.w3.org/ns/dcat#endpointURL": "javascript:alert(1)"
            }
        },
    }
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(timeout=60, source_timeout=60, workers=1)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def node() -> Iterator[Sandbox]:
    with running_node() as node:
        yield node


@pytest.fixture(scope="module")
def serving(engine: Engine, node: Sandbox) -> Serving:
    """Give a gateway with five offerings: three that are complete, a bare one, and a hostile one."""
    serving = Serving(engine)
    serving.has("a", node.url)
    complete = {one.address: read_description(one.description, one.iri) for one in generate(3)}

    others = {"0xb": described(G), "0xc": read_description(HOSTILE.encode(), "https://p.example/")}
    for address, description in {**complete, **others}.items():
        serving.place("a", description)
        serving.list(address, description)
    return serving


def read(serving: Serving, path: str, accept: str = "text/turtle") -> rdflib.Graph:
    response = serving.client.get(path, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    assert response.mimetype == accept
    assert response.headers["Catena-Completeness"] == "complete"
    return rdflib.Graph().parse(data=response.text, format=FORMATS[accept])


def one(graph: rdflib.Graph, subject: Any, predicate: Any) -> Any:
    (value,) = graph.objects(subject, predicate)
    return value


class TestDcat:
    def test_catalog_says_the_same_in_every_format(self, serving: Serving) -> None:
        graphs = [read(serving, "/catalog", accept) for accept in FORMATS]

        assert all(rdflib.compare.isomorphic(graph, graphs[0]) for graph in graphs)

    def test_catalog_has_all_that_dcat_ap_wants(self, serving: Serving) -> None:
        graph = read(serving, "/catalog")
        (root,) = graph.subjects(RDF.type, DCAT.Catalog)
        datasets = list(graph.objects(root, DCAT.dataset))

        assert len(datasets) == 5
        for subject in (root, *datasets):
            assert list(graph.objects(subject, DCTERMS.title))
            assert list(graph.objects(subject, DCTERMS.description))
            assert one(graph, one(graph, subject, DCTERMS.publisher), FOAF.name)
        for distribution in graph.subjects(RDF.type, DCAT.Distribution):
            assert isinstance(one(graph, distribution, DCAT.accessURL), rdflib.URIRef)
        assert one(graph, one(graph, root, DCAT.service), DCAT.endpointURL) == rdflib.URIRef("http://localhost/sparql")

    def test_offering_with_assets_is_a_dataset_with_its_words_and_ways(self, serving: Serving) -> None:
        graph = read(serving, "/catalog")
        iri = generate(1)[0].iri
        dataset = rdflib.URIRef(iri)

        assert {getattr(title, "language", "") for title in graph.objects(dataset, DCTERMS.title)} == {"en", "fr"}
        assert len(list(graph.objects(dataset, DCAT.keyword))) >= 2
        assert one(graph, dataset, DCTERMS.issued).datatype == rdflib.XSD.dateTime
        way = one(graph, dataset, DCAT.distribution)
        assert one(graph, way, DCAT.mediaType).startswith("https://www.iana.org/assignments/media-types/")
        assert one(graph, way, DCTERMS.license).startswith("https://")
        assert one(graph, dataset, DCAT.landingPage) == rdflib.URIRef(
            f"http://localhost/offerings/{generate(1)[0].address}"
        )

    def test_offering_that_says_little_gets_the_least_that_is_needed(self, serving: Serving) -> None:
        graph = read(serving, "/catalog", "application/rdf+xml")
        hostile = rdflib.URIRef("https://p.example/hostile")

        assert str(one(graph, hostile, DCTERMS.title)) == "https://p.example/hostile"
        assert str(one(graph, hostile, DCTERMS.description)) == "ab </script> & <b>"
        assert not list(graph.objects(hostile, DCAT.distribution)), "javascript: is no address"
        assert (rdflib.URIRef("https://p.example/licence"), RDF.type, DCTERMS.LicenseDocument) in graph

    def test_catalog_pages_link_to_each_other_as_harvesters_follow_them(self, serving: Serving) -> None:
        found: list[Any] = []
        path: str | None = "/catalog?limit=2"
        sizes = []
        while path:
            graph = read(serving, path)
            (page,) = graph.subjects(RDF.type, HYDRA.PagedCollection)
            assert (page, RDF.type, HYDRA.PartialCollectionView) in graph
            assert one(graph, page, HYDRA.totalItems).value == 5
            assert one(graph, page, HYDRA.firstPage) == rdflib.URIRef("http://localhost/catalog?limit=2&offset=0")
            datasets = list(graph.subjects(RDF.type, DCAT.Dataset))
            sizes.append(len(datasets))
            found += datasets
            following = {str(name) for name in (*graph.objects(page, HYDRA.nextPage), *graph.objects(page, HYDRA.next))}
            assert len(following) <= 1
            path = following.pop().removeprefix("http://localhost") if following else None

        assert sizes == [2, 2, 1]
        assert len(set(found)) == 5

    def test_catalog_is_the_same_as_long_as_its_offerings_are(self, serving: Serving) -> None:
        first = serving.client.get("/catalog")
        again = serving.client.get("/catalog", headers={"If-None-Match": first.headers["ETag"]})

        assert again.status_code == 304

    def test_offerings_in_a_format_of_graphs_are_a_catalogue_too(self, serving: Serving) -> None:
        graph = read(serving, "/offerings?id=0xb")

        assert list(graph.subjects(RDF.type, DCAT.Dataset)) == [rdflib.URIRef(G)]
        assert serving.client.get("/offerings", headers={"Accept": "text/turtle;q=0.5, application/json"}).is_json

    def test_catalog_with_a_public_address_names_it_everywhere(self, engine: Engine, serving: Serving) -> None:
        app = create_app(engine, serving.directory, lambda: serving.view, url="https://catalogue.example/c")

        for path in ("/catalog?limit=1", "/sitemap.xml", "/robots.txt"):
            text = (
                app.test_client().get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}).text
            )
            assert "https://catalogue.example/c/" in text
            assert "evil" not in text

    def test_catalog_in_which_a_provider_speaks_of_another_is_not_misled(self, engine: Engine, node: Sandbox) -> None:
        serving = Serving(engine)
        serving.has("a", node.url)
        spam = {"@id": G, "http://purl.org/dc/terms/title": "spam"}
        liar = json.loads(HOSTILE) | {"@id": "https://p.example/liar", "http://purl.org/dc/terms/relation": spam}
        for address, description in {
            "0xb": described(G),
            "0xd": read_description(json.dumps(liar).encode(), "https://p.example/"),
        }.items():
            serving.place("a", description)
            serving.list(address, description)

        assert "spam" not in serving.client.get("/catalog").text

    def test_catalog_without_an_answer_of_a_node_says_so(self, engine: Engine, node: Sandbox) -> None:
        serving = Serving(engine)
        serving.has("a", node.url)
        serving.has("z", "http://z.invalid/catalogue")
        there, silent = described(G), described("https://p.example/silent")
        serving.place("a", there)
        serving.note("z", silent)
        serving.list("0xb", there)
        serving.list("0xc", silent)

        response = serving.client.get("/catalog")

        assert response.headers["Catena-Completeness"] == "partial; missing=z"
        assert G in response.text
        assert response.headers["Cache-Control"] == "no-store"

    def test_catalog_without_offerings_is_empty(self, engine: Engine) -> None:
        graph = read(Serving(engine), "/catalog")

        assert not list(graph.subjects(RDF.type, DCAT.Dataset))


class TestDataspace:
    def test_request_gets_the_offerings_that_have_a_contract_and_a_way(self, serving: Serving) -> None:
        response = serving.client.post("/catalog/request", json=REQUEST)
        message = response.get_json()

        assert (message["@type"], message["@context"]) == ("Catalog", [dsp.CONTEXT])
        assert {one["@id"] for one in message["dataset"]} == {one.iri for one in generate(3)}
        for dataset in message["dataset"]:
            assert dataset["hasPolicy"][0]["permission"][0]["action"] == "use"
            assert dataset["distribution"][0]["accessService"]["endpointURL"].startswith("https://")

    def test_request_gets_pages_with_links_by_the_protocols_names(self, serving: Serving) -> None:
        response = serving.client.post("/catalog/request?limit=2&offset=2", json=REQUEST)

        assert response.headers["Link"] == ('<?limit=2&offset=0>; rel="previous", <?limit=2&offset=4>; rel="next"')

    @pytest.mark.parametrize(
        "body",
        [
            [],
            {},
            {**REQUEST, "@type": "ContractRequestMessage"},
            {**REQUEST, "@context": ["https://w3id.org/dspace/2024/1/context.json"]},
            {**REQUEST, "@context": dsp.CONTEXT},
            {**REQUEST, "filter": ["anything"]},
            {**REQUEST, "filter": {"offset": 0}},
        ],
    )
    def test_request_that_is_none_gets_an_error_of_the_protocol(self, serving: Serving, body: Any) -> None:
        response = serving.client.post("/catalog/request", json=body)

        assert response.status_code == 400
        assert response.get_json()["@type"] == "CatalogError"
        assert response.get_json()["reason"]

    def test_dataset_is_found_by_its_iri_and_by_its_address(self, serving: Serving) -> None:
        made_up = generate(1)[0]

        for identifier in (quote(made_up.iri, safe=""), made_up.iri, made_up.address):
            message = serving.client.get(f"/catalog/datasets/{identifier}").get_json()
            assert (message["@id"], message["@context"]) == (made_up.iri, [dsp.CONTEXT])
        missing = serving.client.get("/catalog/datasets/0xb")
        assert (missing.status_code, missing.get_json()["@type"]) == (404, "CatalogError")

    def test_versions_are_told(self, serving: Serving) -> None:
        (version,) = serving.client.get("/.well-known/dspace-version").get_json()["protocolVersions"]

        assert version == {"version": "2025-1", "path": "/", "binding": "HTTPS"}


class TestOffering:
    def test_offering_in_each_form_that_a_client_likes(self, serving: Serving) -> None:
        for path in ("/offerings/0xB", f"/offerings/{quote(G, safe='')}", f"/offerings/{G}"):
            assert serving.client.get(path).get_json()["address"] == "0xb"
        graph = serving.client.get("/offerings/0xb", headers={"Accept": "text/turtle"})
        assert (rdflib.URIRef(G), None, None) in rdflib.Graph().parse(data=graph.text, format="turtle")

    def test_offering_that_is_unknown_is_not_found_in_any_form(self, serving: Serving) -> None:
        for accept in ("*/*", "text/turtle", "text/html"):
            assert serving.client.get("/offerings/0xz", headers={"Accept": accept}).status_code == 404

    def test_page_of_an_offering_tells_search_engines_what_it_is(self, serving: Serving) -> None:
        made_up = generate(1)[0]
        page = serving.client.get(f"/offerings/{made_up.address}", headers={"Accept": "text/html"}).text
        (written,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)
        told = json.loads(written)

        assert (told["@type"], told["@id"]) == ("Dataset", made_up.iri)
        assert told["url"] == f"http://localhost/offerings/{made_up.address}"
        assert told["distribution"][0]["contentUrl"].startswith("https://")
        assert f"<title>{told['name']} · Catena</title>" in page

    def test_page_of_a_hostile_offering_runs_nothing_of_it(self, serving: Serving) -> None:
        page = serving.client.get("/offerings/0xc", headers={"Accept": "text/html"}).text

        assert page.count("<script") == page.count("</script>") == 2
        assert "javascript:" not in page
        reflected = serving.client.get("/offerings/%22%3E%3Cscript%3E", headers={"Accept": "text/html"}).text
        assert "<script>" not in reflected


class TestSearch:
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("WASTE bordeaux", 1),
            ("bordeaux", 3),
            ("waste nowhere", 0),
            ("a note", 1),
            ("hostile", 1),
            ('</script> & <b>"', 0),
            ("</script> & <b>", 1),
            ("0xB", 1),
            ("a+b#c", 0),
            ('"\\', 0),
            ("%", 0),
            ("  ", 5),
        ],
    )
    def test_search_finds_offerings_with_all_words(self, serving: Serving, words: str, found: int) -> None:
        response = serving.client.get("/offerings", query_string={"q": words, "limit": 1})

        assert response.get_json()["total"] == found
        if found > 1:
            (following,) = re.findall(r'<(\?[^>]*)>; rel="next"', response.headers["Link"])
            again = serving.client.get(f"/offerings{following}").get_json()
            assert (again["total"], again["offset"]) == (found, 1)


class TestSitemap:
    def test_sitemap_names_the_page_of_each_offering(self, serving: Serving) -> None:
        root = ElementTree.fromstring(serving.client.get("/sitemap.xml").text)
        pages = [place.text or "" for place in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]

        assert len(pages) == 5
        for address in pages:
            path = address.removeprefix("http://localhost")
            assert serving.client.get(path, headers={"Accept": "text/html"}).status_code == 200
        assert "Sitemap: http://localhost/sitemap.xml" in serving.client.get("/robots.txt").text

    def test_sitemap_that_is_too_long_comes_in_parts(self, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogue, "_MOST_LOCATIONS", 2)
        parts = re.findall(r"<sitemap><loc>http://localhost(.*?)</loc>", serving.client.get("/sitemap.xml").text)

        assert [serving.client.get(part).text.count("<url>") for part in parts] == [2, 2, 1]
