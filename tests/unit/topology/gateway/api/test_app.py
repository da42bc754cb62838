"""What the gateway tells over HTTP besides results: nodes, offerings page by page, and what there is to ask for."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from federation.engine import Engine
from federation.source_selection import Snapshot, Source
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology.gateway.api.app import create_app
from topology.gateway.offering_list import ListedOffering
from topology.gateway.replicas.missing import MissingCopies
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import AddressEvent, AddressStatus, Inspection, Node, OfferingHead, Ring, placement_key
from topology.ring import RingView

EVERY_PATH = ("/", "/health", "/nodes", "/offerings", "/openapi.json", "/sparql", "/catalogue/sparql")


@pytest.fixture
def serving(engine: Engine, nodes: tuple[Sandbox, Sandbox]) -> Serving:
    """Give a gateway over two nodes, with one offering on both of them, and a third that is down with another."""
    serving = Serving.over(engine, nodes)
    serving.has("c", "http://c.invalid/catalogue", "down")
    serving.note("c", described("https://p.example/2"))
    serving.list("0xb", described("https://p.example/2"))
    return serving


@pytest.fixture
def many(engine: Engine) -> Serving:
    """Give a gateway of 25 offerings that stand nowhere."""
    serving = Serving(engine)
    for number in range(25):
        serving.list(f"0x{number:02}", described(f"https://p.example/{number:02}"))
    return serving


def content(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()


def problem(response: TestResponse, status: int) -> str:
    """Read the response's problem."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    found = response.get_json(force=True)
    assert (found["status"], found["title"]) == (
        status,
        response.status.partition(" ")[2].title().replace("Uri", "URI"),
    )
    return str(found["detail"])


class TestMissingCopies:
    def test_health_is_degraded_and_says_how_many_until_they_are_there(self, engine: Engine) -> None:
        serving = Serving(engine)
        for name in "ab":
            serving.has(name, f"http://{name}.invalid/catalogue")
        serving.list("0xa", described(G))
        states = {"a": "up", "b": "up"}

        assert content(serving.client.get("/health")) == {
            "status": "degraded",
            "epoch": 4,
            "nodes": states,
            "copies_missing": 2,
        }

        serving.note("a", described(G))
        serving.note("b", described(G))

        eventually(lambda: content(serving.client.get("/health")) == {"status": "healthy", "epoch": 4, "nodes": states})


class TestFailingProcesses:
    def test_health_is_degraded_and_names_them_to_operators(self, engine: Engine, nodes: tuple[Sandbox, ...]) -> None:
        serving = Serving.over(engine, nodes)
        serving.failing["writer"] = "died 3 times in a row, the last time with status 1 (http://ada:secret@n)"

        found = content(serving.client.get("/health"))

        assert found["status"] == "degraded"
        assert found["failing"] == {"writer": "died 3 times in a row, the last time with status 1 (http://***@n)"}


