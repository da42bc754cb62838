"""The `catena` command as a whole: every command teaches by examples, and mistakes are messages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.helpers.command_lines import subcommands
from topology.cli.main import main


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in subcommands(group).items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(main)], ids=" ".join)
def test_help_shows_an_example_of_the_command(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="catena")

    text = result.output.split("Options:")[0].partition("\n")[2]
    assert (result.exit_code, " ".join(("catena", *path)) in text) == (0, True)


@pytest.mark.parametrize("name", main.commands)
def test_list_of_commands_has_the_first_sentence_of_each(name: str) -> None:
    assert main.commands[name].get_short_help_str(200) == subcommands(main)[name].get_short_help_str(200)


def test_help_of_all_commands_imports_none_of_them() -> None:
    code = (
        "import contextlib, sys\n"
        "from topology.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(*({'confluent_kafka', 'flask', 'pyoxigraph', 'requests', 'rich'} & set(sys.modules)), sep='', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)

    assert "catena doctor" in done.stdout
    assert done.stderr.split() == []


@pytest.mark.parametrize("arguments", [("list",), ("show", "0:1"), ("replay", "0:1")], ids=" ".join)
def test_dead_letters_are_sought_on_the_kafka_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)
    (tmp_path / ".env").write_text("KAFKA_ENDPOINT=no address\n")
    assert "'no address' is no address of Kafka" in CliRunner().invoke(main, ["dead-letters", *arguments]).output

    (tmp_path / ".env").write_text("KAFKA_ENDPOINT=127.0.0.1:1\nKAFKA_SECURITY_PROTOCOL=nonsense\n")
    assert '"nonsense" for configuration property' in CliRunner().invoke(main, ["dead-letters", *arguments]).output


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "ASK { ?s ?p '\udce4' }"],
        ["offerings", "show", "\udce4"],
        ["ring", "show", "https://provider.example/\udce4"],
        ["ring", "simulate", "--add", "\udce4"],
        ["topics", "send", "orders", "\udce4"],
        ["topics", "send", "orders", "--key", "\udce4"],
        ["status", "-k", "\udce4:9092"],
    ],
    ids=" ".join,
)
def test_argument_that_is_not_utf8_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert "Error: an argument is not in UTF-8: " in result.output


def test_file_may_have_a_name_that_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("\udce4.rq").write_text(" ")

    assert "the query is empty" in CliRunner().invoke(main, ["query", "-f", "\udce4.rq"]).output


def test_help_names_each_status() -> None:
    text = CliRunner().invoke(main, ["--help"]).output.partition("The status is")[2]

    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("topics list", "no Kafka endpoint"),
        ("completion bash", "_CATENA_COMPLETE=bash_complete"),
        ("status", "pip install 'catena-links[catalogue]'"),
    ],
)
def test_command_without_the_catalogues_packages_does_what_it_can(command: str, said: str) -> None:
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('dotenv', 'flask', 'pycurl', 'pyoxigraph', 'rdflib', 'requests', 'rich')))\n"
        "from topology.cli.main import main\n"
        "main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()], capture_output=True, text=True, timeout=200, check=False
    )

    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["topics", "list"], ["doctor"], ["up"], ["status", "--once"], ["nodes", "list"]])
def test_file_of_settings_that_cannot_be_read_is_a_message(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_bytes(b"HOST_PORT=\xff")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert "Error: .env cannot be read: line 1 is not UTF-8" in result.output


def test_up_with_an_empty_address_of_kafka_starts_no_broker_that_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["up", "-k", ""])

    assert result.exit_code == 1
    assert "-k is empty" in result.output
