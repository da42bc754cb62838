"""The ``catena`` command."""

from __future__ import annotations

import sys
from typing import Any

import click

from catena_core import interrupts
from catena_core.dead_letters.cli import dead_letters
from catena_core.errors import UsageError
from catena_core.extras import not_installed
from catena_core.program import Program
from catena_core.version import __version__
from topology.cli.completion import completion
from topology.cli.new import new
from topology.cli.topics import topics


class _Catena(Program, click.Group):
    """Ends after Ctrl-C as shells expect it, and after a mistake with a message alone."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interrupts.ending_soon():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(interrupts.STATUS)
        except UsageError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Catena, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Catena, the coordinator of a distributed data catalogue, and Kafka links in Python.

    Settings come from options, the environment and .env, in this order. Each command has its own --help, with examples.

    \b
    Examples:
      catena up                      # everything on this machine, to try it out
      catena status                  # offerings, nodes, links and dead letters at a glance
      catena query 'SELECT (COUNT(*) AS ?n) { ?s ?p ?o }'
      catena doctor                  # when something does not work
      catena new link shout          # a link of your own, with its test

    \b
    The status is
      0  when all is well
      1  when something failed; the message says what, and what to do
      2  when the command line is wrong
      3  for an incomplete answer, of catena query --complete
      130  after Ctrl-C, unless the command ends that way
    """


def _catalogue_commands() -> list[click.Command]:
    """Return the commands of the catalogue; where it is not installed, commands that say how to install it."""
    try:
        from topology.cli.doctor import doctor
        from topology.cli.explain import explain
        from topology.cli.nodes import nodes
        from topology.cli.offerings import offerings
        from topology.cli.query import query
        from topology.cli.ring import ring
        from topology.cli.status import status
        from topology.cli.up import up
    except (ImportError, UsageError) as error:
        reason = (
            error if isinstance(error, UsageError) else not_installed(error, "what the catalogue needs", "catalogue")
        )
        names = ("doctor", "explain", "nodes", "offerings", "query", "ring", "status", "up")
        return [_refuse(name, reason) for name in names]
    return [doctor, explain, nodes, offerings, query, ring, status, up]


def _refuse(name: str, reason: UsageError) -> click.Command:
    @click.command(name, help="Needs the extra [catalogue].", context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1)
    def refuse(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(str(reason))

    return refuse


for command in (completion, dead_letters, new, topics, *_catalogue_commands()):
    main.add_command(command)
