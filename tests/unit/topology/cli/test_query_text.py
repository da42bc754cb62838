"""The query of a command: where it is read from, and where a mistake in it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers.explaining import QUERY, explain, form, problem
from tests.helpers.odd_server import OddServer, closed_port
from topology.cli.gateway import Problem
from topology.cli.main import main
from topology.cli.query_text import problem_in_query, query_text

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("way", ["-f FILE", "-f -", "-"])
def test_the_query_is_read_from_a_file_or_from_stdin(gateway: OddServer, own_folder: Path, way: str) -> None:
    content = b"\xef\xbb\xbf# with a byte order mark\r\nASK { ?s ?p '\xc3\xa9' }\n"
    file = own_folder / "query.rq"
    file.write_bytes(content)

    explain("-u", gateway.url, *way.replace("FILE", str(file)).split(), stdin=content)

    assert form(gateway)["query"] == ["# with a byte order mark\r\nASK { ?s ?p 'é' }\n"]


def test_a_file_that_is_not_there_is_no_query() -> None:
    assert "there is no file search.rq" in explain("search.rq", status=2)


def test_a_query_of_nothing_is_refused_before_a_gateway_is_asked() -> None:
    assert "the query is empty" in explain("-u", f"http://127.0.0.1:{closed_port()}", " ", status=2)


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


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        (1, 1, "  1 | SELECT {\n    | ^"),
        (2, 4, "  1 | SELECT {\n  2 |     日 ?p ?o\n    |        ^"),
        (3, 1, "  2 |     日 ?p ?o\n  3 | }\n    | ^"),
        (3, 9, "  2 |     日 ?p ?o\n  3 | }\n    |  ^"),
    ],
)
def test_problem_in_a_query_shows_its_line_and_the_one_before(line: int, column: int, shown: str) -> None:
    said = problem_in_query(Problem("no (status 400)", line, column), "SELECT {\r\n\t日 ?p ?o\r\n}")

    assert said == f"no\n\n{shown}"


@pytest.mark.parametrize(("line", "column"), [(0, 0), (1, 0), (0, 1), (-1, 5)])
def test_problem_without_a_place_keeps_its_status(line: int, column: int) -> None:
    assert problem_in_query(Problem("no (status 400)", line, column), "ASK {}") == "no (status 400)"


@pytest.mark.parametrize("query", ["ASK {}", "no file\0at all", "x" * 300, "x" * 5000])
def test_text_that_names_no_file_is_the_query(query: str) -> None:
    assert query_text(query, None) == query
