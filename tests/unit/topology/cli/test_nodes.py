"""`catena nodes list`: every node with its state, its graphs and what is wrong with it; and errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from topology.cli.main import main
from topology.membership import CatalogueList

NODES = {
    "epoch": 3,
    "nodes": [
        {
            "id": "node_1",
            "url": "http://a:3030/catalogue",
            "state": "up",
            "graphs_placed": 12,
            "graphs_read": 6,
            "conflicts": 4,
            "problem": "it does not take 2 graphs: disk full",
        },
        {
            "id": "node_2",
            "url": "http://b:3030/catalogue",
            "state": "draining",
            "graphs_placed": 7,
            "graphs_read": 1,
            "graphs_missing": 5,
            "weight": 2.5,
            "held_down_until": 1_700_000_000_000,
            "inspection": {"node": "node_2", "at": 1, "lost": 5, "own_form": 3, "repair_at": 1_700_000_000_000},
        },
    ],
}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["nodes", *arguments], env={"COLUMNS": "200", "KAFKA_ENDPOINT": ""})
    return result.exit_code, result.output


@pytest.fixture
def gateway(server: OddServer) -> str:
    server.answers["/nodes"] = saying_json(NODES)
    return server.url


def test_list_shows_state_weight_graphs_and_remarks(gateway: str) -> None:
    status, output = run("list", "-u", gateway)

    assert status == 0
    first, second = (next(line for line in output.splitlines() if name in line) for name in ("node_1", "node_2"))
    assert first.split()[:5] == ["node_1", "up", "1", "12", "0"]
    assert second.split()[:5] == ["node_2", "draining", "2.5", "7", "5"]
    said = " ".join(output.split())
    assert "came and went" in said
    assert "disk full" in said
    assert "4 graphs of its owner" in said
    assert "accepts graphs and loses them" in said
    assert "3 graphs in a form of its own" in said


def test_list_in_json_has_one_object_a_node(gateway: str) -> None:
    status, output = run("list", "-u", gateway, "--json")
    found = [json.loads(line) for line in output.splitlines()]

    assert status == 0
    assert [(one["id"], one["weight"], one["graphs_missing"]) for one in found] == [
        ("node_1", 1, 0),
        ("node_2", 2.5, 5),
    ]


def test_list_of_no_nodes_says_where_they_come_from(server: OddServer) -> None:
    server.answers["/nodes"] = saying_json({"epoch": 0, "nodes": []})

    assert run("list", "-u", server.url) == (
        0,
        "there are no nodes; CATALOGUE_LIST names them, or the offerings' owners do\n",
    )


@pytest.mark.parametrize("answer", [saying(b"no"), saying_json({"nodes": 1}), saying(b"gone", 500)])
def test_list_of_another_server_is_an_error(server: OddServer, answer: Any) -> None:
    server.answers["/nodes"] = answer

    status, output = run("list", "-u", server.url)

    assert status == 1
    assert output.startswith("Error: ")


def test_list_without_a_gateway_says_how_to_get_one() -> None:
    status, output = run("list", "-u", f"http://127.0.0.1:{closed_port()}")

    assert (status, "'catena up' starts one" in output) == (1, True)


def test_list_shows_no_control_characters(server: OddServer) -> None:
    node = {"id": "a\x1b[2J", "url": "http://a", "state": "up", "graphs_placed": 0, "graphs_read": 0}
    server.answers["/nodes"] = saying_json({"epoch": 0, "nodes": [node]})

    assert "\x1b[2J" not in run("list", "-u", server.url)[1]


@pytest.mark.parametrize("command", ["drain", "undrain"])
def test_command_without_kafka_says_how_to_name_it(command: str) -> None:
    status, output = run(command, "node_1")

    assert (status, "-k HOST:PORT" in output) == (2, True)


@pytest.mark.parametrize("command", [[], ["list"], ["drain"], ["undrain"]])
def test_help_shows_an_example(command: list[str]) -> None:
    status, output = run(*command, "--help")

    assert (status, "catena nodes" in output.split("Options")[0].replace("Usage: catena", "", 1)) == (0, True)


# add


def add(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["nodes", "add", *arguments])
    return result.exit_code, result.output


def test_add_puts_a_node_into_the_list(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"

    for number in (1, 2):
        url = f"http://n{number}:3030/catalogue"
        assert add(f"node_{number}", url, "--weight", "2", "--no-check", "--list", str(path))[0] == 0

    members = CatalogueList(str(path)).members()
    assert [(member.id, member.weight) for member in members] == [("node_1", 2.0), ("node_2", 2.0)]


@pytest.mark.parametrize(
    ("node", "url", "said"),
    [
        ("node_1", "http://other:3030/catalogue", "already"),
        ("node_2", "http://n1:3030/catalogue", "two nodes at"),
        ("node_2", "n2:3030", "no usable catalogue_url"),
    ],
)
def test_add_of_a_wrong_node_leaves_the_list_as_it_is(tmp_path: Path, node: str, url: str, said: str) -> None:
    path = tmp_path / "nodes.json"
    add("node_1", "http://n1:3030/catalogue", "--no-check", "--list", str(path))
    before = path.read_bytes()

    status, output = add(node, url, "--no-check", "--list", str(path))

    assert (status, said in output) == (1, True)
    assert path.read_bytes() == before


def test_add_of_a_node_that_does_not_answer_says_how_to_add_it_all_the_same(tmp_path: Path) -> None:
    status, output = add("n", f"http://127.0.0.1:{closed_port()}/catalogue", "--list", str(tmp_path / "nodes.json"))

    assert (status, "--no-check" in output) == (1, True)
    assert not (tmp_path / "nodes.json").exists()


def test_add_of_a_node_with_a_password_keeps_the_list_from_others_or_warns(tmp_path: Path) -> None:
    path, shown = tmp_path / "nodes.json", tmp_path / "shown.json"
    shown.touch(mode=0o644)
    shown.write_text("{}")

    for file in (path, shown):
        status, output = add("n", "http://ada:secret@n:3030", "--no-check", "--list", str(file))
        assert (status, "chmod 600" in output) == (0, file is shown)
    assert path.stat().st_mode & 0o777 == 0o600


def test_add_of_a_node_named_by_its_address_drops_the_password_of_the_name(tmp_path: Path) -> None:
    path, url = tmp_path / "nodes.json", "http://ada:a-password@n:3030/catalogue"

    status, output = add(url, url.replace("ada:", "eve:"), "--list", str(path))
    assert (status, "a-password" in output) == (1, False)

    status, output = add(url, url, "--no-check", "--list", str(path))
    assert (status, "a-password" in output) == (0, False)
    assert [member.id for member in CatalogueList(str(path)).members()] == ["http://n:3030/catalogue"]
