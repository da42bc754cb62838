"""The ``catena`` command."""

from __future__ import annotations

import click

from catena_core.dead_letters.cli import dead_letters
from catena_core.errors import UsageError
from catena_core.extras import not_installed
from catena_core.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Catena, the coordinator of a distributed data catalogue."""


def _catalogue_commands() -> list[click.Command]:
    """Return the commands of the catalogue; where it is not installed, commands that say how to install it."""
    try:
        from topology.cli.explain import explain
        from topology.cli.up import up
    except (ImportError, UsageError) as error:
        reason = (
            error if isinstance(error, UsageError) else not_installed(error, "what the catalogue needs", "catalogue")
        )
        return [_refuse("explain", reason), _refuse("up", reason)]
    return [explain, up]


def _refuse(name: str, reason: UsageError) -> click.Command:
    @click.command(name, help="Needs the extra [catalogue].", context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1)
    def refuse(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(str(reason))

    return refuse


for command in (dead_letters, *_catalogue_commands()):
    main.add_command(command)
