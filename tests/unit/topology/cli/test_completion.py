"""`catena completion` prints a script by which a shell completes commands, options and their values."""

from __future__ import annotations

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from topology.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_the_shells(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).output

    assert f"_CATENA_COMPLETE={shell}_complete" in script


def test_completion_knows_commands_and_options() -> None:
    completer = get_completion_class("bash")(main, {}, "catena", "_CATENA_COMPLETE")

    assert {item.value for item in completer.get_completions(["topics"], "c")} == {"cat", "check", "create"}
    assert [item.value for item in completer.get_completions(["ring", "simulate"], "--rem")] == ["--remove"]


@pytest.mark.parametrize(
    ("arguments", "begun", "found"),
    [
        (["query", "-F"], "n-t", ["n-triples"]),
        (["offerings", "list", "--state"], "fa", ["failing"]),
        (["up", "--scale"], "fe", ["fetcher="]),
    ],
)
def test_completion_knows_values(arguments: list[str], begun: str, found: list[str]) -> None:
    completer = get_completion_class("bash")(main, {}, "catena", "_CATENA_COMPLETE")

    assert [item.value for item in completer.get_completions(arguments, begun)] == found


def test_completion_of_a_list_of_nodes_is_that_of_files() -> None:
    completer = get_completion_class("bash")(main, {}, "catena", "_CATENA_COMPLETE")

    assert [item.type for item in completer.get_completions(["ring", "show", "--list"], "no")] == ["file"]


def test_completion_of_commands_tells_the_purpose_of_each() -> None:
    completer = get_completion_class("zsh")(main, {}, "catena", "_CATENA_COMPLETE")

    (doctor,) = completer.get_completions([], "do")
    assert doctor.value == "doctor"
    assert doctor.help is not None
    assert doctor.help.startswith("Check the settings and every server")


def test_completion_of_a_shell_that_it_does_not_know_names_those_that_it_does() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])

    assert (result.exit_code, "'bash', 'zsh', 'fish'" in result.output) == (2, True)
