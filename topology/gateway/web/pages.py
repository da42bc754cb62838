"""Pages for people, at the addresses that give programs JSON and results: an overview, the offerings, and a query editor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import flask

from federation.protocol.problems import CONTENT_TYPE
from federation.protocol.sparql import PATHS

# A browser names text/html above all others; programs that take anything get what they always got.
_OF_PROGRAMS = (
    "application/json",
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
    "text/turtle",
    "application/n-triples",
    "application/ld+json",
    "application/rdf+xml",
)
_PAGES = {"/": "overview", "/offerings": "offerings", **dict.fromkeys(PATHS, "sparql")}
_TITLES = {"overview": "Overview", "offerings": "Offerings", "sparql": "SPARQL"}
# All that a page loads comes from the gateway itself, and other sites cannot frame it.
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def pages_blueprint() -> flask.Blueprint:
    """Make the pages. The scripts in them use the gateway's API, as any program may."""
    blueprint = flask.Blueprint(
        "pages", __name__, template_folder="templates", static_folder="assets", static_url_path="/assets"
    )

    @blueprint.before_app_request
    def answer_browser() -> flask.Response | None:
        """Answer a browser with a page, and let programs pass."""
        request = flask.request
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD") or path not in _PAGES or not is_for_people(request):
            return None
        return page(_PAGES[path])

    @blueprint.after_app_request
    def explain_error(response: flask.Response) -> flask.Response:
        """Put an error into a page for a browser; status and headers stay, but for those of the content."""
        problem = response.get_json(silent=True) if response.mimetype == CONTENT_TYPE else None
        if (
            not isinstance(problem, dict)
            or flask.request.method not in ("GET", "HEAD")
            or not is_for_people(flask.request)
        ):
            return response
        shown = page("problem", title=str(problem.get("title", "")), detail=str(problem.get("detail", "")))
        response.data = shown.data
        response.headers.update(shown.headers)
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint


def page(
    name: str, *, title: str = "", offering: str = "", structured: Mapping[str, Any] | None = None, detail: str = ""
) -> flask.Response:
    """Make a page.

    Args:
        name: ``overview``, ``offerings``, ``sparql`` or ``problem``.
        title: Its title, unless it is the one of all such pages.
        offering: The offering that it shows, by its address or its IRI.
        structured: JSON-LD for search engines.
        detail: The text of a problem.
    """
    # Relative, so that pages work behind a proxy that adds a prefix; by the address as it was sent, since browsers count no
    # encoded slash.
    sent = urlsplit(str(flask.request.environ.get("REQUEST_URI", ""))).path or flask.request.path
    html = flask.render_template(
        "page.html",
        page=name,
        title=title or _TITLES.get(name, "Error"),
        root="../" * (sent.count("/") - 1),
        offering=offering,
        structured=structured,
        detail=detail,
    )
    response = flask.Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept"
    return response


def is_for_people(request: flask.Request) -> bool:
    """Tell whether a client prefers HTML to everything that programs read, and names no format of results."""
    if {"format", "output", "results", "explain"} & set(request.args):
        return False
    accepted = request.accept_mimetypes
    named = set(accepted.values())
    # Java's programs ask for HTML, pictures and anything, in this order; browsers name XHTML as well.
    is_browser = "application/xhtml+xml" in named or named == {"text/html"}
    return is_browser and accepted["text/html"] > max(accepted[kind] for kind in _OF_PROGRAMS)
