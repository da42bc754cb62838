"""``catena nodes``: lists the catalogue nodes, and empties nodes that are to leave."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
import msgspec

from catena_core.text import printable
from topology import records, topics
from topology.cli.gateway import Gateway, errors_in_words, problem_of, url_option
from topology.cli.grid import show
from topology.cli.kafka import TIMEOUT, Sender, connection, kafka_errors, kafka_options
from topology.cli.node_add import add_node
from topology.gateway.api.schemas import NodeList, NodeStatus
from topology.records import RING_KEY, Drain, Node, Placement, Ring
from topology.ring import RingView

_PROGRESS_INTERVAL = 1.0


@click.group("nodes")
def nodes() -> None:
    """List the catalogue nodes, add some, and empty nodes that are to leave.

    \b
    To take a node out without losing a copy:
      catena nodes drain node_3 -k kafka:9092     # waits until others hold its graphs
      … delete node_3 from CATALOGUE_LIST …
      catena nodes undrain node_3 -k kafka:9092   # so that it may come back one day
    """


nodes.add_command(add_node)


# list


@nodes.command("list")
@url_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node and line, as GET /nodes gives it.")
def list_nodes(url: str | None, as_json: bool) -> None:
    """Show each node: its state, weight, and graphs.

    The states are up, draining (it is being emptied), suspect (silent for less than NODE_GRACE_PERIOD) and down. "missing"
    counts graphs that a node should hold and does not. Catena sends them again by itself.

    \b
    Examples:
      catena nodes list
      catena nodes list -u http://gateway:3030 --json | jq 'select(.graphs_missing > 0)'
    """
    with errors_in_words():
        answer = Gateway(url).request("GET", "/nodes", {"Accept": "application/json"})
    if answer.status != 200:
        raise click.ClickException(problem_of(answer).detail)
    try:
        found = msgspec.json.decode(answer.body, type=NodeList)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{printable(answer.url)} does not list nodes as this version does: {printable(str(error))}"
        ) from error
    if as_json:
        for node in found.nodes:
            shown = {"graphs_missing": node.graphs_missing, "weight": node.weight, **msgspec.to_builtins(node)}
            click.echo(json.dumps(shown))
        return
    if not found.nodes:
        click.echo("there are no nodes; CATALOGUE_LIST names them, or the offerings' owners do", err=True)
        return
    show(
        "id,state,weight,graphs,missing,url,remarks",
        "weight,graphs,missing",
        (
            (node.id, node.state, f"{node.weight:g}", node.graphs_placed, node.graphs_missing, node.url, _remarks(node))
            for node in found.nodes
        ),
    )


def _remarks(node: NodeStatus) -> str:
    remarks = [node.problem] if node.problem else []
    if node.conflicts:
        remarks.append(f"{node.conflicts} graphs of its owner keep offerings of their names out")
    if node.held_down_until:
        remarks.append(f"came and went; taken up again at {_clock(node.held_down_until)}")
    if node.inspection is not msgspec.UNSET:
        if node.inspection.problem:
            remarks.append(f"cannot be inspected: {node.inspection.problem}")
        if node.inspection.repair_at:
            remarks.append(f"accepts graphs and loses them; next attempt at {_clock(node.inspection.repair_at)}")
        if node.inspection.own_form:
            remarks.append(f"shows {node.inspection.own_form} graphs in a form of its own")
    return "; ".join(remarks)


def _clock(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%H:%M:%S")


# drain, undrain


@nodes.command()
@click.argument("node", metavar="ID")
@kafka_options
@click.option("--no-wait", is_flag=True, help="Do not wait until the node is empty.")
@click.option("--force", is_flag=True, help="Drain it even if too few nodes remain for all copies.")
def drain(node: str, kafka: str | None, properties: tuple[str, ...], no_wait: bool, force: bool) -> None:
    """Empty a node that is to leave, without losing a copy.

    The node goes on serving reads. It keeps each graph until the other nodes have acknowledged all of its copies, and gets no
    new graphs. The command shows how many graphs are left, and ends when there are none. Ctrl-C ends the command, not the
    draining. A restart of any part does not end it either; "catena nodes undrain ID" does.

    ID is the node's, as "catena nodes list" shows it. The status is 1 if the node cannot be drained.

    \b
    Examples:
      catena nodes drain node_3
      catena nodes drain node_3 -k kafka:9092 --no-wait
    """
    with _Session(kafka, properties) as session:
        session.node(node)
        session.check_remaining(node, force=force)
        session.mark(node, Drain(node, int(time.time() * 1000)))
        session.wait_for(
            lambda: session.node(node).draining, f"{node} is to be drained, but no monitor takes notice: does one run?"
        )
        click.echo(f"{printable(node)} is draining")
        if not no_wait:
            session.follow(node)


@nodes.command()
@click.argument("node", metavar="ID")
@kafka_options
def undrain(node: str, kafka: str | None, properties: tuple[str, ...]) -> None:
    """Let a node that was drained hold graphs again.

    \b
    Example:
      catena nodes undrain node_3 -k kafka:9092
    """
    with _Session(kafka, properties) as session:
        if node not in session.drains:
            session.node(node)
            click.echo(f"{printable(node)} is not draining")
            return
        session.mark(node, None)
        if node in session.ring_nodes():
            session.wait_for(
                lambda: not session.node(node).draining,
                f"{node} may return, but no monitor takes notice: does one run?",
            )
        click.echo(f"{printable(node)} takes graphs again")


class _Session:
    """The topics that the commands read and write."""

    def __init__(self, kafka: str | None, properties: tuple[str, ...]) -> None:
        self._kafka = connection(kafka, properties)
        with kafka_errors():
            self._ring = self._kafka.table(
                topics.RING, decode=lambda _, value: records.from_text(value, Ring), accept=records.is_newer_ring
            )
            self.drains = self._kafka.table(topics.DRAINS)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._ring.close()
        self.drains.close()

    def ring_nodes(self) -> dict[str, Node]:
        """Return the nodes on the ring, by id."""
        ring = self._ring.get(RING_KEY)
        return {node.id: node for node in ring.nodes} if ring else {}

    def node(self, name: str) -> Node:
        """Return a node of the ring.

        Raises:
            ClickException: There is none of this name.
        """
        known = self.ring_nodes()
        if name in known:
            return known[name]
        if not known:
            raise click.ClickException("there are no nodes yet: does a monitor run on this Kafka?")
        close = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known)[:20])}"
        raise click.ClickException(printable(f"there is no node {name}; {hint}"))

    def check_remaining(self, name: str, *, force: bool) -> None:
        """Refuse to leave fewer nodes than there are copies."""
        ring = self._ring[RING_KEY]
        others = msgspec.structs.replace(ring, nodes=tuple(node for node in ring.nodes if node.id != name))
        remaining = len(RingView(others).owners(""))
        if remaining < min(ring.replicas, len(RingView(ring).owners(""))) and not force:
            raise click.ClickException(
                f"without {printable(name)} only {remaining} nodes take graphs, and each graph has {ring.replicas} copies; "
                "add a node first, or say --force"
            )

    def mark(self, name: str, record: Drain | None) -> None:
        """Publish that a node is to be drained, or no longer."""
        sender = Sender(self._kafka)
        sender.send(topics.DRAINS, None if record is None else records.to_text(record), name)
        sender.flush()

    def wait_for(self, condition: Callable[[], bool], problem: str) -> None:
        """Wait until the monitor has published the change."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise click.ClickException(printable(problem))
            time.sleep(0.1)

    def follow(self, name: str) -> None:
        """Show how many graphs are left on a node until there are none."""
        placements = self._kafka.table(topics.PLACEMENTS, decode=_acknowledged)
        shown = -1
        try:
            while True:
                left = sum(records.split_placement_key(key)[0] == name for key in placements.copy())
                if left != shown:
                    click.echo(f"{left:,} graphs left")
                    shown = left
                if not left:
                    break
                node = self.node(name)
                if not node.draining:
                    raise click.ClickException(f"{printable(name)} is no longer draining")
                if node.state == "down":
                    raise click.ClickException(
                        f"{printable(name)} is down{f': {printable(node.problem)}' if node.problem else ''}; nothing can be "
                        "deleted there. Take it out of CATALOGUE_LIST once GET /health counts no missing copies"
                    )
                if not RingView(self._ring[RING_KEY]).owners(""):
                    raise click.ClickException(
                        f"no other node takes graphs now, so {printable(name)} keeps its own and goes on draining; "
                        'add a node, or let one take graphs again by "catena nodes undrain"'
                    )
                time.sleep(_PROGRESS_INTERVAL)
        except KeyboardInterrupt:
            click.echo(f"\n{printable(name)} goes on draining", err=True)
            return
        finally:
            placements.close()
        click.echo(f"{printable(name)} is empty: take it out of CATALOGUE_LIST")


def _acknowledged(_key: str, value: Any) -> bool | None:
    return True if records.from_text(value, Placement).digest else None