class TestNodes:
    def test_nodes_with_owners_graphs_in_conflict_are_counted_and_named(self, serving: Serving) -> None:
        serving.directory.replicas[placement_key("a", "https://p.example/own")] = Replica("", 1, foreign=True)  # type: ignore[index]

        found = {node["id"]: node for node in content(serving.client.get("/nodes"))["nodes"]}

        assert (found["a"]["conflicts"], found["a"]["conflicting_graphs"]) == (1, ["https://p.example/own"])
        assert "conflicts" not in found["b"]

    def test_each_says_where_and_how_it_is_and_what_is_on_it(
        self, serving: Serving, nodes: tuple[Sandbox, ...]
    ) -> None:
        found = content(serving.client.get("/nodes"))

        assert found["epoch"] == 4
        assert [(node["id"], node["url"], node["state"]) for node in found["nodes"]] == [
            ("a", nodes[0].url, "up"),
            ("b", nodes[1].url, "up"),
            ("c", "http://c.invalid/catalogue", "down"),
        ]
        assert [node["graphs_placed"] for node in found["nodes"]] == [1, 1, 1]

    def test_each_graph_is_read_from_one_of_them(self, serving: Serving) -> None:
        read = {node["id"]: node["graphs_read"] for node in content(serving.client.get("/nodes"))["nodes"]}

        assert (read["a"] + read["b"], read["c"]) == (1, 0)

    def test_node_that_lacks_graphs_says_how_many(self, serving: Serving) -> None:
        serving.list("0xb", described("https://p.example/2"))

        found = content(serving.client.get("/nodes"))["nodes"]

        assert [node.get("graphs_missing", 0) for node in found] == [1, 1, 0], "the third one is down"

    def test_weight_and_draining_are_shown(self, engine: Engine) -> None:
        serving = Serving(engine)
        serving.nodes = [
            Node("a", "http://a.invalid/c", "up", weight=2, draining=True),
            Node("b", "http://b.invalid/c", "suspect", draining=True, held_down_until=5 * 10**12),
        ]

        one, other = content(serving.client.get("/nodes"))["nodes"]

        assert (one["state"], one["weight"]) == ("draining", 2)
        assert (other["state"], other["held_down_until"]) == ("suspect", 5 * 10**12)

    def test_inspections_are_shown(self, engine: Engine) -> None:
        view = RingView(Ring(1, (Node("a", "http://a.invalid/c"),), 50, 2))
        inspections = {"a": Inspection("a", 7, graphs=5, lost=2, problem="odd")}
        app = create_app(engine, ReplicaSelector(lambda: view), lambda: view, inspections=inspections)

        (node,) = content(app.test_client().get("/nodes"))["nodes"]

        assert node["inspection"] == {"node": "a", "at": 7, "graphs": 5, "lost": 2, "problem": "odd"}

    def test_there_are_none(self, engine: Engine) -> None:
        assert content(Serving(engine).client.get("/nodes")) == {"epoch": 0, "nodes": []}


class TestOfferings:
    def test_each_says_what_is_known_of_it(self, serving: Serving) -> None:
        assert content(serving.client.get("/offerings")) == {
            "total": 2,
            "limit": 100,
            "offset": 0,
            "offerings": [
                {"graph": G, "address": "0xa", "nodes": ["a", "b"], "state": "placed"},
                {"graph": "https://p.example/2", "address": "0xb", "nodes": ["c"], "state": "placed"},
            ],
        }

    def test_it_follows_what_happens(self, serving: Serving) -> None:
        serving.client.get("/offerings")
        serving.withdraw("0xb")

        eventually(lambda: [one["graph"] for one in content(serving.client.get("/offerings"))["offerings"]] == [G])

    def test_there_are_none(self, engine: Engine) -> None:
        response = Serving(engine).client.get("/offerings")

        assert content(response) == {"total": 0, "limit": 100, "offset": 0, "offerings": []}
        assert response.headers["Link"] == '<?limit=100&offset=0>; rel="first", <?limit=100&offset=0>; rel="last"'

    def test_the_links_lead_through_all_of_them(self, many: Serving) -> None:
        seen: list[str] = []
        query = "?limit=10"
        pages = 0
        while query:
            response = many.client.get(f"/offerings{query}")
            seen += [one["address"] for one in content(response)["offerings"]]
            following = re.search(r'<(\?[^>]*)>; rel="next"', response.headers["Link"])
            query = following[1] if following else ""
            pages += 1

        assert seen == [f"0x{number:02}" for number in range(25)]
        assert pages == 3

    def test_the_links_lead_back(self, many: Serving) -> None:
        def previous(offset: int) -> str:
            link = many.client.get(f"/offerings?limit=10&offset={offset}").headers["Link"]
            found = re.search(r'<\?limit=10&offset=(\d+)>; rel="prev"', link)
            return found[1] if found else ""

        assert [previous(offset) for offset in (0, 5, 10, 24, 9999)] == ["", "0", "0", "14", "20"]

    def test_beyond_the_last_one_there_is_nothing(self, many: Serving) -> None:
        assert content(many.client.get("/offerings?offset=25"))["offerings"] == []

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=x",
            "limit=1.5",
            "limit=",
            "offset=-1",
            "offset=²",
            "offset=" + "9" * 5000,
        ],
    )
    def test_numbers_that_are_none(self, many: Serving, query: str) -> None:
        said = problem(many.client.get(f"/offerings?{query}"), 400)

        assert said.startswith(f"{query.partition('=')[0]} is a whole number from ")
        assert len(said) < 300

    def test_without_a_ledger_graphs_are_listed(self, engine: Engine, serving: Serving) -> None:
        class Found:
            def graph_of(self, identifier: str) -> str | None:
                return None

            def snapshot(self, avoid: frozenset[str] = frozenset()) -> Snapshot:
                return Snapshot((Source("a", "http://a.invalid/sparql"),), {"urn:h": "a", "urn:g": "", "urn:i": "a"})

            def conflicts(self) -> dict[str, list[str]]:
                return {}

            def offerings(self) -> list[ListedOffering]:
                nodes: dict[str, tuple[str, ...]] = {"urn:g": (), "urn:h": ("a",), "urn:i": ("a",)}
                return [ListedOffering(graph=graph, nodes=held) for graph, held in nodes.items()]

            def ledger_listing(self) -> list[ListedOffering]:
                return self.offerings()

            def owner_of(self, address: str) -> str | None:
                return None

            def missing(self) -> MissingCopies:
                return MissingCopies()

        client = create_app(engine, Found(), lambda: serving.view).test_client()

        assert content(client.get("/offerings"))["offerings"] == [
            {"graph": "urn:g", "nodes": []},
            {"graph": "urn:h", "nodes": ["a"]},
            {"graph": "urn:i", "nodes": ["a"]},
        ]


