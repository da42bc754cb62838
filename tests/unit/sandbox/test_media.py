"""The formats of a node: the one that Accept prefers, and the one that a body is in."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pyoxigraph import QueryResultsFormat, RdfFormat

from sandbox.media import DATASET_FORMATS, GRAPH_FORMATS, RESULT_FORMATS, answer, chosen, sent


def request(*accept: str, content_type: str = "") -> web.Request:
    headers = CIMultiDict([("Accept", one) for one in accept])
    if content_type:
        headers["Content-Type"] = content_type
    return make_mocked_request("GET", "/", headers=headers)


@pytest.mark.parametrize(
    ("accept", "offered", "media_type"),
    [
        ((), GRAPH_FORMATS, "application/ld+json"),
        (("*/*",), GRAPH_FORMATS, "application/ld+json"),
        (("text/turtle",), GRAPH_FORMATS, "text/turtle"),
        (("TEXT/Turtle",), GRAPH_FORMATS, "text/turtle"),
        (("text/turtle;q=0.5, application/n-triples",), GRAPH_FORMATS, "application/n-triples"),
        (("text/turtle;q=0.5", "application/n-triples"), GRAPH_FORMATS, "application/n-triples"),
        (("text/html, text/*;q=0.1",), GRAPH_FORMATS, "text/turtle"),
        (("image/png",), GRAPH_FORMATS, "application/ld+json"),
        (("text/turtle;q=nonsense, ;;,",), DATASET_FORMATS, "application/n-quads"),
        (("text/csv",), RESULT_FORMATS, "text/csv"),
        (("text/csv;q=0, application/xml",), RESULT_FORMATS, "application/xml"),
    ],
)
def test_format_is_the_one_that_accept_prefers_else_the_first(
    accept: tuple[str, ...], offered: Mapping[str, RdfFormat], media_type: str
) -> None:
    assert chosen(request(*accept), offered) == (media_type, offered[media_type])


@pytest.mark.parametrize("offered", [GRAPH_FORMATS, DATASET_FORMATS, RESULT_FORMATS])
def test_every_format_can_be_asked_for(offered: Mapping[str, RdfFormat]) -> None:
    assert [chosen(request(media_type), offered) for media_type in offered] == list(offered.items())


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        ("text/turtle", RdfFormat.TURTLE),
        ("text/turtle; charset=utf-8", RdfFormat.TURTLE),
        ("application/ld+json", RdfFormat.JSON_LD),
        ("application/n-quads", RdfFormat.N_QUADS),
    ],
)
def test_body_is_in_the_format_of_its_content_type(content_type: str, media: RdfFormat) -> None:
    assert sent(request(content_type=content_type)) == media


@pytest.mark.parametrize("content_type", ["", "text/html", "nonsense", "application/x-www-form-urlencoded"])
def test_body_that_is_no_rdf_is_refused(content_type: str) -> None:
    with pytest.raises(web.HTTPUnsupportedMediaType) as caught:
        sent(request(content_type=content_type))
    assert "send JSON-LD" in str(caught.value.text)


def test_answer_names_the_charset_of_text_alone() -> None:
    assert QueryResultsFormat.CSV in RESULT_FORMATS.values()
    assert answer(b"x", "text/csv").headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer(b"x", "application/ld+json", 201).headers["Content-Type"] == "application/ld+json"
    assert answer(b"x", "application/ld+json", 201).status == 201
