"""The catalogue for harvesters: DCAT-AP pages, and what search engines read before they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from http import HTTPStatus
from urllib.parse import quote

import flask

from federation.engine import Engine
from federation.errors import SourceFailedError
from federation.protocol.etag import revalidated, wants_fresh
from federation.protocol.negotiation import Format, choose_for_graph, media_type_named
from federation.protocol.problems import problem
from federation.protocol.sparql import with_charset, with_completeness
from topology.gateway.api.base_address import base_address
from topology.gateway.api.paging import Paging, link_header, read_paging
from topology.gateway.api.search import FACETS
from topology.gateway.catalogue_view import CatalogueView
from topology.gateway.harvesting.datasets import read_datasets
from topology.gateway.harvesting.dcat import Page, catalogue_page
from topology.gateway.offering_list import ListedOffering

DEFAULT_PAGE = 100
MOST_PAGE = 500

_MOST_LOCATIONS = 50_000  # https://www.sitemaps.org/protocol.html
_SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"


def catalogue_blueprint(
    engine: Engine, view: CatalogueView, *, url: str = "", partial_answers: bool = True
) -> flask.Blueprint:
    """Make the routes ``GET /catalog``, ``/sitemap.xml`` and ``/robots.txt``.

    Args:
        engine: Reads the offerings.
        view: Finds the offerings, and the node to read each from.
        url: The gateway's public address; empty: the one that clients use.
        partial_answers: Whether to answer when offerings may be missing; if not, the status is 503.
    """
    blueprint = flask.Blueprint("catalogue", __name__)
    write = dcat_writer(engine, view, url=url, partial_answers=partial_answers)

    @blueprint.get("/catalog")
    def catalogue() -> flask.Response:
        """Answer with a page of the catalogue."""
        given = flask.request.args
        try:
            paging = read_paging(given, DEFAULT_PAGE, MOST_PAGE)
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        named = media_type_named("CONSTRUCT", [given.get("format", "")])
        return write(view.offerings(), paging, choose_for_graph(named or flask.request.headers.get("Accept", "")))

    @blueprint.get("/sitemap.xml")
    def sitemap() -> flask.Response:
        """Answer with the addresses of offerings' pages, or of further sitemaps where there are too many."""
        base = base_address(url)
        listed = view.offerings()
        pages = -(-len(listed) // _MOST_LOCATIONS)
        number = flask.request.args.get("page", "")
        if number and not (number.isascii() and number.isdigit() and len(number) < 9):
            return problem(HTTPStatus.BAD_REQUEST, f"page is a whole number, not {number[:100]!r}")
        if pages > 1 and not number:
            return _sitemap("sitemapindex", "sitemap", [f"{base}/sitemap.xml?page={page}" for page in range(pages)])
        start = int(number or 0) * _MOST_LOCATIONS
        some = listed[start : start + _MOST_LOCATIONS]
        return _sitemap(
            "urlset", "url", [f"{base}/offerings/{quote(one.address or one.graph, safe='')}" for one in some]
        )

    @blueprint.get("/robots.txt")
    def robots() -> flask.Response:
        """Answer with the addresses that robots should leave to clients that mean to ask."""
        lines = ("User-agent: *", "Disallow: /sparql", "Disallow: /catalogue/", "Disallow: /data")
        text = "\n".join((*lines, "", f"Sitemap: {base_address(url)}/sitemap.xml", ""))
        return revalidated(flask.Response(text, content_type="text/plain; charset=utf-8"), flask.request)

    return blueprint


def dcat_writer(
    engine: Engine, view: CatalogueView, *, url: str, partial_answers: bool
) -> Callable[[Sequence[ListedOffering], Paging, Format], flask.Response]:
    """Return a function that makes the response with a page of offerings in DCAT; see :func:`catalogue_blueprint`."""

    def write(listed: Sequence[ListedOffering], paging: Paging, chosen: Format) -> flask.Response:
        request = flask.request
        limit, offset = paging
        kept = [
            (name, value) for name in ("state", "id", "q", *FACETS, "format") for value in request.args.getlist(name)
        ]
        links = paging.links(len(listed), kept)
        read = read_datasets(
            engine,
            view.snapshot,
            [one for one in listed[offset : offset + limit] if one.graph],
            fresh=wants_fresh(request),
            cancelled=request.environ.get("waitress.client_disconnected"),
        )
        if read.answer.missing and not partial_answers:
            raise SourceFailedError(f"offerings may be missing: no answer from {', '.join(read.answer.missing)}")
        base = base_address(url)
        here = f"{base}{request.path}"
        page = Page(
            base,
            here + (f"?limit={limit}&offset={offset}"),
            len(listed),
            limit,
            {name: here + at for name, at in links.items()},
        )
        body = catalogue_page(page, read.found, chosen.media_type)
        response = flask.Response(body, content_type=with_charset(chosen.content_type))
        response.headers["Link"] = link_header(links)
        return with_completeness(read.answer, response)

    return write


def _sitemap(root: str, entry: str, addresses: Sequence[str]) -> flask.Response:
    entries = "".join(f"<{entry}><loc>{escape(one)}</loc></{entry}>\n" for one in addresses)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_SITEMAPS}">\n{entries}</{root}>\n'
    return revalidated(flask.Response(text, content_type="application/xml"), flask.request)
