"""The list of offerings page by page, with states from the ledger."""

from __future__ import annotations

import re

import msgspec
import pytest

from federation.engine import Engine
from federation.source_selection import Snapshot, Source
from tests.helpers.answers import content, problem
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.waiting import eventually
from topology.gateway.api.app import create_app
from topology.gateway.offering_list import ListedOffering
from topology.gateway.replicas.missing import MissingCopies
from topology.records import AddressEvent, AddressStatus, OfferingHead


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

            def problems(self) -> dict[str, str]:
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
