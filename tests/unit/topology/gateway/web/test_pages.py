"""Pages for people, at the addresses that give programs JSON and results."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient

from federation.engine import Engine
from tests.helpers.gateway import Serving
from tests.helpers.sandbox_servers import Sandbox

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
QUERY = "/sparql?query=SELECT%20%2A%20%7B%20%3Fs%20%3Fp%20%3Fo%20%7D"
PAGES = ("/", "/offerings", "/offerings?id=0xa", "/sparql", "/sparql/", "/catalogue/sparql", QUERY)


@pytest.fixture
def client(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> FlaskClient:
    return Serving.over(engine, nodes).client


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("accept", [BROWSER, "text/html"])
def test_browser_gets_a_page(client: FlaskClient, path: str, accept: str) -> None:
    response = client.get(path, headers={"Accept": accept})

    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.vary.to_header() == "Accept, Accept-Encoding"
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_page_all_that_it_loads_is_there_wherever_it_stands(client: FlaskClient, path: str) -> None:
    page = client.get(path, headers={"Accept": BROWSER}).text
    loaded = re.findall(r'(?:src|href)="([^"]*assets/[^"]+)"', page)

    assert len(loaded) == 3
    for asset in loaded:
        assert client.get(urljoin(path, asset)).status_code == 200
    for target in re.findall(r'<a [^>]*href="([^"]+)"', page):
        assert client.get(urljoin(path, target)).status_code == 200


def test_page_scripts_name_no_other_host(client: FlaskClient) -> None:
    page = client.get("/sparql", headers={"Accept": BROWSER}).text

    for asset in re.findall(r'(?:src|href)="([^"]*assets/[^"]+)"', page):
        content = client.get(urljoin("/sparql", asset)).text
        # The names in queries are no addresses that a page loads.
        assert not re.search(r"(?:import|fetch|src|href)[ (=]+[\"'`]https?:", content)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/json, text/html",
        "text/turtle, text/html;q=0.5",
        "application/sparql-results+json, */*;q=0.1",
        "application/xml;q=0.9, */*;q=0.8",
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",  # Java's
    ],
)
@pytest.mark.parametrize("path", ["/", "/offerings", "/sparql", QUERY])
def test_program_gets_what_it_got(client: FlaskClient, accept: str, path: str) -> None:
    response = client.get(path, headers={"Accept": accept} if accept else {})

    assert "html" not in response.content_type


@pytest.mark.parametrize("more", ["&format=csv", "&output=csv"])
def test_browser_that_names_a_format_gets_the_result(client: FlaskClient, more: str) -> None:
    response = client.get(QUERY + more, headers={"Accept": BROWSER})

    assert response.content_type.startswith("text/csv")


def test_form_that_a_browser_posts_gets_the_result(client: FlaskClient) -> None:
    response = client.post("/sparql", data={"query": "ASK {}", "format": "json"}, headers={"Accept": BROWSER})

    assert response.json == {"head": {}, "boolean": True}


def test_error_is_a_page_for_a_client_that_accepts_html_alone(client: FlaskClient) -> None:
    shown = client.get("/nope", headers={"Accept": "text/html"})

    assert (shown.status_code, shown.content_type) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nope", 404), ("/nope/<script>alert(1)</script>", 404), ("/data", 400)],
)
def test_error_is_a_page_for_a_browser(client: FlaskClient, path: str, status: int) -> None:
    assert client.get(path, headers={"Accept": "*/*"}).content_type == "application/problem+json"
    shown = client.get(path, headers={"Accept": BROWSER})

    assert client.head(path, headers={"Accept": BROWSER}).content_type == shown.content_type
    assert (shown.status_code, shown.content_type) == (status, "text/html; charset=utf-8")
    assert int(shown.headers["Content-Length"]) == len(shown.data)
    assert "<script" not in shown.text
    for asset in re.findall(r'(?:src|href)="([^"]*assets/[^"]+)"', shown.text):
        assert client.get(urljoin(path, asset)).status_code == 200
