"""The ``catena`` command."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from catena_core import interrupts
from catena_core.errors import UsageError
from catena_core.program import Program
from catena_core.text import is_utf8, printable
from catena_core.version import __version__
from topology.cli.on_use import Group, OnUse


class _Catena(Program, Group):
    """Ends after Ctrl-C as shells expect it, and after a mistake with a message alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse arguments that can be sent to no server; a file may have any name."""
        for argument in args:
            if not is_utf8(argument) and not os.path.lexists(argument):
                raise click.UsageError(f"an argument is not in UTF-8: {printable(argument)}", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interrupts.ending_soon():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(interrupts.STATUS)
        except UsageError as error:
            raise click.ClickException(str(error)) from error


def _kafka_of_settings() -> str | None:
    from topology.cli.kafka import endpoint_of_settings

    return endpoint_of_settings()


def _properties_of_settings() -> dict[str, str]:
    from topology.cli.kafka import properties_of_settings

    return properties_of_settings()


# The commands of the library read no .env themselves.
_DEFAULTS = {"dead-letters": {name: {"kafka": _kafka_of_settings} for name in ("list", "show", "replay")}}


@click.group(
    cls=_Catena,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "default_map": _DEFAULTS,
        "obj": _properties_of_settings,
    },
)
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


# Each command with its module, and the first sentence of its help.
for command in (
    OnUse(
        "completion",
        "topology.cli.completion",
        "Print a script that makes the shell complete commands, options and their values.",
    ),
    OnUse("dead-letters", "catena_core.dead_letters.cli", "Look at what failed for good, and put it back."),
    OnUse("new", "topology.cli.new", "Begin something of your own."),
    OnUse("topics", "topology.cli.topics", "Make, check and list topics; read messages from them, and send some."),
    *(
        OnUse(name, f"topology.cli.{name}", summary, extra="catalogue")
        for name, summary in {
            "doctor": "Check the settings and every server that they name, and say what to do.",
            "explain": "Run a SPARQL query at a gateway, and show the steps of the answer in place of its result.",
            "nodes": "List the catalogue nodes, add some, and empty nodes that are to leave.",
            "offerings": (
                "Look at the offerings on the ledger as a gateway knows them, and have their descriptions fetched again."
            ),
            "query": "Run a SPARQL query at a gateway, and show its result.",
            "ring": "Show where graphs stand, and what moves when nodes come or go.",
            "status": (
                "Show the state of the catalogue: offerings by state, nodes, links with their lag, and dead letters."
            ),
            "up": "Run the whole topology on this machine until Ctrl-C.",
        }.items()
    ),
):
    main.add_command(command)