class TestLedger:
    """Every address on the ledger has a state, and of two that describe one offering the first one owns it."""

    @pytest.fixture
    def claimed_twice(self, serving: Serving) -> Serving:
        head = OfferingHead(graph=G, digest=described(G).digest, claimed_at=1, order=1)
        serving.directory.claims = {
            "0xa": msgspec.structs.replace(head, claimed_at=9),
            "0xb": msgspec.structs.replace(head, order=2),
        }
        status = AddressStatus(
            state="failing", event_at=1, since=1, source="https://p.example/d", error="no answer", owner="\x1b[2J"
        )
        serving.directory.statuses = {"0xC": status}
        serving.directory.events = {"0xd": AddressEvent("listed", 1)}
        serving.directory.changed()
        return serving

    def listed(self, serving: Serving, query: str) -> dict[str, str]:
        found = content(serving.client.get(f"/offerings?{query}"))
        assert found["total"] == len(found["offerings"])
        return {one["address"]: one["state"] for one in found["offerings"]}

    def test_those_that_stand_are_listed_without_a_state(self, claimed_twice: Serving) -> None:
        assert self.listed(claimed_twice, "") == {"0xa": "placed"}

    @pytest.mark.parametrize(
        ("query", "states"),
        [
            ("state=failing", {"0xC": "failing"}),
            ("state=waiting,conflict", {"0xb": "conflict", "0xd": "waiting"}),
            ("state=waiting&state=conflict", {"0xb": "conflict", "0xd": "waiting"}),
            ("state=all", {"0xa": "placed", "0xb": "conflict", "0xC": "failing", "0xd": "waiting"}),
            ("state=gone", {}),
            ("id=0xc", {"0xC": "failing"}),
            (f"id={G}", {"0xa": "placed", "0xb": "conflict"}),
            (f"id={G}&state=conflict", {"0xb": "conflict"}),
            ("id=", {}),
            ("id=0xnone", {}),
        ],
    )
    def test_states_and_ids_choose(self, claimed_twice: Serving, query: str, states: dict[str, str]) -> None:
        assert self.listed(claimed_twice, query) == states

    @pytest.mark.parametrize("state", ["nonsense", "failing,nonsense", "all,failing", "", "failing,", "x" * 5000])
    def test_a_state_that_is_none_is_refused(self, claimed_twice: Serving, state: str) -> None:
        said = problem(claimed_twice.client.get(f"/offerings?state={state}"), 400)

        assert said.startswith("state is one or several of conflict, failing, gone, placed, stale, waiting, or all")
        assert len(said) < 300

    def test_links_to_other_pages_keep_the_choice(self, claimed_twice: Serving) -> None:
        response = claimed_twice.client.get("/offerings?state=all&limit=1")

        assert '<?state=all&limit=1&offset=1>; rel="next"' in response.headers["Link"]

    def test_a_failing_one_says_why_and_where(self, claimed_twice: Serving) -> None:
        (one,) = content(claimed_twice.client.get("/offerings?id=0xC"))["offerings"]

        assert one == {
            "nodes": [],
            "state": "failing",
            "address": "0xC",
            "owner": "\x1b[2J",
            "source": "https://p.example/d",
            "error": "no answer",
            "since": "1970-01-01T00:00:00Z",
        }
        assert b"\x1b" not in claimed_twice.client.get("/offerings?id=0xC").data, "JSON escapes it"

    def test_a_new_status_changes_the_list(self, claimed_twice: Serving) -> None:
        assert self.listed(claimed_twice, "state=waiting") == {"0xd": "waiting"}
        claimed_twice.directory.events = {}
        claimed_twice.directory.status_changed()

        eventually(lambda: self.listed(claimed_twice, "state=waiting") == {})

    def test_the_address_that_comes_later_in_the_ledger_is_a_conflict(self, claimed_twice: Serving) -> None:
        said = problem(claimed_twice.offering("0xb"), 409)

        assert G in said
        assert "0xa" in said
        assert claimed_twice.offering("0xa").status_code == claimed_twice.offering(G).status_code == 200

    def test_an_address_without_an_offering_is_not_found_with_the_reason(self, claimed_twice: Serving) -> None:
        assert problem(claimed_twice.offering("0xC"), 404) == "0xC is on the ledger, but failing: no answer"
        assert "its description has not come yet" in problem(claimed_twice.offering("0xd"), 404)


