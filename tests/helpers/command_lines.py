"""Command lines of links, and of commands in groups."""

import click
from click.testing import CliRunner

from catena_core import Link
from catena_core.cli import command


class Copies(Link):
    """Copies what it reads."""

    inputs, outputs = ("in",), ("out",)

    def transform(self, electron):
        return electron.value


def read(arguments, environment=None, **given):
    """Read a command line as a link made with these options: its options and further arguments."""
    taken = []
    link_command = command("copies", Copies.__doc__ or "", Copies(**given).options, lambda *both: taken.append(both))
    result = CliRunner().invoke(link_command, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return taken[0]


def refusal(arguments, environment=None, **given):
    """Return what is said of a command line that cannot be."""
    link_command = command("copies", Copies.__doc__ or "", Copies(**given).options, lambda *_: None)
    result = CliRunner().invoke(link_command, arguments, env=environment)
    assert result.exit_code == 2
    return result.output


def subcommands(group: click.Group) -> dict[str, click.Command]:
    """Return the commands of a group by name, each imported."""
    context = click.Context(group)
    return {name: found for name in group.commands if (found := group.resolve_command(context, [name])[1])}
