"""``catena explain``: what it asks a gateway, how it shows the plan, and what it says when there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner

from federation.protocol.explain import Explanation, as_text
from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from topology.cli.main import main

QUERY = "SELECT * { ?s ?p ?o }"
PLAN: Explanation = {
    "form": "SELECT",
    "tier": "B",
    "meaning": "triples are pulled",
    "reasons": ["subjects may stand in several graphs"],
    "completeness": "complete",
    "missing": [],
    "cached": False,
    "content_type": "text/csv",
    "totals": {
        "seconds": 0.05,
        "work_seconds": 0.06,
        "requests": 1,
        "rows": 12,
        "bytes_pulled": 3456,
        "bytes_of_result": 78,
    },
    "steps": [
        {"what": "ask", "node": "node_1", "query": "SELECT 'é'", "rows": 12, "bytes": 3456, "milliseconds": 45.0},
        {"what": "evaluate", "node": None, "query": QUERY, "rows": None, "bytes": 3456, "milliseconds": 15.0},
    ],
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder without a .env, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOST_ADDRESS", "HOST_PORT", "SPARQL_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def gateway(server: OddServer) -> OddServer:
    server.answers["POST /sparql"] = saying_json(PLAN)
    return server


def explain(*arguments: str, status: int = 0, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    result = CliRunner().invoke(main, ["explain", *arguments], input=stdin, env=env)
    assert result.exit_code == status, result.output
    return result.output


def problem(detail: str, status: int, **members: Any) -> Callable[[Any], object]:
    return saying_json({"title": "No", "status": status, "detail": detail, **members}, status)


def form(gateway: OddServer) -> dict[str, list[str]]:
    return parse_qs(gateway.asked[-1].body.decode())


def test_the_plan_is_shown(gateway: OddServer) -> None:
    assert explain("-u", gateway.url, QUERY) == as_text(PLAN)


def test_the_query_is_sent_with_explain(gateway: OddServer) -> None:
    query = "SELECT * { ?s ?p 'é & + 日' }"

    explain("-u", gateway.url, query)

    assert form(gateway) == {"query": [query], "explain": ["json"]}
    assert gateway.asked[-1].headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert gateway.asked[-1].headers["Accept"] == "*/*"
    assert "Cache-Control" not in gateway.asked[-1].headers


def test_caches_are_passed_and_a_format_is_asked_for_on_demand(gateway: OddServer) -> None:
    explain("-u", gateway.url, "--no-cache", "--accept", "text/csv", QUERY)

    assert gateway.asked[-1].headers["Cache-Control"] == "no-cache"
    assert gateway.asked[-1].headers["Accept"] == "text/csv"


def test_json_is_the_explanation_whole_and_in_ascii(gateway: OddServer) -> None:
    output = explain("-u", gateway.url, "--json", QUERY)

    assert json.loads(output) == PLAN
    assert output.isascii()


@pytest.mark.parametrize("way", ["-f FILE", "-f -", "-"])
def test_the_query_is_read_from_a_file_or_from_stdin(gateway: OddServer, own_folder: Path, way: str) -> None:
    content = b"\xef\xbb\xbf# with a byte order mark\r\nASK { ?s ?p '\xc3\xa9' }\n"
    file = own_folder / "query.rq"
    file.write_bytes(content)

    explain("-u", gateway.url, *way.replace("FILE", str(file)).split(), stdin=content)

    assert form(gateway)["query"] == ["# with a byte order mark\r\nASK { ?s ?p 'é' }\n"]


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


# Nothing to explain


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


def test_a_syntax_error_is_shown_in_its_place(gateway: OddServer) -> None:
    gateway.answers["POST /sparql"] = problem("line 2, column 9: expected a verb", 400, line=2, column=9)

    assert explain("-u", gateway.url, "SELECT * {\n  ?s foo bar }", status=1) == (
        "Error: line 2, column 9: expected a verb\n\n  1 | SELECT * {\n  2 |   ?s foo bar }\n    |         ^\n"
    )


def test_the_caret_stands_below_its_character_whatever_is_before_it(gateway: OddServer) -> None:
    gateway.answers["POST /sparql"] = problem("no", 400, line=1, column=12)

    output = explain("-u", gateway.url, "\tASK\x1b '日本' x", status=1)

    assert output.endswith("  1 |     ASK\\x1b '日本' x\n    | " + " " * 19 + "^\n")


def test_of_a_long_line_the_part_around_the_place_is_shown(gateway: OddServer) -> None:
    gateway.answers["POST /sparql"] = problem("no", 400, line=1, column=501)

    output = explain("-u", gateway.url, "a" * 500 + "!" + "b" * 500, status=1)

    shown, caret = output.split("\n")[-3:-1]
    assert shown == "  1 | … " + "a" * 60 + "!" + "b" * 29 + " …"
    assert caret.index("^") == shown.index("!")


@pytest.mark.parametrize(("line", "column"), [(9, 1), (1, 99), (0, 0)])
def test_a_place_that_the_query_does_not_have_does_no_harm(gateway: OddServer, line: int, column: int) -> None:
    gateway.answers["POST /sparql"] = problem("what is wrong", 400, line=line, column=column)

    assert "what is wrong" in explain("-u", gateway.url, QUERY, status=1)


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


@pytest.mark.parametrize("body", [b"", b"s,p,o\r\n", b'{"head": {}, "results": {}}', b"\xff"])
def test_a_server_that_does_not_explain_is_told_from_a_gateway(gateway: OddServer, body: bytes) -> None:
    gateway.answers["POST /sparql"] = saying(body)

    assert "answers, but not with an explanation: it is no gateway of Catena" in explain(
        "-u", gateway.url, QUERY, status=1
    )


# What is no query


@pytest.mark.parametrize("arguments", [[], [QUERY, "-f", "-"]])
def test_there_has_to_be_one_query(arguments: list[str]) -> None:
    assert "give one query: its text, -f FILE, or - to read it from stdin" in explain(*arguments, status=2)


def test_a_file_s_name_is_not_taken_for_a_query(own_folder: Path) -> None:
    (own_folder / "query.rq").write_text(QUERY)

    assert "query.rq is a file; to read the query from it, say -f query.rq" in explain("query.rq", status=2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b" \n", "the query is empty"),
        (b"ASK { \xff }", "byte 7 cannot be read"),
        (b"#" * (1024 * 1024 + 1), "more than the 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_a_query_is_not_sent(gateway: OddServer, content: bytes, said: str) -> None:
    result = CliRunner().invoke(main, ["explain", "-u", gateway.url, "-"], input=content)

    assert result.exit_code != 0
    assert said in result.output
    assert gateway.asked == []


def test_the_help_has_examples() -> None:
    output = explain("--help")

    assert "Examples:\n    catena explain 'SELECT" in output
