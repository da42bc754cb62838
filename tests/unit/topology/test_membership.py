"""Who belongs to the catalogue: the operator's list as it is now, and the nodes of owners, whatever their providers say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catena_core.text import basic_authorization
from tests.helpers.odd_server import OddServer, closed_port, odd_server, saying, saying_json
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology import membership
from topology.clients.http import WebClient
from topology.credentials import Credentials
from topology.membership import CatalogueList, Member, MembershipError, OwnersNodes, read_catalogue_list
from topology.records import Endpoints
from topology.settings import Settings

TEMPLATE = "{scheme}://{host}:3030/catalogue"


def listed(content: Any) -> tuple[Member, ...]:
    return read_catalogue_list(content if isinstance(content, bytes) else json.dumps(content).encode(), "nodes.json")


def problem(content: Any) -> str:
    with pytest.raises(MembershipError) as wrong:
        listed(content)
    return str(wrong.value)


class TestList:
    def test_the_documented_shape(self) -> None:
        content = {
            "node_1": {"base_url": "http://a:80", "catalogue_url": "http://a:3030/catalogue", "id": "alpha"},
            "node_2": {"base_url": "http://b:80", "catalogue_url": "http://b:3030/catalogue/", "id": "beta"},
        }

        assert listed(content) == (
            Member("alpha", "http://a:3030/catalogue"),
            Member("beta", "http://b:3030/catalogue"),
        )

    @pytest.mark.parametrize("name", ["catalogue_url", "base_url"])
    def test_a_password_in_an_address_is_no_part_of_the_member(self, name: str) -> None:
        credentials = Credentials()
        content = json.dumps({"a": {name: "http://catena:pw-of-a-node@a:80/"}}).encode()

        (member,) = read_catalogue_list(content, "nodes.json", credentials)

        assert "pw-of-a-node" not in repr(member)
        assert credentials.headers(f"{member.url}/data")["Authorization"].startswith("Basic ")

    @pytest.mark.parametrize("odd", ["#", "?", "/", " ", "\\[", ""])
    @pytest.mark.parametrize("name", ["catalogue_url", "base_url", "sparql", "graph_store", "update"])
    def test_a_password_that_is_not_encoded_is_in_no_message(self, name: str, odd: str) -> None:
        entry = {"catalogue_url": "http://a/c" * (name != "base_url"), name: f"http://ada:a-pass{odd}word@a:p/c"}

        assert "a-pass" not in problem({"a": entry})
        assert "a-pass" not in problem({"a": {**entry, name: entry[name].replace("http://", "")}})

    def test_an_at_sign_behind_the_host_is_refused_and_not_shown(self) -> None:
        found = problem({"a": {"catalogue_url": "http://ada:a-p@ss/word@a/c"}})

        assert "write %40" in found and "word" not in found.replace("password", "")

    def test_an_address_as_a_name_loses_its_password(self) -> None:
        address = "http://ada:a-password@a/c"

        assert [one.id for one in listed({address: {"catalogue_url": address}})] == ["http://a/c"]
        assert [one.id for one in listed({"a": {"catalogue_url": address, "id": address}})] == ["http://a/c"]
        assert "a-password" not in problem({address: {"catalogue_url": 5}})
        assert "a-password" not in problem({address: {"catalogue_url": "http://"}})

    @pytest.mark.parametrize("query", ["?key=a-secret", "#a-secret"])
    def test_a_query_in_an_address_is_refused_and_not_shown(self, query: str) -> None:
        found = problem({"a": {"catalogue_url": f"http://a/c{query}"}})

        assert "has a query in its catalogue_url" in found and "a-secret" not in found

    def test_an_endpoint_may_have_a_user_and_a_password_of_its_own(self) -> None:
        credentials = Credentials()
        entry = {"catalogue_url": "http://ada:one@a/c", "sparql": "http://eve:two@b/q", "update": "http://a/u"}
        (member,) = read_catalogue_list(json.dumps({"a": entry}).encode(), "nodes.json", credentials)

        assert member.endpoints == Endpoints("http://b/q", "", "http://a/u")
        assert [
            credentials.headers(url)["Authorization"] for url in ("http://a/c/data", "http://b/q", "http://a/u")
        ] == [
            basic_authorization("ada", "one"),
            basic_authorization("eve", "two"),
            basic_authorization("ada", "one"),
        ]

    @pytest.mark.parametrize(
        "url",
        ["ftp://catena:pw-of-a-node@a/c", "http://catena:pw-of-a-node@a b/c", "http://catena:pw-of-a-node@[::1/c"],
    )
    def test_a_bad_address_is_named_without_its_password(self, url: str) -> None:
        assert "pw-of-a-node" not in problem({"a": {"catalogue_url": url}})

    def test_two_users_of_one_address_are_one_node(self) -> None:
        content = {
            "a": {"catalogue_url": "http://ada:pw-of-ada@n/c"},
            "b": {"catalogue_url": "http://bob:pw-of-bob@n/c"},
        }

        assert "two nodes at http://n/c" in problem(content)

    def test_the_base_alone_is_enough(self) -> None:
        assert listed({"a": {"base_url": "http://a:80/"}}) == (Member("a", "http://a:80/catalogue"),)

    def test_without_an_id_a_node_is_called_as_its_entry(self) -> None:
        assert listed({"a": {"catalogue_url": "http://a/c"}}) == (Member("a", "http://a/c"),)

    def test_endpoints_of_an_entry_are_absolute_or_relative_to_its_address(self) -> None:
        (member,) = listed(
            {
                "a": {
                    "catalogue_url": "http://a/c/",
                    "sparql": "query",
                    "graph_store": "/store?db=1",
                    "update": "http://user:secret@b:8080/update/",
                }
            }
        )

        assert member.endpoints == Endpoints("http://a/c/query", "http://a/store?db=1", "http://b:8080/update")

    def test_credentials_of_an_address_hold_for_endpoints_of_its_server_alone(self) -> None:
        credentials = Credentials()
        entry = {"catalogue_url": "http://user:secret@a/c", "graph_store": "/store", "update": "http://b/update"}
        read_catalogue_list(json.dumps({"a": entry}).encode(), "nodes.json", credentials)

        assert credentials.headers("http://a/store?graph=g")
        assert not credentials.headers("http://b/update")

    @pytest.mark.parametrize("address", ["ftp://a/x", "http://169.254.169.254/x", "http://[::1/x"])
    @pytest.mark.parametrize("name", ["sparql", "graph_store", "update"])
    def test_endpoint_that_is_no_address_is_refused_with_its_name(self, name: str, address: str) -> None:
        assert f"a has no usable {name}" in problem({"a": {"catalogue_url": "http://a/c", name: address}})

    def test_weight_of_an_entry_is_read_and_1_without_one(self) -> None:
        members = listed({"a": {"catalogue_url": "http://a/c", "weight": 2.5}, "b": {"catalogue_url": "http://b/c"}})

        assert [member.weight for member in members] == [2.5, 1.0]

    @pytest.mark.parametrize("weight", [0, -1, 1e9, "heavy"])
    def test_weight_that_is_none_is_refused_with_its_entry(self, weight: Any) -> None:
        assert "weight" in problem({"a": {"catalogue_url": "http://a/c", "weight": weight}})

    def test_what_else_an_entry_says_does_not_matter(self) -> None:
        assert listed({"a": {"catalogue_url": "http://a/c", "owner": {"name": "A"}}})

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            [{"catalogue_url": "http://a"}],
            {"a": "http://a"},
            {"a": {"id": 7}},
            b'{"a": "\xff"}',
            b"[" * 200_000,
        ],
    )
    def test_what_is_no_list_is_told_and_where_one_is_shown(self, content: Any) -> None:
        said = problem(content)

        assert said.startswith("nodes.json is not a list of nodes")
        assert "examples/catalogue_list.json" in said

    def test_no_node_at_all(self) -> None:
        assert "names no node" in problem({})

    @pytest.mark.parametrize(
        "entry",
        [
            {},
            {"id": "a"},
            {"catalogue_url": "a:3030"},
            {"catalogue_url": "ftp://a/"},
            {"catalogue_url": "http://169.254.169.254/"},
        ],
    )
    def test_a_node_without_a_usable_address_is_named(self, entry: Any) -> None:
        assert "node_1 has no usable catalogue_url" in problem({"node_1": entry})

    def test_misspelt_member_is_named_with_the_right_one(self) -> None:
        with pytest.raises(MembershipError, match="a: there is no 'catalog_url'; did you mean 'catalogue_url'"):
            listed({"a": {"catalog_url": "http://a.example"}})

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[2J", "a" * 201])
    def test_id_that_is_no_name_is_refused(self, name: str) -> None:
        with pytest.raises(MembershipError, match="is no id"):
            listed({name: {"catalogue_url": "http://a.example"}})

    @pytest.mark.parametrize("other", ["http://A.example/c", "http://a.example:80/c", "http://a.example/c/"])
    def test_address_twice_in_another_spelling_is_refused(self, other: str) -> None:
        with pytest.raises(MembershipError, match="has two nodes at"):
            listed({"a": {"catalogue_url": "http://a.example/c"}, "b": {"catalogue_url": other}})

    def test_an_id_twice(self) -> None:
        said = problem(
            {"a": {"catalogue_url": "http://a/c", "id": "x"}, "b": {"catalogue_url": "http://b/c", "id": "x"}}
        )

        assert "two nodes with the id x" in said

    @pytest.mark.parametrize("same", ["http://a/c", "http://a/c/"])
    def test_an_address_twice(self, same: str) -> None:
        """Two copies there would be one, and what one node gives up would be gone from the other."""
        said = problem({"a": {"catalogue_url": "http://a/c"}, "b": {"catalogue_url": same}})

        assert "two nodes at http://a/c" in said


class TestFile:
    def test_it_is_read_again_when_it_changes(self, tmp_path: Path) -> None:
        file = tmp_path / "nodes.json"
        nodes = CatalogueList(str(file))
        file.write_text('{"a": {"catalogue_url": "http://a/c"}}')
        assert [member.id for member in nodes.members()] == ["a"]

        file.write_text('{"b": {"catalogue_url": "http://b/c"}}')
        os.utime(file, ns=(1, 1))

        assert [member.id for member in nodes.members()] == ["b"]

    def test_it_is_not_read_when_it_does_not(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "nodes.json"
        file.write_text('{"a": {"catalogue_url": "http://a/c"}}')
        nodes = CatalogueList(str(file))
        nodes.members()
        monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read again"))

        assert [member.id for member in nodes.members()] == ["a"]

    @pytest.mark.parametrize("content", ["{broken", "{}", '{"a": {}}'])
    def test_a_file_that_is_broken_meanwhile_is_told_and_the_mended_one_is_taken(
        self, tmp_path: Path, content: str
    ) -> None:
        file = tmp_path / "nodes.json"
        file.write_text('{"a": {"catalogue_url": "http://a/c"}}')
        nodes = CatalogueList(str(file))
        nodes.members()

        file.write_text(content)
        for _ in range(2):
            with pytest.raises(MembershipError, match=r"nodes\.json"):
                nodes.members()
        file.write_text('{"b": {"catalogue_url": "http://b/c"}}')

        assert [member.id for member in nodes.members()] == ["b"]

    def test_a_file_that_is_gone_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(MembershipError, match="cannot be read: No such file"):
            CatalogueList(str(tmp_path / "nodes.json")).members()


class TestOwners:
    @pytest.fixture
    def owners(self) -> Iterator[OwnersNodes]:
        owners = OwnersNodes(Settings(node_url_template=TEMPLATE), WebClient(60.0, 100_000))
        yield owners
        owners.close()

    @staticmethod
    def urls(owners: OwnersNodes, *sources: tuple[str, str]) -> list[str]:
        """Return the addresses, once every provider was asked."""
        eventually(lambda: (owners.members(sources), owners.has_asked)[1])
        return [member.url for member in owners.members(sources)]

    @pytest.mark.parametrize(
        "name", ["catalogue_url", "catalogueUrl", "catalogue_endpoint", "catalogueEndpoint", "catalogue"]
    )
    def test_a_profile_may_name_the_catalogue(self, server: OddServer, owners: OwnersNodes, name: str) -> None:
        server.answers["/profile"] = saying_json({"name": "P", name: "https://nodes.example/p/catalogue/"})

        assert self.urls(owners, ("P", f"{server.url}/descriptions/1")) == ["https://nodes.example/p/catalogue"]

    def test_a_password_in_a_profile_or_a_source_is_dropped(self, server: OddServer, owners: OwnersNodes) -> None:
        server.answers["/profile"] = saying_json({"catalogue_url": "https://ada:pw-of-a-node@nodes.example/p"})
        source = server.url.replace("//", "//ada:pw-of-a-source@")

        assert self.urls(owners, ("P", f"{source}/descriptions/1")) == ["https://nodes.example/p"]
        assert "Authorization" not in server.asked[0].headers

    def test_the_sandbox_s_profile_is_understood(self, booth: Sandbox, owners: OwnersNodes) -> None:
        assert self.urls(owners, ("P", f"{booth.origin}/descriptions/1")) == ["http://127.0.0.1:3030/catalogue"]

    @pytest.mark.parametrize(
        "profile",
        [
            saying(b"", 404),
            saying(b"", 403),
            saying(b"", 302),
            saying(b""),
            saying(b"<html>"),
            saying(b'{"catalogue_url": "\xff"}'),
            saying(b"[" * 50_000),
            saying(b" " * 200_000),
            saying_json([]),
            saying_json({}),
            saying_json({"catalogue_url": None}),
            saying_json({"catalogue_url": 3, "catalogue": {}}),
            saying_json({"catalogue_url": ""}),
        ],
    )
    def test_where_no_profile_names_one_it_follows_from_the_template(
        self, server: OddServer, owners: OwnersNodes, profile: Any
    ) -> None:
        server.answers["/profile"] = profile

        assert self.urls(owners, ("P", f"{server.url}/descriptions/1")) == ["http://127.0.0.1:3030/catalogue"]
        assert owners.is_sure

    @pytest.mark.parametrize(
        "lie",
        [
            "ftp://nodes.example/",
            "http://169.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "nodes.example",
            "http://a b/",
            f"http://nodes.example/{'x' * 500}",
        ],
    )
    def test_a_profile_that_lies_is_not_believed(self, server: OddServer, owners: OwnersNodes, lie: str) -> None:
        server.answers["/profile"] = saying_json({"catalogue_url": lie})

        assert self.urls(owners, ("P", f"{server.url}/descriptions/1")) == ["http://127.0.0.1:3030/catalogue"]

    def test_the_profile_is_asked_for_at_the_root_of_the_description_s_server(
        self, server: OddServer, owners: OwnersNodes
    ) -> None:
        self.urls(owners, ("P", f"{server.url}/a/b/descriptions/1?x=y#z"))

        assert [asked.path for asked in server.asked] == ["/profile"]

    @pytest.mark.parametrize(
        ("source", "url"),
        [
            ("https://p.invalid/d", "https://p.invalid:3030/catalogue"),
            ("http://p.invalid:8080/d", "http://p.invalid:3030/catalogue"),
            ("http://[::1]:1/d", "http://[::1]:3030/catalogue"),
            ("http://P.INVALID/d", "http://p.invalid:3030/catalogue"),
        ],
    )
    def test_scheme_and_host_of_the_description_fill_the_template(
        self, owners: OwnersNodes, source: str, url: str
    ) -> None:
        assert self.urls(owners, ("P", source)) == [url]

    def test_owners_that_share_an_address_are_one_node(self, server: OddServer, owners: OwnersNodes) -> None:
        server.answers["/profile"] = saying_json({"catalogue": "http://shared.example/catalogue"})

        urls = self.urls(owners, ("P", f"{server.url}/1"), ("Q", f"{server.url}/2"), ("P", f"{server.url}/3"))

        assert urls == ["http://shared.example/catalogue"]
        assert len(server.asked) == 2

    def test_a_node_is_called_by_its_address_whoever_came_first(self, owners: OwnersNodes) -> None:
        self.urls(owners, ("P", "http://b.invalid/1"), ("Q", "http://a.invalid/1"))

        assert [member.id for member in owners.members([])] == [
            "http://a.invalid:3030/catalogue",
            "http://b.invalid:3030/catalogue",
        ]

    def test_new_owners_join(self, server: OddServer, owners: OwnersNodes) -> None:
        assert owners.members([]) == ()
        assert len(self.urls(owners, ("P", f"{server.url}/1"))) == 1
        assert len(self.urls(owners, ("P", f"{server.url}/1"), ("Q", "http://q.invalid/1"))) == 2

    def test_the_first_description_of_an_owner_decides(self, owners: OwnersNodes) -> None:
        self.urls(owners, ("P", "http://one.invalid/1"))

        assert self.urls(owners, ("P", "http://other.invalid/1")) == ["http://one.invalid:3030/catalogue"]

    @pytest.mark.parametrize(
        "source", ["", "descriptions/1", "ftp://p.example/", "http://169.254.169.254/", "http://[::1"]
    )
    def test_a_description_at_no_address_says_nothing_and_the_next_one_counts(
        self, owners: OwnersNodes, source: str
    ) -> None:
        assert owners.members([("P", source), ("", "http://nobody.invalid/")]) == ()
        assert self.urls(owners, ("P", source), ("P", "http://p.invalid/1")) == ["http://p.invalid:3030/catalogue"]

    def test_providers_that_hang_hold_up_nobody(self, owners: OwnersNodes) -> None:
        with odd_server() as quick:
            quick.answers["/profile"] = saying_json({"catalogue": "http://quick.example/catalogue"})
            with odd_server() as server:
                server.answers["/profile"] = server.hang
                sources = [*((f"P{number}", f"{server.url}/{number}") for number in range(20)), ("Q", f"{quick.url}/1")]
                found = Member("http://quick.example/catalogue", "http://quick.example/catalogue")
                eventually(lambda: found in owners.members(sources))
                assert not owners.has_asked
            assert len(self.urls(owners, *sources)) == 2

    def test_a_provider_that_does_not_answer_is_taken_at_the_template_and_asked_again(
        self, owners: OwnersNodes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(membership, "_ASK_AGAIN_AFTER", 0.05)
        with odd_server() as server:
            server.answers["/profile"] = saying(b"", 503)
            source = ("P", f"{server.url}/1")
            assert self.urls(owners, source) == ["http://127.0.0.1:3030/catalogue"]
            assert not owners.is_sure

            server.answers["/profile"] = saying_json({"catalogue": "http://p.example/catalogue"})
            eventually(lambda: (owners.members([source]), owners.is_sure)[1])

        assert self.urls(owners, source) == ["http://p.example/catalogue"]

    def test_a_provider_that_answered_is_not_asked_again(self, server: OddServer, owners: OwnersNodes) -> None:
        for _ in range(5):
            self.urls(owners, ("P", f"{server.url}/1"))

        assert len(server.asked) == 1

    def test_nobody_home_is_not_sure(self, owners: OwnersNodes) -> None:
        port = closed_port()

        assert self.urls(owners, ("P", f"http://127.0.0.1:{port}/1")) == ["http://127.0.0.1:3030/catalogue"]
        assert not owners.is_sure
