"""The command line of a link, made from the table of its options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import UsageError
from catena_core.kafka.properties import SET_BY_LINKS, meant_by
from catena_core.options import OTHERS, LinkOptions, split_properties
from catena_core.program import Program
from catena_core.text import is_secret, is_utf8, redacted
from catena_core.version import __version__

Run = Callable[[LinkOptions, list[str]], None]

ENDPOINT = "KAFKA_ENDPOINT"
"""The variable of Kafka's address."""

_PREFIX = "KAFKA_"
_FILE_SUFFIX = "_FILE"
_TOPICS = ("input_topics", "output_topics")
_EXAMPLES = (
    "-k localhost:9092 -i in -o out",
    "-k localhost:9092 -i urgent,later --input-mode exp -o out --main-threads 8",
    "-k localhost:9092 -i '^in-.*' -o out --delivery exactly_once --processes 2",
)
_SECTIONS = {item.name: item.metadata["section"] for item in fields(LinkOptions)}


def command(
    name: str, description: str, defaults: LinkOptions, run: Run, check: Callable[[LinkOptions], None] | None = None
) -> click.Command:
    """Build the command line of a link.

    Args:
        name: Its name in ``--help``.
        description: Its text in ``--help``: the docstring of the link's class.
        defaults: The options that hold where the command line is silent.
        run: Called with the options that then hold, and the arguments that are none of the library's.
        check: Called with the options before; its ``UsageError`` is shown as any other of the command line.

    Returns:
        A command that reads ``sys.argv`` when called.
    """

    def callback(arguments: tuple[str, ...], **given: Any) -> None:
        try:
            extra = split_properties(given.pop("properties"))
            for name in _TOPICS:
                given[name] = ",".join(given[name]) if given[name] else None
            given["properties"] = {**environment_properties(), **defaults.properties, **extra}
            if given["consumer_group"] is not None and given["uid_consumer_group"] is None:
                given["uid_consumer_group"] = False  # who names a group means it
            options = defaults.overridden_by(given)
            if check is not None:
                check(options)
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        run(options, list(arguments))

    link_command = _LinkCommand(
        name,
        params=[
            *(_parameter(item, getattr(defaults, item.name)) for item in fields(LinkOptions)),
            click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar="[[--] ARGUMENTS OF THE LINK]..."),
        ],
        callback=callback,
        help=inspect.cleandoc(description),
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 110,
        },
    )
    return click.version_option(__version__)(link_command)


class _LinkCommand(Program):
    """Shows its options under headings, and ends with examples."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(_SECTIONS.get(parameter.name or "", OTHERS), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        program = ctx.command_path
        if program.endswith(".py"):
            program = f"python {program}"
        with formatter.section("Examples"):
            for arguments in _EXAMPLES:
                formatter.write(f"{'':{formatter.current_indent}}{program} {arguments}\n")
        formatter.write_paragraph()
        formatter.write_text(
            "Start it more than once, anywhere, to scale it: the instances of one group share the work. Ctrl-C or SIGTERM "
            "ends it cleanly: what is under way is finished and committed first."
        )


def environment_properties(environment: Mapping[str, str] | None = None, *, warns: bool = True) -> dict[str, str]:
    """Read the librdkafka properties that ``KAFKA_*`` variables set: ``KAFKA_SASL_USERNAME`` is ``sasl.username``.

    A secret may be in a file, as containers get them: ``KAFKA_SASL_PASSWORD_FILE`` names it. Variables that name no property
    are ignored: ``KAFKA_HOME``, those of Kubernetes for a service called kafka, … So are those of properties that links set
    themselves, such as ``KAFKA_BOOTSTRAP_SERVERS``.

    Args:
        environment: The variables; ``None``: those of this process.
        warns: Whether to warn of those that links set themselves, and of variables that are nearly the name of a property.

    Raises:
        UsageError: The file of a secret cannot be read, or the value of a property is no text in UTF-8.
    """
    found = {}
    for variable, value in sorted((os.environ if environment is None else environment).items()):
        if not variable.startswith(_PREFIX) or variable == ENDPOINT:
            continue
        name = property_name(variable)
        in_file = property_name(variable.removesuffix(_FILE_SUFFIX))
        if name in SET_BY_LINKS:
            if warns:
                click.echo(f"Warning: {variable} sets nothing; {SET_BY_LINKS[name]}", err=True)
        elif variable.endswith(_FILE_SUFFIX) and is_secret(in_file) and _is_property(in_file, "any"):
            found[in_file] = _content(variable, value)
        elif _is_property(name, value.encode("utf-8", "replace").decode()):
            if not is_utf8(value):
                raise UsageError(f"{variable} is no text in UTF-8")
            found[name] = value
        elif warns and (meant := meant_by(in_file)):
            suffix = _FILE_SUFFIX if in_file != name else ""
            click.echo(f"Warning: {variable} sets nothing; did you mean {variable_name(meant)}{suffix}?", err=True)
    return found


def property_name(variable: str) -> str:
    """Return the property that a ``KAFKA_*`` variable sets."""
    return variable.removeprefix(_PREFIX).lower().replace("_", ".")


def variable_name(name: str) -> str:
    """Return the variable that sets a property."""
    return f"{_PREFIX}{name.upper().replace('.', '_')}"


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise UsageError(f"{variable}={path} should be a file that holds a secret: {error}") from error


def environment_endpoint() -> str | None:
    """Read Kafka's address from ``KAFKA_ENDPOINT``."""
    return os.environ.get(ENDPOINT) or None


def _is_property(name: str, value: str) -> bool:
    try:
        AdminClient({"log_level": 0, name: value})
    except (KafkaException, TypeError, ValueError) as error:
        # A property with a bad value counts: the client that gets it raises an error that names the fault.
        return "No such configuration property" not in str(error)
    return True


def _parameter(item: Any, default: Any) -> click.Parameter:
    described = item.metadata
    if isinstance(default, bool):
        return click.Option(
            [*described["flags"], item.name], is_flag=True, default=None, help=_help(described["help"], default or None)
        )
    choices: Sequence[str] = described.get("choices") or ()
    return click.Option(
        [*described["flags"], item.name],
        multiple=item.name in ("properties", *_TOPICS),
        type=click.Choice(choices, case_sensitive=False) if choices else str,
        envvar=described.get("environment"),
        show_envvar=True,
        metavar="NAME=VALUE" if item.name == "properties" else described.get("metavar"),
        help=_help(described["help"], default),
    )


def _help(text: str, default: Any) -> str:
    shown = ",".join(default) if isinstance(default, tuple) else default
    return text if shown in (None, "") or isinstance(shown, dict) else f"{text}  [default: {redacted(str(shown))}]"
