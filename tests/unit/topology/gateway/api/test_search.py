"""Offerings are found by their words."""

from __future__ import annotations

import re

import pytest

from tests.helpers.gateway import Serving


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
    def test_search_finds_offerings_with_all_words(self, harvested: Serving, words: str, found: int) -> None:
        response = harvested.client.get("/offerings", query_string={"q": words, "limit": 1})

        assert response.get_json()["total"] == found
        if found > 1:
            (following,) = re.findall(r'<(\?[^>]*)>; rel="next"', response.headers["Link"])
            again = harvested.client.get(f"/offerings{following}").get_json()
            assert (again["total"], again["offset"]) == (found, 1)

    def test_search_for_several_texts_finds_offerings_with_the_words_of_all(self, harvested: Serving) -> None:
        assert harvested.client.get("/offerings?q=bordeaux&q=waste").get_json()["total"] == 1

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("theme=https://w3id.org/sedimark/vocab/sdm/entity/energy", 1),
            ("theme=Waste", 1),
            ("theme=nowhere", 0),
            ("keyword=solar", 1),
            ("keyword=fill+LEVEL", 1),
            ("keyword=fill", 0),
            ("keyword=waste&keyword=solar", 0),
            ("keyword=waste&theme=waste&q=bordeaux", 1),
            ("provider=bordeaux+water+works", 3),
            ("provider=did:iota:lnk:0xffc204bdaf0c090a1651c6956ae6304a5120192cda24221aad7d7f056d714c55", 3),
            ("licence=https://creativecommons.org/publicdomain/zero/1.0/", 2),
            ("licence=https://creativecommons.org/licenses/by-sa/4.0/&theme=mobility", 1),
            ('keyword="}%20UNION%20{', 0),
            ("keyword=", 5),
        ],
    )
    def test_facets_find_offerings_that_have_all_values(self, harvested: Serving, query: str, found: int) -> None:
        response = harvested.client.get(f"/offerings?{query}&limit=1")

        assert response.get_json()["total"] == found
        if found > 1 and query != "keyword=":
            assert query.partition("=")[0] in response.headers["Link"]

    @pytest.mark.parametrize("query", ["keyword=" + "x" * 2001, "&".join(["theme=x"] * 9)])
    def test_too_many_or_too_long_values_are_refused(self, harvested: Serving, query: str) -> None:
        response = harvested.client.get(f"/offerings?{query}")

        assert response.status_code == 400
        assert "provider, theme, keyword, licence have at most 8 values" in response.get_json()["detail"]