class TestPartialAnswers:
    def test_they_can_be_refused(self, engine: Engine, serving: Serving) -> None:
        app = create_app(engine, serving.directory, lambda: serving.view, partial_answers=False)
        asked = {"query": "ASK { ?s ?p ?o }"}

        assert serving.client.get("/sparql", query_string=asked).headers["Catena-Completeness"] == "partial; missing=c"
        response = app.test_client().get("/sparql", query_string=asked)
        assert "no answer from c" in problem(response, 503)
        assert response.get_json(force=True)["nodes"] == ["c"]
        assert response.headers["Retry-After"]

    def test_what_is_not_missing_can_be_had(self, engine: Engine, serving: Serving) -> None:
        client = create_app(engine, serving.directory, lambda: serving.view, partial_answers=False).test_client()

        assert client.get("/sparql", query_string={"query": f"ASK {{ GRAPH <{G}> {{ ?s ?p ?o }} }}"}).status_code == 200


class TestEveryEndpoint:
    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_the_index_names_it(self, serving: Serving, path: str) -> None:
        response = serving.client.get("/")

        assert path in (" ".join(f"{name} {what}" for name, what in content(response).items()))
        assert response.headers["Link"] == '<openapi.json>; rel="service-desc"'

    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_head_is_as_get_without_a_body(self, serving: Serving, path: str) -> None:
        get, head = serving.client.get(path), serving.client.head(path)

        assert (head.status_code, head.data) == (200, b"")
        assert dict(head.headers) == dict(get.headers)

    @pytest.mark.parametrize("path", EVERY_PATH)
    def test_pages_of_other_origins_may_ask(self, serving: Serving, path: str) -> None:
        asked = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "GET"}
        allowed = serving.client.options(path, headers=asked)
        methods = set(allowed.headers["Access-Control-Allow-Methods"].split(", "))
        headers = set(allowed.headers["Access-Control-Allow-Headers"].split(", "))

        assert allowed.status_code == 200
        assert methods >= {"GET", "HEAD", "OPTIONS"}
        assert ("POST" in methods) == (path in ("/offerings", "/sparql", "/catalogue/sparql"))
        assert headers >= {"Accept", "Content-Type", "Cache-Control", "If-None-Match", "*"}
        for answer in (allowed, serving.client.get(path), serving.client.delete(path), serving.client.get(path + "/x")):
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert {"Catena-Completeness", "ETag", "Link"} <= set(
                answer.headers["Access-Control-Expose-Headers"].split(", ")
            )

    @pytest.mark.parametrize("path", [*EVERY_PATH, "/<script>alert(1)</script>", "/sparql?query=<b>"])
    def test_no_browser_takes_data_for_a_page(self, serving: Serving, path: str) -> None:
        response = serving.client.get(path)

        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.mimetype == "text/html" or "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.mimetype != "text/html" or "<script>alert" not in response.text

    @pytest.mark.parametrize("path", sorted(set(EVERY_PATH) - {"/health"}))
    def test_what_the_client_has_is_not_sent_again(self, serving: Serving, path: str) -> None:
        first = serving.client.get(path)
        again = serving.client.get(path, headers={"If-None-Match": first.headers["ETag"]})

        assert first.headers["Cache-Control"] == "no-cache"
        assert (again.status_code, again.data) == (304, b"")

    def test_health_is_kept_by_nobody(self, serving: Serving) -> None:
        assert serving.client.get("/health").headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("path", EVERY_PATH)
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"])
    def test_other_methods(self, serving: Serving, path: str, method: str) -> None:
        response = serving.client.open(path, method=method)

        assert f"not {method}" in problem(response, 405)
        assert set(response.headers["Allow"].split(", ")) >= {"GET", "HEAD", "OPTIONS"}

    @pytest.mark.parametrize("path", ["/sparql/", "/offerings/", "/nodes/"])
    def test_a_slash_at_the_end_makes_no_difference(self, serving: Serving, path: str) -> None:
        assert serving.client.get(path).status_code == 200

    @pytest.mark.parametrize("path", ["/nothing", "/sparql/x", "/%ff", "/nodes/a", "/.", "/catalogue"])
    def test_what_is_not_there(self, serving: Serving, path: str) -> None:
        assert "GET / says what there is" in problem(serving.client.get(path), 404)

    def test_what_breaks_is_not_told_in_detail(self, engine: Engine, serving: Serving) -> None:
        def broken() -> Any:
            raise RuntimeError("secret")

        app = create_app(engine, serving.directory, broken)
        app.logger.disabled = True

        assert "secret" not in problem(app.test_client().get("/health"), 500)


