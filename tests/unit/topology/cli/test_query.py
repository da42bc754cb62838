"""``catena query``: the request that it sends, and how it shows results and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.helpers.odd_server import OddServer, saying
from topology.cli import query as command
from topology.cli.main import main

QUERY = "SELECT * { ?s ?p ?o }"
CSV = b"s\r\nhttp://e.example/1\r\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a folder without a .env."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give a function that lets the standard output be a terminal."""

    def switch() -> None:
        monkeypatch.setattr(command, "_is_terminal", lambda: True)

    return switch


def ask(
    gateway: OddServer,
    *arguments: str,
    body: bytes = CSV,
    status: int = 200,
    kind: str = "text/csv; charset=utf-8",
    completeness: str = "complete",
) -> Result:
    headers = {"Content-Type": kind, "Catena-Completeness": completeness}
    gateway.answers["POST /sparql"] = saying(body, status, **headers)
    return CliRunner().invoke(main, ["query", "-u", gateway.url, *arguments])


def results(**content: Any) -> bytes:
    return msgspec.json.encode({"head": {"vars": ["s", "n"]}, **content})


JSON = "application/sparql-results+json"


def test_a_result_is_written_byte_by_byte(server: OddServer) -> None:
    result = ask(server, QUERY)

    assert result.exit_code == 0
    assert result.stdout_bytes == CSV
    assert server.asked[-1].headers["Accept"] == "text/csv, text/turtle;q=0.9"
    assert parse_qs(server.asked[-1].body.decode()) == {"query": [QUERY]}


def test_a_format_and_fresh_answers_are_asked_for_on_demand(server: OddServer) -> None:
    ask(server, QUERY, "-F", "tsv", "--no-cache")

    assert parse_qs(server.asked[-1].body.decode())["format"] == ["tsv"]
    assert server.asked[-1].headers["Cache-Control"] == "no-cache"


def test_a_terminal_gets_a_table(server: OddServer, terminal: Callable[[], None]) -> None:
    terminal()
    rows = [
        {
            "s": {"type": "uri", "value": "http://e.example/1"},
            "n": {"type": "literal", "value": "Öl", "xml:lang": "de"},
        },
        {"s": {"type": "bnode", "value": "b0"}},
    ]
    result = ask(server, QUERY, body=results(results={"bindings": rows}), kind=JSON)

    assert all(word in result.output for word in ("?s", "?n", "<http://e.example/1>", "Öl @de", "_:b0", "2 rows"))


@pytest.mark.parametrize(("boolean", "word"), [(True, "yes"), (False, "no")])
def test_a_terminal_gets_a_word_for_a_boolean(
    server: OddServer, terminal: Callable[[], None], boolean: bool, word: str
) -> None:
    terminal()

    assert ask(server, "ASK {}", body=results(boolean=boolean), kind=JSON).stdout == f"{word}\n"


def test_a_terminal_gets_triple_terms_as_queries_write_them(server: OddServer, terminal: Callable[[], None]) -> None:
    terminal()
    term: dict[str, Any] = {"type": "literal", "value": "c\x1b", "xml:lang": "en"}
    for _ in range(2):
        term = {
            "type": "triple",
            "value": {"subject": {"type": "uri", "value": "urn:a"}, "predicate": "?", "object": term},
        }
    output = ask(server, QUERY, body=results(results={"bindings": [{"s": term}]}), kind=JSON).output

    assert "<<( <urn:a>  <<( <urn:a>  c\\x1b @en )>> )>>" in output


def test_a_terminal_gets_no_control_characters(server: OddServer, terminal: Callable[[], None]) -> None:
    terminal()
    row = {"s": {"type": "literal", "value": "\x1b[2Jgone"}}
    table = ask(server, QUERY, body=results(results={"bindings": [row]}), kind=JSON).output
    graph = ask(server, "DESCRIBE <urn:x>", body=b'<urn:x> <urn:p> "\x1b[2J" .\n', kind="text/turtle").output

    assert "\x1b[2J" not in table + graph
    assert "gone" in table


def test_a_long_table_is_cut_and_says_so(
    server: OddServer, terminal: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal()
    monkeypatch.setattr(command, "_MOST_ROWS", 2)
    rows = [{"s": {"type": "literal", "value": f"row {number}"}} for number in range(3)]
    output = ask(server, QUERY, body=results(results={"bindings": rows}), kind=JSON).output

    assert "row 1" in output
    assert "row 2" not in output
    assert "3 rows, of which the first 2 are shown; -F csv shows all" in output


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"head": {}, "results": {"bindings": [[]]}}'])
def test_a_result_that_is_none_is_told(server: OddServer, terminal: Callable[[], None], body: bytes) -> None:
    terminal()
    result = ask(server, QUERY, body=body, kind=JSON)

    assert result.exit_code == 1
    assert "the gateway's answer is no SPARQL result" in result.output


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (("--complete",), 3)])
def test_an_incomplete_answer_is_told_and_fails_on_demand(
    server: OddServer, arguments: tuple[str, ...], status: int
) -> None:
    result = ask(server, QUERY, *arguments, completeness="partial; missing=node_2")

    assert result.exit_code == status
    assert result.stdout_bytes == CSV
    assert "graphs may be missing from this answer: partial; missing=node_2" in result.stderr


def test_a_mistake_is_shown_at_its_place(server: OddServer) -> None:
    body = b'{"title": "Bad Request", "status": 400, "detail": "not expected", "line": 1, "column": 8}'
    result = ask(server, "SELECT {", body=body, status=400, kind="application/problem+json")

    assert result.exit_code == 1
    assert result.stderr == "Error: not expected\n\n  1 | SELECT {\n    |        ^\n"


@pytest.mark.parametrize(
    ("name", "said"), [("jsn", "did you mean json?"), ("excel", "there are csv"), ("", "there is no format ''")]
)
def test_unknown_format_is_refused(server: OddServer, name: str, said: str) -> None:
    result = ask(server, "-F", name, QUERY)

    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert not server.asked


@pytest.mark.parametrize(
    ("name", "kind", "others"),
    [
        ("csv", "text/csv; charset=utf-8", ""),
        ("json", JSON, ""),
        ("json", "application/ld+json", ""),
        ("application/json", "application/json", ""),
        ("csv", "text/turtle", "turtle, ttl, ntriples"),
        ("turtle", "text/csv", "json, xml, csv"),
    ],
)
def test_format_that_does_not_fit_the_query_is_refused(server: OddServer, name: str, kind: str, others: str) -> None:
    result = ask(server, "-F", name, QUERY, kind=kind)

    assert result.exit_code == (2 if others else 0), result.output
    if others:
        assert f"-F {name} is no format of this query's answer" in result.stderr
        assert others in " ".join(result.stderr.split())
        assert result.stdout == ""
