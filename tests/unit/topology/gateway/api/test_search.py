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
