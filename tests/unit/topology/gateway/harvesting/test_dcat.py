"""The catalogue as harvesters read it."""

from __future__ import annotations

import json
from typing import Any

import rdflib
import rdflib.compare
from rdflib.namespace import DCTERMS, FOAF, RDF

from federation.engine import Engine
from sandbox.made_up_offerings import generate
from tests.helpers.catalogue import DCAT, FORMATS, HOSTILE, HYDRA, one, read
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from topology.gateway.api.app import create_app
from topology.rdf.offering_graph import read_description


class TestDcat:
    def test_catalog_says_the_same_in_every_format(self, harvested: Serving) -> None:
        graphs = [read(harvested, "/catalog", accept) for accept in FORMATS]

        assert all(rdflib.compare.isomorphic(graph, graphs[0]) for graph in graphs)

    def test_catalog_has_all_that_dcat_ap_wants(self, harvested: Serving) -> None:
        graph = read(harvested, "/catalog")
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
        assert (rdflib.URIRef("http://localhost/sparql"), rdflib.RDF.type, rdflib.RDFS.Resource) in graph

    def test_offering_with_assets_is_a_dataset_with_its_words_and_ways(self, harvested: Serving) -> None:
        graph = read(harvested, "/catalog")
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

    def test_offering_that_says_little_gets_the_least_that_is_needed(self, harvested: Serving) -> None:
        graph = read(harvested, "/catalog", "application/rdf+xml")
        hostile = rdflib.URIRef("https://p.example/hostile")

        assert str(one(graph, hostile, DCTERMS.title)) == "https://p.example/hostile"
        assert str(one(graph, hostile, DCTERMS.description)) == "ab </script> & <b>"
        assert not list(graph.objects(hostile, DCAT.distribution)), "javascript: is no address"
        assert (rdflib.URIRef("https://p.example/licence"), RDF.type, DCTERMS.LicenseDocument) in graph

    def test_catalog_pages_link_to_each_other_as_harvesters_follow_them(self, harvested: Serving) -> None:
        found: list[Any] = []
        path: str | None = "/catalog?limit=2"
        sizes = []
        while path:
            graph = read(harvested, path)
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

    def test_catalog_is_the_same_as_long_as_its_offerings_are(self, harvested: Serving) -> None:
        first = harvested.client.get("/catalog")
        again = harvested.client.get("/catalog", headers={"If-None-Match": first.headers["ETag"]})

        assert again.status_code == 304

    def test_offerings_in_a_format_of_graphs_are_a_catalogue_too(self, harvested: Serving) -> None:
        graph = read(harvested, "/offerings?id=0xb")

        assert list(graph.subjects(RDF.type, DCAT.Dataset)) == [rdflib.URIRef(G)]
        assert harvested.client.get("/offerings", headers={"Accept": "text/turtle;q=0.5, application/json"}).is_json

    def test_catalog_with_a_public_address_names_it_everywhere(self, engine: Engine, harvested: Serving) -> None:
        app = create_app(engine, harvested.directory, lambda: harvested.view, url="https://catalogue.example/c")

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
