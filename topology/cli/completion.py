"""``catena completion``: the script that teaches a shell to complete commands and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


def one_of(values: Iterable[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a function by which shells complete an option that takes one of some values."""
    known = sorted(values)
    return lambda _context, _parameter, begun: [value for value in known if value.startswith(begun)]


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes the shell complete commands, options and their values.

    \b
    Examples:
      echo 'eval "$(catena completion bash)"' >> ~/.bashrc      # bash 4.4 or newer
      echo 'eval "$(catena completion zsh)"' >> ~/.zshrc
      catena completion fish > ~/.config/fish/completions/catena.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    # Not source(), which starts bash to look at its version.
    completer = kind(context.find_root().command, {}, "catena", "_CATENA_COMPLETE")
    click.echo(completer.source_template % completer.source_vars())
