"""Pages of offerings and site maps, as search engines read them."""

from __future__ import annotations

import json
import re
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import rdflib
import rdflib.compare

from sandbox.made_up_offerings import generate
from tests.helpers.gateway import G, Serving
from topology.gateway.api import catalogue, offerings


class TestOffering:
    def test_offering_in_each_form_that_a_client_likes(self, harvested: Serving) -> None:
        for path in ("/offerings/0xB", f"/offerings/{quote(G, safe='')}", f"/offerings/{G}"):
            assert harvested.client.get(path).get_json()["address"] == "0xb"
        graph = harvested.client.get("/offerings/0xb", headers={"Accept": "text/turtle"})
        assert (rdflib.URIRef(G), None, None) in rdflib.Graph().parse(data=graph.text, format="turtle")

    def test_offering_that_is_unknown_is_not_found_in_any_form(self, harvested: Serving) -> None:
        for accept in ("*/*", "text/turtle", "text/html"):
            assert harvested.client.get("/offerings/0xz", headers={"Accept": accept}).status_code == 404

    def test_page_of_an_offering_tells_search_engines_what_it_is(self, harvested: Serving) -> None:
        made_up = generate(1)[0]
        page = harvested.client.get(f"/offerings/{made_up.address}", headers={"Accept": "text/html"}).text
        (written,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)
        told = json.loads(written)

        assert (told["@type"], told["@id"]) == ("Dataset", made_up.iri)
        assert told["url"] == f"http://localhost/offerings/{made_up.address}"
        assert told["distribution"][0]["contentUrl"].startswith("https://")
        assert f"<title>{told['name']} · Catena</title>" in page

    def test_page_of_a_hostile_offering_runs_nothing_of_it(self, harvested: Serving) -> None:
        page = harvested.client.get("/offerings/0xc", headers={"Accept": "text/html"}).text

        assert page.count("<script") == page.count("</script>") == 2
        assert "javascript:" not in page
        reflected = harvested.client.get("/offerings/%22%3E%3Cscript%3E", headers={"Accept": "text/html"}).text
        assert "<script>" not in reflected

    def test_page_of_an_offering_cuts_its_title_and_escapes_what_turns_text_around(
        self, harvested: Serving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offerings, "as_dataset", lambda *_: {"name": "\u202eevil " + "W" * 10000})
        page = harvested.client.get("/offerings/0xb", headers={"Accept": "text/html"}).text

        (title,) = re.findall("<h1>(.*?)</h1>", page)
        assert len(title) < 300
        assert title.startswith("\\u202eevil WWW")


class TestSitemap:
    def test_sitemap_names_the_page_of_each_offering(self, harvested: Serving) -> None:
        root = ElementTree.fromstring(harvested.client.get("/sitemap.xml").text)
        pages = [place.text or "" for place in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]

        assert len(pages) == 5
        for address in pages:
            path = address.removeprefix("http://localhost")
            assert harvested.client.get(path, headers={"Accept": "text/html"}).status_code == 200
        assert "Sitemap: http://localhost/sitemap.xml" in harvested.client.get("/robots.txt").text

    def test_sitemap_that_is_too_long_comes_in_parts(self, harvested: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogue, "_MOST_LOCATIONS", 2)
        parts = re.findall(r"<sitemap><loc>http://localhost(.*?)</loc>", harvested.client.get("/sitemap.xml").text)

        assert [harvested.client.get(part).text.count("<url>") for part in parts] == [2, 2, 1]
