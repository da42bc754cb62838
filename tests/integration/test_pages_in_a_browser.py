"""The pages as a browser shows them: they follow the catalogue, find offerings, and answer queries."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pyoxigraph as ox
import pytest

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from sandbox.made_up_offerings import generate
from tests.helpers.gateway import Serving
from tests.helpers.sandbox_servers import running_node
from tests.servers.chromium import Browser, chromium
from tests.servers.server import ServerUnavailable
from topology.consumer_groups import LinkStatus
from topology.gateway.api.server import make_server, port_of
from topology.gateway.guarding.clients import Client
from topology.gateway.guarding.guard import Guard
from topology.rdf.offering_graph import canonical_text, read_description
from topology.rdf.title import title_of

EDITOR = "document.querySelector('#query').nextSibling.shadowRoot"
OFFERINGS = generate(6)
DOWNLOADS = (
    "[...document.querySelectorAll('[data-format]')].filter((one) => !one.hidden).map((one) => one.dataset.format)"
)
BROKEN_WORDS = """[...document.querySelectorAll("th, .state")].filter((element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
}).map((element) => element.textContent)"""


class NoClients:
    """Knows no key."""

    def known_by(self, _secret: str) -> Client | None:
        return None


class Site:
    """A gateway with six offerings on a node, and a browser."""

    def __init__(self, browser: Browser, serving: Serving, url: str, engine: Engine) -> None:
        self.browser = browser
        self.serving = serving
        self.url = url
        self.engine = engine

    def add(self, number: int) -> None:
        """Add one of the offerings."""
        one = OFFERINGS[number]
        description = read_description(one.description, one.iri)
        self.serving.place("node", description)
        self.serving.list(one.address, description)


@contextmanager
def served(serving: Serving) -> Iterator[str]:
    """Serve a gateway; give its address."""
    server = make_server(serving.app, "127.0.0.1", 0)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{port_of(server)}"
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
    server.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with running_node() as node, chromium() as browser:
            engine = Engine(timeout=120, source_timeout=120, workers=1)
            serving = Serving(engine)
            serving.has("node", node.url)
            with served(serving) as url:
                site = Site(browser, serving, url, engine)
                for number in range(5):
                    site.add(number)
                yield site
            engine.close()
    except ServerUnavailable as error:
        pytest.skip(f"no browser: {error}")  # the pages' parts have tests of their own


def test_pages_load_nothing_from_elsewhere_fail_nowhere_and_name_all_controls(site: Site) -> None:
    browser = site.browser
    for path in ("/", "/offerings", f"/offerings/{OFFERINGS[1].address}", "/sparql"):
        browser.open(site.url + path)
        browser.wait_until("document.readyState === 'complete'")
        unnamed = [role for role, name in browser.accessible_names() if not name and role not in ("generic", "none")]
        assert not unnamed, (path, unnamed)
        for width in (360, 1200):
            browser.resize(width, 800, dark=width == 360)
            assert browser.run("document.documentElement.scrollWidth <= innerWidth"), (path, width)
            assert browser.run(BROKEN_WORDS) == [], (path, width)
            browser.run("document.querySelector('h1').textContent = 'W'.repeat(10000)")
            assert browser.run("document.documentElement.scrollWidth <= innerWidth"), (path, width, "a long title")

    assert not browser.errors, json.dumps(browser.errors)
    assert {url for url in browser.requested if not url.startswith((site.url, "about:"))} == set()


def test_overview_names_processes_that_keep_dying_as_text(site: Site) -> None:
    site.serving.failing["<b>writer</b>"] = "died 3 times in a row"
    site.browser.open(f"{site.url}/")

    site.browser.wait_until("document.querySelector('#failing').textContent === '<b>writer</b> died 3 times in a row'")
    assert "degraded" in site.browser.run("document.querySelector('#state').textContent")
    site.serving.failing.clear()


def test_overview_follows_the_catalogue(site: Site) -> None:
    site.browser.open(f"{site.url}/")
    site.browser.wait_until("document.querySelector('#state').textContent.includes('Offerings5')")

    site.add(5)

    site.browser.wait_until("document.querySelector('#state').textContent.includes('Offerings6')")
    assert site.browser.run("document.querySelector('#nodes').rows.length") == 1
    assert site.browser.run("document.querySelector('#links-section').hidden")
    site.serving.links = [LinkStatus("Writer", None, "", 7), LinkStatus("Fetcher", 2, "stable", None)]
    site.browser.wait_until("document.querySelector('#links').textContent === 'Writer?7Fetcher2stable–'")
    assert not site.browser.run("document.querySelector('#untold-links').hidden")
    assert site.browser.run("document.querySelector('#ring').getAttribute('aria-label')") == "The hash ring: node 100 %"
    assert site.browser.run("document.querySelector('#ring path').getBoundingClientRect().width > 100")


def test_overview_asks_for_a_key_once_where_reading_is_closed(site: Site) -> None:
    site.browser.open("about:blank")
    before = len(site.browser.errors), len(site.browser.requested)
    closed = Serving(site.engine)
    Guard(LinkLogger("Gateway"), [NoClients()], open_reading=False).protect(closed.app)
    with served(closed) as url:
        site.browser.open(f"{url}/")
        site.browser.wait_until("document.querySelector('#problem')?.textContent.startsWith('this needs a key')")
        site.browser.run("new Promise((go) => setTimeout(go, 6000))")  # longer than the pause between two requests
    asked = [one for one in site.browser.requested[before[1] :] if one.endswith("/overview")]
    del site.browser.errors[before[0] :]  # the browser counts each 401

    assert len(asked) == 2, "the stream, and one that says why there is none"


def test_offerings_are_searched_and_each_has_a_page(site: Site) -> None:
    browser, wanted = site.browser, OFFERINGS[0]
    browser.open(f"{site.url}/offerings")
    browser.wait_until("document.querySelector('#count').textContent.includes('offerings')")
    browser.run("document.querySelector('input[name=q]').focus()")
    browser.type(wanted.name.upper())
    browser.run("document.querySelector('#filter button').click()")
    browser.wait_until("document.querySelector('#count').textContent === '1 offering'")
    browser.run("document.querySelector('#offerings a').click()")
    browser.wait_until("document.querySelector('#description')?.textContent.includes('Offering')")

    assert browser.run("location.pathname") == f"/offerings/{wanted.address}"
    assert browser.run("document.querySelector('#facts').textContent.includes('placed')")


def test_offerings_are_filtered_by_what_an_offering_says(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/offerings")
    browser.wait_until("document.querySelector('#count').textContent.includes('offerings')")
    assert not browser.run("document.querySelector('#facets').open")
    browser.open(f"{site.url}/offerings/{OFFERINGS[1].address}")
    for name in ("Keywords", "Provider"):
        term = f"[...document.querySelectorAll('#facts dt')].find((one) => one.textContent === '{name}')"
        link = f"{term}.nextSibling.querySelector('a')"
        browser.wait_until(f"{term} && {link}")
        word = browser.run(f"{link}.textContent")
        facet = {"Keywords": "keyword", "Provider": "provider"}[name]
        browser.run(f"{link}.click()")
        browser.wait_until("document.querySelectorAll('#offerings a').length")

        assert browser.run("document.querySelector('#facets').open")
        assert browser.run(f"document.querySelector('[name={facet}]').value") == word
        addresses = browser.run("[...document.querySelectorAll('#offerings a')].map((one) => one.href)")
        assert f"{site.url}/offerings/{OFFERINGS[1].address}" in addresses
        browser.run("history.back()")
    browser.open(f"{site.url}/offerings")
    for facet in ("provider", "theme", "keyword", "licence"):
        browser.run(f"document.querySelector('[name={facet}]').value = 'a & b + \"c\" # 100 %'")
    browser.run("document.querySelector('#filter').requestSubmit()")
    browser.wait_until("document.querySelector('#empty a')")
    assert browser.run("new URLSearchParams(location.search).get('licence')") == 'a & b + "c" # 100 %'


@pytest.mark.parametrize(
    ("query", "said", "link"),
    [
        ("q=nowhere-at-all&theme=x", "Nothing matches this filter: show all offerings", "/offerings"),
        ("state=gone", "Nothing matches this filter: show all offerings", "/offerings"),
        (
            "state=placed&offset=5000",
            "This page lies beyond the last offering: show the first page",
            "/offerings?state=placed",
        ),
    ],
)
def test_empty_page_of_offerings_says_why_and_leads_on(site: Site, query: str, said: str, link: str) -> None:
    site.browser.open(f"{site.url}/offerings?{query}")
    site.browser.wait_until("document.querySelector('#empty')?.textContent")

    assert site.browser.run("document.querySelector('#empty').textContent") == said
    assert site.browser.run("document.querySelector('#empty a').href") == site.url + link
    assert not site.browser.run("document.querySelector('#list').checkVisibility()")


def test_catalogue_without_offerings_says_where_to_look(site: Site) -> None:
    listed = [number for number, one in enumerate(OFFERINGS) if one.address in site.serving._claims]
    for number in listed:
        site.serving.withdraw(OFFERINGS[number].address)
    while "address" in site.serving.client.get("/offerings").text:  # a list is reused for a moment
        pass
    site.browser.open(f"{site.url}/offerings")
    site.browser.wait_until("document.querySelector('#empty')?.textContent.includes('address_generator')")
    for number in listed:
        site.add(number)


def test_offerings_are_shown_by_their_names_with_iris_as_titles(site: Site) -> None:
    browser, shown = site.browser, OFFERINGS[0]
    browser.open(f"{site.url}/offerings?id={shown.address}")
    browser.wait_until("document.querySelector('#offerings a')")
    title = browser.run("document.querySelector('#offerings a').textContent")
    assert title
    assert title == title_of(shown.iri, read_description(shown.description, shown.iri).triples)
    assert browser.run("document.querySelector('#offerings a').title") == shown.iri

    before = len(browser.requested)
    browser.run("document.querySelector('#offerings a').click()")
    own_page = f"location.pathname === '/offerings/{shown.address}'"
    browser.wait_until(
        f"{own_page} && document.querySelector('#description')?.textContent.includes('a sedimark:Offering')"
    )
    facts = "[...document.querySelectorAll('#facts dt')].map((one) => [one.textContent, one.nextSibling.textContent])"
    told = dict(browser.run(facts))
    assert "://" not in told["Themes"] + told["Licence"] + told["Places"] + told["Provider"], told
    assert browser.run("document.querySelector('#facts a[title]').title.startsWith('https://')")
    assert [url for url in browser.requested[before:] if "/sparql" in url or "offset" in url] == []


def test_statements_of_an_offering_are_turtle_that_says_the_same(site: Site) -> None:
    browser, shown = site.browser, OFFERINGS[0]
    browser.open(f"{site.url}/offerings/{shown.address}")
    browser.wait_until("document.querySelector('#description')?.textContent.includes('a sedimark:Offering')")

    written = browser.run("document.querySelector('#description').textContent")
    description = read_description(shown.description, shown.iri)
    statements = [quad.triple for quad in ox.parse(written.encode(), ox.RdfFormat.TURTLE)]
    assert canonical_text(statements, shown.iri) == description.triples


def test_statements_are_shown_as_text_and_drawn_as_a_graph(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/sparql")
    browser.wait_until(f"{EDITOR}.querySelector('.cm-content')")
    browser.run(
        "const examples = document.querySelector('#examples'); examples.value = 'One offering, whole';"
        "examples.dispatchEvent(new Event('change')); document.querySelector('#run').click()"
    )
    browser.wait_until("!document.querySelector('#draw').hidden")
    assert "sedimark" in str(browser.run("document.querySelector('#text').textContent"))
    assert browser.run(DOWNLOADS) == ["json", "turtle"]

    browser.run("document.querySelector('#draw').click()")

    browser.wait_until("document.querySelector('#drawing svg')")
    sizes = {len(read_description(one.description, one.iri).triples.splitlines()) for one in OFFERINGS}
    assert browser.run("document.querySelectorAll('#drawing .link').length") in sizes
    assert browser.run("document.querySelector('#drawing svg').ariaLabel").startswith("A graph of")
    assert not browser.errors, json.dumps(browser.errors)


def test_query_is_completed_run_shared_and_explained(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/sparql")
    browser.wait_until(f"{EDITOR}.querySelector('.cm-content')")
    browser.run(f"{EDITOR}.querySelector('.cm-content').focus()")
    browser.press("a", 65, control=True)
    browser.type("SELECT ?s { ?s a sedimark:Off")
    browser.wait_until(f"{EDITOR}.querySelector('.cm-tooltip-autocomplete')?.textContent.includes('sedimark:Offering')")
    # The component takes no key in the first moments of a completion, so that nobody accepts one by mistake.
    browser.wait_until(
        f"(({EDITOR}.querySelector('[aria-selected]') || {{}}).dispatchEvent?.(new MouseEvent('mousedown', "
        "{bubbles: true, cancelable: true})), "
        "document.querySelector('#query').value.includes('sedimark:Offering'))"
    )
    assert browser.run("document.querySelector('#query').value").startswith("PREFIX sedimark: <https://")
    browser.type(" }")
    browser.press("Enter", 13, control=True)
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 6")
    assert "complete" in browser.run("document.querySelector('#status').textContent")
    assert browser.run(DOWNLOADS) == ["csv", "json"]

    browser.open(browser.run("document.querySelector('#link').href"))
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 6")
    browser.run("document.querySelector('#explain').click()")
    browser.wait_until("document.querySelector('#text').textContent.length > 100")

    browser.open(f"{site.url}/sparql?query=SELECT%20%2A%20%7B%20%3Fs%20%3Fp%20%7D")
    browser.wait_until("document.querySelector('#problem').textContent.length > 10")


def write(browser: Browser, query: str) -> None:
    """Replace the query in the editor, and run it."""
    browser.wait_until("document.querySelector('#link').href.includes('query=')")
    browser.run(
        f"document.querySelector('#query').value = {json.dumps(query)};"
        "document.querySelector('#query').dispatchEvent(new Event('input'));"
        "document.querySelector('#run').click()"
    )


def test_back_button_leads_to_the_query_before(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/sparql?query=ASK%20%7B%7D")
    browser.wait_until("document.querySelector('#status').textContent.startsWith('yes')")
    write(browser, "SELECT * { ?s ?p ?o } LIMIT 3")
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 3")

    browser.run("history.back()")
    browser.wait_until("document.querySelector('#status').textContent.startsWith('yes')")
    assert browser.run("document.querySelector('#query').value") == "ASK {}"
    browser.run("history.forward()")
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 3")


def test_query_longer_than_an_address_is_shared_and_downloaded(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/sparql")
    write(browser, "SELECT ?s { ?s ?p ?o } LIMIT 2\n" + "# a comment\n" * 15_000)
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 2")

    shared = browser.run("document.querySelector('#link').href")
    browser.open(f"{site.url}/offerings")
    browser.open(shared)
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 2")
    browser.run("document.querySelector('[data-format=json]').click()")
    browser.wait_until('document.body.textContent.startsWith(\'{"head":{"vars":["s"]}\')')
    browser.wait_until("document.readyState === 'complete'")


def test_triple_terms_are_shown_as_queries_write_them(site: Site) -> None:
    browser = site.browser
    browser.open(f"{site.url}/sparql")
    write(browser, 'SELECT (<<( <urn:a> <urn:b> <<( <urn:c> <urn:d> "e"@en )>> )>> AS ?t) {}')
    browser.wait_until("document.querySelectorAll('#table tbody tr').length === 1")

    assert browser.run("document.querySelector('#table td').textContent") == (
        "<<( urn:a urn:b <<( urn:c urn:d e @en )>> )>>"
    )


def test_overview_is_shown_where_a_proxy_keeps_events_back(site: Site) -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            accept = self.headers["Accept"]
            if accept == "text/event-stream":
                self.send_response(200)
                self.send_header("Content-Type", accept)
                self.end_headers()
                over.wait()
                return
            with urlopen(Request(site.url + self.path, headers={"Accept": accept})) as answer:
                self.send_response(200)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.end_headers()
                self.wfile.write(answer.read())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.browser.open(f"http://127.0.0.1:{server.server_port}/")
        site.browser.wait_until("document.querySelector('#state').textContent.includes('Ring epoch')")
        site.browser.open("about:blank")
        over.set()
        server.shutdown()
