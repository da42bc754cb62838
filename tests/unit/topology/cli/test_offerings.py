"""``catena offerings``: which offerings there are, in which state, and why one does not come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from catena_core.embedded import EmbeddedBroker
from tests.helpers.odd_server import Handler, OddServer, saying, saying_json
from topology import records, topics
from topology.cli.kafka import Connection
from topology.cli.main import main
from topology.records import AddressEvent, AddressStatus

FAILING: dict[str, Any] = {
    "nodes": [],
    "state": "failing",
    "address": "0xA",
    "owner": "0xB",
    "name": "tides",
    "source": "https://p.example/d/1",
    "error": "https://p.example/d/1 does not answer within 3 s",
    "since": "2026-11-28T21:00:00Z",
    "next_try": "2026-11-28T21:30:00Z",
}
PLACED: dict[str, Any] = {
    "graph": "urn:g",
    "nodes": ["a", "b"],
    "state": "placed",
    "address": "0xC",
    "hash_check": "differs",
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a folder without a .env, and a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")


def serve(gateway: OddServer, *offerings: dict[str, Any]) -> None:
    """Answer as a gateway with these offerings, whatever state is asked for."""

    def answer(request: Handler) -> None:
        asked = parse_qs(urlsplit(request.path).query)
        limit, offset = int(asked["limit"][0]), int(asked["offset"][0])
        page = list(offerings[offset : offset + limit])
        request.say_json({"total": len(offerings), "limit": limit, "offset": offset, "offerings": page})

    gateway.answers["/offerings"] = answer


def run(gateway: OddServer, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["offerings", *arguments, "-u", gateway.url])


def test_list_shows_states_with_reasons(server: OddServer) -> None:
    serve(server, FAILING, PLACED)
    result = run(server, "list")

    assert result.exit_code == 0
    assert FAILING["error"] in result.output
    assert "a, b" in result.output
    assert "2 of 2 offerings" in result.output


def test_list_asks_for_states(server: OddServer) -> None:
    serve(server, FAILING)
    run(server, "list", "--state", "failing,stale")

    assert parse_qs(urlsplit(server.asked[0].path).query)["state"] == ["failing,stale"]


def test_list_reads_page_by_page_up_to_its_limit(server: OddServer) -> None:
    serve(server, *({**PLACED, "address": f"0x{number}"} for number in range(2500)))

    assert len(run(server, "list", "--json", "--limit", "2200").output.splitlines()) == 2200
    assert "100 of 2,500 offerings; --limit 2500 lists all" in run(server, "list").output


def test_list_of_none_says_so(server: OddServer) -> None:
    serve(server)

    assert "0 of 0 offerings" in run(server, "list").output


def test_json_is_one_object_a_line_in_ascii(server: OddServer) -> None:
    serve(server, {**FAILING, "name": "marée \x1b[2J"})
    result = run(server, "list", "--json")

    assert json.loads(result.output) == {**FAILING, "name": "marée \x1b[2J"}
    assert result.output.isascii()
    assert "\x1b" not in result.output


def test_show_tells_all_that_is_known(server: OddServer) -> None:
    serve(server, FAILING)
    result = run(server, "show", "0xA")

    assert parse_qs(urlsplit(server.asked[0].path).query)["id"] == ["0xA"]
    assert result.output.startswith("0xA: failing\n")
    for value in ("https://p.example/d/1", FAILING["error"], "2026-11-28T21:00:00Z", "2026-11-28T21:30:00Z", "tides"):
        assert value in result.output


def test_show_tells_of_another_hash(server: OddServer) -> None:
    serve(server, PLACED)

    assert "another hash than the ledger's" in run(server, "show", "0xC").output


def test_names_of_strangers_are_harmless_on_a_terminal(server: OddServer) -> None:
    serve(server, {**FAILING, "name": "\x1b[2J" + "x" * 5000})

    for arguments in (("list",), ("show", "0xA")):
        assert "\x1b" not in run(server, *arguments).output
    assert "x" * 300 not in run(server, "list").output


def test_show_of_an_unknown_one_says_what_to_do(server: OddServer) -> None:
    serve(server)
    result = run(server, "show", "0xnone")

    assert result.exit_code == 1
    assert "no offering is known as 0xnone; 'catena offerings list --state all'" in result.output


def test_errors_of_the_gateway_are_told(server: OddServer) -> None:
    server.answers["/offerings"] = saying_json(
        {"title": "t", "status": 400, "detail": "state is one or several of"}, 400
    )
    result = run(server, "list", "--state", "nonsense")

    assert result.exit_code == 1
    assert "state is one or several of" in result.output


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"total": "many"}'])
def test_another_server_is_told_from_a_gateway(server: OddServer, body: bytes) -> None:
    server.answers["/offerings"] = saying(body)

    assert "it is no gateway of Catena" in run(server, "list").output


def test_where_no_gateway_answers_it_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["offerings", "list", "-u", "http://127.0.0.1:1"])

    assert result.exit_code == 1
    assert "'catena up' starts one" in result.output


@pytest.mark.parametrize("command", ["list", "show"])
def test_the_help_has_examples(command: str) -> None:
    assert f"catena offerings {command} " in CliRunner().invoke(main, ["offerings", command, "--help"]).output


def test_list_sends_the_key_that_the_settings_hold(server: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "k3y-of-the-operator")
    serve(server, PLACED)
    run(server, "list")

    assert server.asked[0].headers["Authorization"] == "Bearer k3y-of-the-operator"


# refresh

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
IRI = "https://provider.example/offerings/1"


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with EmbeddedBroker(topics.SPECS) as broker:
        producer = Producer({"bootstrap.servers": broker.endpoint})
        for topic, record in (
            (topics.ADDRESSES, AddressEvent("listed", 1, order=4)),
            (topics.STATUSES, AddressStatus(state="failing", event_at=1, since=1, graph=IRI)),
        ):
            producer.produce(topic, records.to_text(record), ADDRESS, partition=topics.address_partition(ADDRESS, 12))
        producer.flush()
        yield broker.endpoint


def refresh(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["offerings", "refresh", *arguments], env={"KAFKA_ENDPOINT": ""})
    return result.exit_code, result.output


@pytest.mark.parametrize("given", [(ADDRESS.lower(),), (IRI,), ("--state", "failing")])
def test_refresh_sends_an_event_that_the_fetcher_heeds_at_once(kafka: str, given: tuple[str, ...]) -> None:
    status, output = refresh(*given, "-k", kafka)
    assert (status, output) == (0, "1 offering is fetched again\n")

    # It stands where the fetcher of this address reads, and keeps the address's rank.
    event = Connection(kafka, {}).rows(topics.ADDRESSES, lambda _, value: records.from_text(value, AddressEvent))[
        ADDRESS
    ]
    assert (event.kind, event.order, event.at > 1) == ("listed", 4, True)


def test_refresh_of_an_unknown_offering_says_where_to_look(kafka: str) -> None:
    status, output = refresh("0x1", "-k", kafka)

    assert (status, "catena offerings list" in output) == (1, True)


def test_refresh_of_nothing_is_a_mistake(kafka: str) -> None:
    assert refresh("-k", kafka)[0] == 2
