"""How commands find a gateway, and what they say where none answers or one refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.explaining import PLAN, QUERY, explain, problem
from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from topology.cli.gateway import Gateway, own_url, problem_of
from topology.clients.http import Response
from topology.settings import Settings

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("path", ["", "/", "/sparql", "/sparql/"])
def test_a_gateway_is_named_with_or_without_the_path(gateway: OddServer, path: str) -> None:
    explain("-u", gateway.url + path, QUERY)

    assert gateway.asked[-1].path == "/sparql"


def test_other_paths_and_addresses_without_a_scheme_are_taken(gateway: OddServer) -> None:
    gateway.answers["POST /catalogue/sparql"] = saying_json(PLAN)

    explain("-u", gateway.url.removeprefix("http://") + "/catalogue", QUERY)

    assert gateway.asked[-1].path == "/catalogue/sparql"


def test_this_machine_s_gateway_is_found_by_the_settings(gateway: OddServer, own_folder: Path) -> None:
    port = gateway.url.rpartition(":")[2]
    (own_folder / ".env").write_text(f"HOST_PORT={port}\n")

    explain(QUERY, env={"HOST_ADDRESS": "127.0.0.1", "OPERATOR_PROVIDED": "of no concern"})

    assert len(gateway.asked) == 1


def test_a_setting_that_cannot_be_used_is_named() -> None:
    assert 'HOST_PORT="high" should be' in explain(QUERY, status=1, env={"HOST_PORT": "high"})


def test_a_port_that_is_not_known_has_to_be_said() -> None:
    assert "say which one it took: -u http://localhost:PORT" in explain(QUERY, status=1, env={"HOST_PORT": "0"})


def test_it_says_how_to_start_a_gateway_where_none_answers() -> None:
    said = explain("-u", f"http://127.0.0.1:{closed_port()}", QUERY, status=1)

    assert said.startswith("Error: no answer from a gateway: http://127.0.0.1:")
    assert "'catena up' starts one on this machine; -u URL names another one\n" in said


def test_it_does_not_wait_for_ever(gateway: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topology.cli.gateway._SECONDS_BEYOND_TIMEOUT", 0.1)
    gateway.answers["POST /sparql"] = gateway.hang

    assert "does not answer within 0.3 s" in explain("-u", gateway.url, QUERY, status=1, env={"SPARQL_TIMEOUT": "0.2"})


@pytest.mark.parametrize("url", ["http://[::1", "ftp://localhost", "http://local host", "http://localhost:99999"])
def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    assert url.removeprefix("http://") in explain("-u", url, QUERY, status=1)


def test_other_errors_are_told_with_their_status(gateway: OddServer) -> None:
    gateway.answers["POST /sparql"] = problem("waited for node \x1b[31mnode_3", 504)

    assert explain("-u", gateway.url, QUERY, status=1) == "Error: waited for node \\x1b[31mnode_3 (status 504)\n"


def test_an_error_that_is_no_problem_document_is_told_as_it_came(gateway: OddServer) -> None:
    gateway.answers["POST /sparql"] = saying(b"<h1>Bad\n gateway</h1>", 502)

    assert explain("-u", gateway.url, QUERY, status=1) == (
        f"Error: {gateway.url}/sparql answers with status 502: <h1>Bad gateway</h1>\n"
    )


def test_an_address_without_an_endpoint_is_told(server: OddServer) -> None:
    assert f"there is nothing at {server.url}/x/sparql" in explain("-u", f"{server.url}/x", QUERY, status=1)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:3030"),
        ("::", "http://localhost:3030"),
        ("127.0.0.1", "http://127.0.0.1:3030"),
        ("::1", "http://[::1]:3030"),
        ("catalogue.example", "http://catalogue.example:3030"),
    ],
)
def test_own_gateway_is_asked_where_it_can_be_reached(host: str, url: str) -> None:
    assert own_url(Settings(host_address=host, host_port=3030)) == url


@pytest.mark.parametrize(
    ("status", "body", "said", "place"),
    [
        (400, b'{"detail": "no verb", "line": 2, "column": 3}', "no verb (status 400)", (2, 3)),
        (404, b'{"detail": "no such offering"}', "no such offering (status 404)", (0, 0)),
        (404, b"<h1>nginx</h1>", "there is nothing at http://g.example/sparql", (0, 0)),
        (503, b"", "answers with status 503: nothing more", (0, 0)),
        (502, b"bad\x00\n\n gate\xff", "answers with status 502: bad\\x00 gate\ufffd", (0, 0)),
        (400, b'{"title": "no detail"}', 'answers with status 400: {"title": "no detail"}', (0, 0)),
        (400, b'{"detail": "\\u001b[2J"}', "\\x1b[2J (status 400)", (0, 0)),
        (500, b"x" * 1000, "x" * 300, (0, 0)),
    ],
)
def test_problem_of_an_answer_is_in_words_for_a_terminal(
    status: int, body: bytes, said: str, place: tuple[int, int]
) -> None:
    found = problem_of(Response(status, {}, body, "http://g.example/sparql"))

    assert said in found.detail
    assert "x" * 301 not in found.detail
    assert (found.line, found.column) == place


def test_problem_of_a_refused_key_names_the_setting() -> None:
    body = b'{"detail": "the gateway does not know this key or token"}'

    assert problem_of(Response(401, {}, body, "http://g.example/nodes")).detail == (
        "the gateway does not know this key or token (status 401); this command sends the key in GATEWAY_KEY, if there is one"
    )


def test_request_sends_the_key_of_the_settings_and_the_headers_of_the_command(server: OddServer) -> None:
    server.answers["GET /nodes"] = saying_json({})

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GATEWAY_KEY", "a-key")
        Gateway(server.url + "/sparql?query=x#y").request("GET", "/nodes", {"Accept": "text/csv"})

    asked = server.asked[-1]
    assert (asked.path, asked.headers["Authorization"], asked.headers["Accept"]) == (
        "/nodes",
        "Bearer a-key",
        "text/csv",
    )
