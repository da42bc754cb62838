"""Commands whose modules are imported when they run, so that each of them, and the help of all, starts soon."""

from __future__ import annotations

import importlib
from typing import Any

import click

from catena_core.errors import UsageError
from catena_core.extras import not_installed


class OnUse(click.Command):
    """Stands for a command of another module in the list of commands.

    Args:
        name: The command's name, which is that of the object in its module, with dashes.
        module: The module.
        summary: The first sentence of its help.
        extra: The extra of this distribution that it needs; empty if it needs none.
    """

    def __init__(self, name: str, module: str, summary: str, extra: str = "") -> None:
        super().__init__(name, help=summary)
        self._module = module
        self._extra = extra

    def load(self) -> click.Command:
        """Import the command; where its extra is not installed, return one that says how to install it."""
        assert self.name is not None
        try:
            module = importlib.import_module(self._module)
        except (ImportError, UsageError) as error:
            if not self._extra:
                raise
            return _refuse(self.name, self._extra, error)
        command = getattr(module, self.name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


class Group(click.Group):
    """A group of commands of other modules."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name, and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, OnUse) else command, rest


def _refuse(name: str, extra: str, error: ImportError | UsageError) -> click.Command:
    reason = error if isinstance(error, UsageError) else not_installed(error, f"what the {extra} needs", extra)

    @click.command(name, help=f"Needs the extra [{extra}].", context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1)
    def refuse(**_: Any) -> None:
        raise click.ClickException(str(reason))

    return refuse