WORDS = """
    query= & = ASK { } SELECT * ?s <urn:x> % + %20 %00 %ff é " \\ default-graph-uri= named-graph-uri= format= output= csv
    explain= 1 update= limit= offset=
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\x00", "\r\n"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
ACCEPTS = st.sampled_from(
    ["*/*", "", "text/csv", "text/turtle;q=0", "x/y", ";", ",", 'a;b="c', "*/*;q=1e400", "*/*;q=nan"]
)
TAGS = st.sampled_from(["*", '"x"', 'W/"', '"', ",", ""])
TYPES = st.sampled_from(
    [
        "application/x-www-form-urlencoded",
        "application/sparql-query",
        "application/json",
        "",
        "x;y",
        "multipart/form-data",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]),
    st.sampled_from(EVERY_PATH),
    TEXTS,
    TEXTS,
    TYPES,
    ACCEPTS,
    TAGS,
    TAGS,
)
def test_no_request_breaks_anything(
    serving: Serving,
    method: str,
    path: str,
    query: str,
    body: str,
    content_type: str,
    accept: str,
    tag: str,
    other_tag: str,
) -> None:
    response = serving.client.open(
        path,
        method=method,
        data=body.encode(),
        content_type=content_type,
        headers={"Accept": accept, "If-None-Match": tag, "If-Match": other_tag, "Cache-Control": tag},
        environ_overrides={"QUERY_STRING": query.encode().decode("latin-1")},
    )

    assert response.status_code < 500
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    if response.status_code >= 400:
        assert response.content_type == "application/problem+json"


def test_a_description_is_kept_by_nobody_who_asked_with_post(serving: Serving) -> None:
    response = serving.offering("0xa", **{"If-None-Match": "*"})

    assert response.status_code == 200
    assert "ETag" not in response.headers
    assert response.headers["Vary"] == "Accept"


def test_the_document_for_programs_is_json(serving: Serving) -> None:
    assert json.loads(serving.client.get("/openapi.json").data)["openapi"] == "3.1.0"
