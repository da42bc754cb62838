"""The options of a link: what its class says, what its constructor says, and the command line, which wins."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import click

from catena_core.logs import LEVELS
from catena_core.version import __version__


@dataclass(frozen=True)
class LinkOptions:
    """How a link is joined to its topology.

    Attributes:
        kafka_endpoint: Where Kafka answers, as ``host:port[,host:port…]``.
        input_topics: The topics it reads.
        output_topics: The topics it writes; the first one is the default of ``send``.
        consumer_group: The group among which partitions are shared; ``None``: the name of the link's class.
        log_level: The lowest level that is logged.
        properties: Further librdkafka properties, by name, for the consumer and the producer.
    """

    kafka_endpoint: str | None = None
    input_topics: tuple[str, ...] = ()
    output_topics: tuple[str, ...] = ()
    consumer_group: str | None = None
    log_level: str = "info"
    properties: dict[str, str] = field(default_factory=dict)

    def overridden_by(self, given: dict[str, Any]) -> LinkOptions:
        """These options with those of ``given`` that are set (not ``None``, not empty) in their place."""
        known = {item.name for item in fields(self)}
        return replace(self, **{name: value for name, value in given.items() if name in known and value})


def split_topics(text: str | None) -> tuple[str, ...]:
    """The topic names of a comma-separated list, without blanks: ``"a, b"`` gives ``("a", "b")``."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def split_properties(pairs: Sequence[str]) -> dict[str, str]:
    """The librdkafka properties of ``name=value`` texts.

    Raises:
        click.BadParameter: One of them has no ``=``.
    """
    properties = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(
                f"'{pair}' should be name=value, for instance security.protocol=SSL", param_hint="-X"
            )
        properties[name.strip()] = value.strip()
    return properties


def command(name: str, description: str, defaults: LinkOptions, run: Callable[[LinkOptions], None]) -> click.Command:
    """Build the command line of a link.

    Args:
        name: What ``--help`` calls it.
        description: What ``--help`` says of it: the docstring of the link's class.
        defaults: What holds where the command line is silent.
        run: Called with the options that then hold.

    Returns:
        A command that reads ``sys.argv`` when called.
    """

    def callback(kafka: str, inputs: str, outputs: str, group: str, log_level: str, extra: tuple[str, ...]) -> None:
        run(
            defaults.overridden_by(
                {
                    "kafka_endpoint": kafka,
                    "input_topics": split_topics(inputs),
                    "output_topics": split_topics(outputs),
                    "consumer_group": group,
                    "log_level": log_level,
                    "properties": {**defaults.properties, **split_properties(extra)},
                }
            )
        )

    def shown(topics: tuple[str, ...]) -> str:
        return f"  [default: {','.join(topics)}]" if topics else ""

    group = defaults.consumer_group or name
    parameters: list[click.Parameter] = [
        click.Option(
            ["-k", "--kafka", "kafka"],
            envvar="KAFKA_ENDPOINT",
            show_envvar=True,
            metavar="HOST:PORT",
            help="Where Kafka answers; several addresses by comma.",
        ),
        click.Option(
            ["-i", "--input", "inputs"],
            metavar="TOPICS",
            help=f"Topics to read, by comma.{shown(defaults.input_topics)}",
        ),
        click.Option(
            ["-o", "--output", "outputs"],
            metavar="TOPICS",
            help=f"Topics to write, by comma; the first is the default.{shown(defaults.output_topics)}",
        ),
        click.Option(
            ["-g", "--consumer-group", "group"],
            metavar="NAME",
            help=f"Instances of one group share the partitions.  [default: {group}]",
        ),
        click.Option(
            ["--log-level"],
            type=click.Choice(LEVELS, case_sensitive=False),
            default=defaults.log_level,
            show_default=True,
            help="The lowest level to log.",
        ),
        click.Option(
            ["-X", "extra"],
            multiple=True,
            metavar="NAME=VALUE",
            help="Any librdkafka property, for instance -X security.protocol=SSL; may be repeated.",
        ),
    ]
    link_command = click.Command(
        name,
        params=parameters,
        callback=callback,
        help=inspect.cleandoc(description),
        epilog="Start it more than once to scale it: the instances share the work.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    return click.version_option(__version__)(link_command)
