"""``catena up``: the whole topology on one machine."""

from __future__ import annotations

import sys

import click

from catena_core.errors import CatenaError, UsageError
from catena_core.kafka.client import check_properties
from catena_core.monitoring import logs
from catena_core.options import check_brokers, split_properties
from topology import settings
from topology.cli.completion import one_of
from topology.cli.kafka import properties_of_settings
from topology.runner.up import LINKS, Runner

_PLAIN = "plaintext"


def _read_scale(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    scale = {}
    for value in values:
        link, _, number = value.partition("=")
        if link not in LINKS or not number.isdecimal() or not 1 <= int(number) <= 100:
            raise click.BadParameter(
                f"'{value}' should be LINK=N, with N from 1 to 100 and LINK one of {', '.join(LINKS)}"
            )
        scale[link] = int(number)
    return scale


@click.command()
@click.option(
    "-k",
    "--kafka",
    envvar="KAFKA_ENDPOINT",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Use this Kafka, not the embedded one.",
)
@click.option(
    "--scale",
    multiple=True,
    metavar="LINK=N",
    callback=_read_scale,
    shell_complete=one_of(f"{link}=" for link in LINKS),
    help=f"Run N processes of a link; may be repeated. Links: {', '.join(LINKS)}.",
)
@click.option(
    "-X",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any librdkafka property; may be repeated. KAFKA_SASL_PASSWORD and the like keep secrets off the command line.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every line that the links log, not warnings and errors only.")
def up(kafka: str | None, scale: dict[str, int], properties: tuple[str, ...], verbose: bool) -> None:
    """Run the whole topology on this machine until Ctrl-C.

    With nothing set, it brings its own broker, a small ledger with 100 made-up offerings, and three catalogue nodes, all in
    memory. DLT_BASE_URL names another ledger, OPERATOR_PROVIDED=1 with CATALOGUE_LIST other nodes, -k a real Kafka;
    examples/example.env explains every setting.

    \b
    Examples:
      catena up --scale fetcher=2 --scale writer=2
      SANDBOX_OFFERINGS=1000 catena up
      DLT_BASE_URL=http://booth:8085/api OPERATOR_PROVIDED=1 CATALOGUE_LIST=nodes.json catena up -k kafka:9092
    """
    logs.configure("warning")
    try:
        given = split_properties(properties)
        of_kafka = {**properties_of_settings(), **given}
        check_properties(of_kafka)
        if kafka == "":
            raise UsageError(
                "-k is empty: name Kafka as HOST:PORT, or leave -k out for an embedded broker, whose memory ends with it"
            )
        endpoint = kafka or settings.kafka_endpoint()
        if endpoint:
            check_brokers(endpoint)
        elif (protocol := of_kafka.get("security.protocol", _PLAIN)).lower() != _PLAIN:
            raise UsageError(
                f"the embedded broker knows neither TLS nor passwords, so it cannot be reached by {protocol}: name your Kafka "
                "with -k HOST:PORT or KAFKA_ENDPOINT, or leave security.protocol out (-X, or KAFKA_SECURITY_PROTOCOL)"
            )
        clean = Runner(endpoint, scale, given, verbose).run()
    except CatenaError as error:
        raise click.ClickException(str(error))
    sys.exit(0 if clean else 1)
