"""``catena status``: one look at offerings, nodes, links and dead letters."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TypeVar

import click
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from catena_core.dead_letters.replay import SUFFIX
from catena_core.errors import CatenaError
from catena_core.finite_range import FiniteRange
from catena_core.kafka.watermarks import watermarks
from catena_core.text import bounded
from topology import consumer_groups
from topology.cli.gateway import Gateway, problem_of, url_option
from topology.cli.grid import console, grid
from topology.cli.kafka import TIMEOUT, Connection, connection, kafka_options
from topology.clients.http import UnsafeError, WebError
from topology.consumer_groups import LinkStatus
from topology.gateway.api.schemas import STATES, Health, NodeList, NodeStatus, OfferingPage

Body = TypeVar("Body")


class Status(msgspec.Struct):
    """The state of a catalogue at one moment.

    Attributes:
        offerings: The number of offerings in each state.
        nodes: The catalogue nodes.
        failing: The processes that ``catena up`` restarts in vain, and how they died.
        uninspected: The nodes that are up and could not be inspected for several intervals, and why.
        unusable: The nodes that answer and cannot be used, and why.
        refusing: The nodes that refuse copies, and why.
        links: The links on Kafka.
        dead_letters: The messages in each topic of dead letters, replayed ones included.
        problems: The reasons why parts of it are missing.
    """

    offerings: dict[str, int] = {}
    nodes: list[NodeStatus] = []
    failing: dict[str, str] = {}
    uninspected: dict[str, str] = {}
    unusable: dict[str, str] = {}
    refusing: dict[str, str] = {}
    links: list[LinkStatus] = []
    dead_letters: dict[str, int] = {}
    problems: list[str] = []


@click.command("status")
@url_option
@click.option("--watch/--once", "watch", default=None, help="Go on until Ctrl-C.  [default: on a terminal]")
@click.option("--interval", default=2.0, show_default=True, type=FiniteRange(0.2), help="Seconds between looks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look, for machines.")
@kafka_options
def status(
    url: str | None, kafka: str | None, properties: tuple[str, ...], watch: bool | None, interval: float, as_json: bool
) -> None:
    """Show the state of the catalogue: offerings by state, nodes, links with their lag, and dead letters.

    Offerings and nodes come from a gateway, links and dead letters from Kafka. Without Kafka's address they are left out.
    "Lag" counts messages that a link has not finished; links that replay their topics have none. A link that keeps up has
    a lag near 0, and offerings that are waiting become placed.

    The status is 1 if the gateway or Kafka did not answer the last look.

    \b
    Examples:
      catena status
      catena status -k kafka:9092 -u http://gateway:3030 --once
      catena status --json | jq '.offerings.waiting'
      catena status --json --watch --interval 60 >> status.jsonl
    """
    gateway = _make(lambda: Gateway(url))
    cluster = _cluster(kafka, properties)
    repeats = watch if watch is not None else sys.stdout.isatty() and not as_json
    last = Status()
    try:
        if as_json or not repeats:
            while True:
                last = _look(gateway, cluster)
                if as_json:
                    # In ASCII, so that it is harmless on a terminal as well.
                    click.echo(json.dumps(msgspec.to_builtins(last)))
                else:
                    console().print(_shown(last))
                if not repeats:
                    break
                time.sleep(interval)
        else:
            with Live(console=Console(highlight=False), auto_refresh=False) as live:
                while True:
                    last = _look(gateway, cluster)
                    live.update(_shown(last), refresh=True)
                    time.sleep(interval)
    except KeyboardInterrupt:
        pass
    sys.exit(1 if last.problems else 0)


def _make(make: Any) -> Any:
    try:
        return make()
    except CatenaError as error:
        raise click.ClickException(str(error)) from error


def _cluster(kafka: str | None, properties: tuple[str, ...]) -> Connection | None:
    try:
        return connection(kafka, properties)
    except click.UsageError:
        return None


def _look(gateway: Gateway, cluster: Connection | None) -> Status:
    found = Status(offerings={}, nodes=[], links=[], dead_letters={}, problems=[])
    try:
        for state in sorted(STATES):
            found.offerings[state] = _ask(gateway, f"/offerings?limit=1&state={state}", OfferingPage).total
        found.nodes = _ask(gateway, "/nodes", NodeList).nodes
        health = _ask(gateway, "/health", Health)
        found.failing, found.uninspected, found.unusable = health.failing, health.uninspected, health.unusable
        found.refusing = health.refusing
    except (WebError, UnsafeError, CatenaError) as error:
        found.problems.append(f"the gateway: {error}")
    if cluster is not None:
        try:
            _look_at_kafka(cluster, found)
        except CatenaError as error:
            found.problems.append(str(error))
        except KafkaException as error:
            found.problems.append(f"Kafka: {error.args[0].str()}")
    return found


def _ask(gateway: Gateway, path: str, kind: type[Body]) -> Body:
    answer = gateway.request("GET", path, {"Accept": "application/json"})
    if answer.status != 200:
        raise CatenaError(problem_of(answer).detail)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CatenaError(f"{answer.url} is no gateway of this version: {error}") from error


def _look_at_kafka(cluster: Connection, found: Status) -> None:
    admin = AdminClient(cluster.client())
    metadata = cluster.metadata(admin)
    consumer = cluster.consumer()
    try:
        for name in sorted(metadata.topics):
            if name.endswith(SUFFIX):
                bounds = [watermarks(consumer, name, number, TIMEOUT) for number in metadata.topics[name].partitions]
                if number := sum(end - first for first, end in bounds):
                    found.dead_letters[name] = number
    finally:
        consumer.close()
    found.links = consumer_groups.look(cluster.client(), metadata)


# Output. Ids, URLs and reasons may be a stranger's text.


def _shown(found: Status) -> Group:
    parts: list[Any] = []
    if found.offerings:
        total = sum(found.offerings.values())
        by_state = ", ".join(f"{number:,} {state}" for state, number in found.offerings.items() if number)
        parts.append(Text(f"{total:,} offerings: {by_state}" if total else "no offerings yet"))
        parts.append(
            grid(
                "node,state,graphs,missing,url",
                "graphs,missing",
                ((node.id, node.state, node.graphs_placed, node.graphs_missing, node.url) for node in found.nodes),
            )
        )
    if found.links:
        parts.append(
            grid(
                "link,instances,group,lag",
                "instances,lag",
                (
                    (
                        link.group,
                        "?" if link.instances is None else link.instances,
                        link.state,
                        "-" if link.lag is None else link.lag,
                    )
                    for link in found.links
                ),
            )
        )
    for topic, number in found.dead_letters.items():
        parts.append(Text(bounded(f"{number:,} messages in {topic}: 'catena dead-letters list' shows them", 400)))
    parts += [Text(bounded(f"{name} {death}", 400), style="red") for name, death in found.failing.items()]
    parts += [
        Text(bounded(f"{node} cannot be used: {problem}", 400), style="red") for node, problem in found.unusable.items()
    ]
    parts += [
        Text(bounded(f"{node} cannot be inspected: {problem}", 400), style="red")
        for node, problem in found.uninspected.items()
    ]
    parts += [
        Text(bounded(f"{node} refuses copies: {problem}", 400), style="red") for node, problem in found.refusing.items()
    ]
    parts += [Text(bounded(problem, 400), style="red") for problem in found.problems]
    return Group(*parts)
