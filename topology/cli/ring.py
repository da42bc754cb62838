"""``catena ring``: where graphs stand, and what moves when nodes come or go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from catena_core.text import bounded, printable
from topology import records, settings, topics
from topology.cli.grid import show as print_grid
from topology.cli.kafka import Connection, connection, kafka_errors, kafka_options
from topology.membership import CatalogueList
from topology.records import Node, Placement, Ring
from topology.ring import RingView

_MADE_UP = 10_000
_SAMPLES = 20_000
_list_option = click.option(
    "--list",
    "node_list",
    type=click.Path(),
    metavar="FILE",
    help="Take the nodes from a file like CATALOGUE_LIST, without Kafka.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


@click.group("ring")
def ring() -> None:
    """Show where graphs stand, and what moves when nodes come or go. Nothing is changed.

    \b
    Examples:
      catena ring show -k kafka:9092
      catena ring show https://provider.example/offerings/1
      catena ring simulate --remove node_3 --add node_4=2
    """


@ring.command()
@click.argument("graphs", nargs=-1, metavar="[IRI]...")
@_list_option
@_json_option
@kafka_options
def show(
    kafka: str | None, properties: tuple[str, ...], graphs: tuple[str, ...], node_list: str | None, as_json: bool
) -> None:
    """Show the ring: its epoch, and each node's share; or the nodes of an offering, by its IRI.

    For an IRI, the first line of nodes is where it belongs, and the second, from Kafka, where it stands now. They differ
    while data moves. Any IRI will do, also one of an offering that does not exist yet.

    \b
    Examples:
      catena ring show
      catena ring show --list nodes.json https://provider.example/offerings/1
      catena ring show --json | jq '.nodes[] | [.id, .share]'
    """
    for graph in graphs:
        if ":" not in graph:
            raise click.UsageError(f"{printable(graph)!r} is no IRI; 'catena offerings show' tells that of an offering")
    with _source(kafka, properties, node_list) as (current, cluster):
        view = RingView(current)
        if graphs:
            stand = _placements(cluster) if cluster else {}
            rows = [{"graph": graph, "belongs": view.owners(graph), "stands": stand.get(graph, ())} for graph in graphs]
            for row in rows:
                if as_json:
                    click.echo(json.dumps(row))
                    continue
                click.echo(bounded(str(row["graph"]), 500))
                click.echo(f"  belongs to {_names(row['belongs'])}")
                if cluster:
                    click.echo(f"  stands on  {_names(row['stands'])}")
            return
        copies = Counter(node for number in range(_SAMPLES) for node in view.owners(f"urn:sample:{number}"))
        total = max(copies.total(), 1)
        described = [
            {
                "id": node.id,
                "state": node.condition,
                "weight": node.weight,
                "share": round(copies[node.id] / total, 4),
                "url": node.url,
            }
            for node in current.nodes
        ]
    if as_json:
        shown = {"epoch": current.epoch, "replicas": current.replicas, "virtual_nodes": current.virtual_nodes}
        click.echo(json.dumps({**shown, "nodes": described}))
        return
    click.echo(
        f"epoch {current.epoch}: {len(current.nodes)} nodes, {current.replicas} copies of each graph, "
        f"{current.virtual_nodes} points for a node of weight 1"
    )
    print_grid(
        "node,state,weight,share,url",
        "weight,share",
        ((row["id"], row["state"], f"{row['weight']:g}", f"{row['share']:.1%}", row["url"]) for row in described),
    )


@ring.command()
@click.option("--remove", multiple=True, metavar="ID", help="A node leaves; may be repeated.")
@click.option("--add", multiple=True, metavar="ID[=WEIGHT]", help="A node comes; may be repeated.")
@click.option("--weight", "weights", multiple=True, metavar="ID=WEIGHT", help="A node's weight changes.")
@click.option("--replicas", type=click.IntRange(1, 100), help="Another number of copies.")
@click.option(
    "--graphs",
    "count",
    type=click.IntRange(1, 10_000_000),
    help=f"Made-up graphs.  [default: the real ones, else {_MADE_UP:,}]",
)
@_list_option
@_json_option
@kafka_options
def simulate(
    kafka: str | None,
    properties: tuple[str, ...],
    remove: tuple[str, ...],
    add: tuple[str, ...],
    weights: tuple[str, ...],
    replicas: int | None,
    count: int | None,
    node_list: str | None,
    as_json: bool,
) -> None:
    """Tell how many copies move if nodes come, go, or change their weight.

    Taken are the offerings on Kafka, or made-up ones. A copy that moves is written to its new node first, then deleted from
    the old one.

    \b
    Examples:
      catena ring simulate --remove node_3
      catena ring simulate --add node_4 --add node_5=0.5
      catena ring simulate --list nodes.json --replicas 3 --graphs 1000000
    """
    if not (remove or add or weights or replicas):
        raise click.UsageError("say what changes: --remove ID, --add ID, --weight ID=WEIGHT or --replicas N")
    with _source(kafka, properties, node_list) as (current, cluster):
        after = _changed(current, remove, _weighted(add), _weighted(weights), replicas)
        graphs = _graphs(cluster) if cluster and count is None else []
    graphs = graphs or [f"urn:graph:{number}" for number in range(count or _MADE_UP)]
    old, new = RingView(current), RingView(after)
    before: Counter[str] = Counter()
    behind: Counter[str] = Counter()
    written: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    with click.progressbar(graphs, label="placing", hidden=len(graphs) < 100_000 or as_json) as bar:
        for graph in bar:
            was, is_now = set(old.owners(graph)), set(new.owners(graph))
            before.update(was)
            behind.update(is_now)
            written.update(is_now - was)
            deleted.update(was - is_now)
    names = sorted({node.id for node in (*current.nodes, *after.nodes)})
    if as_json:
        nodes = [
            {
                "id": name,
                "before": before[name],
                "after": behind[name],
                "written": written[name],
                "deleted": deleted[name],
            }
            for name in names
        ]
        click.echo(
            json.dumps({"graphs": len(graphs), "copies": before.total(), "written": written.total(), "nodes": nodes})
        )
        return
    print_grid(
        "node,copies now,then,written,deleted",
        "copies now,then,written,deleted",
        ((name, before[name], behind[name], written[name], deleted[name]) for name in names),
    )
    share = written.total() / max(behind.total(), 1)
    click.echo(f"{len(graphs):,} graphs; {written.total():,} of {behind.total():,} copies are written, {share:.1%}")
    if (copies := behind.total() // len(graphs)) < after.replicas:
        click.echo(f"{len(after.nodes)} nodes hold {copies} copies of each graph, not {after.replicas}")


def _weighted(texts: Sequence[str]) -> dict[str, float]:
    """Read nodes with their weights, each of which is named once."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.rpartition("=") if "=" in text else (text, "", "1")
        try:
            number = float(weight)
        except ValueError:
            number = 0.0
        if not name or not 0.01 <= number <= 100:
            raise click.UsageError(f"'{printable(text)}' should be ID=WEIGHT, with a weight from 0.01 to 100")
        if name in found:
            raise click.UsageError(f"{printable(name)} is given twice")
        found[name] = number
    return found


def _changed(
    current: Ring, remove: Sequence[str], add: Mapping[str, float], weights: Mapping[str, float], replicas: int | None
) -> Ring:
    nodes = {node.id: node for node in current.nodes}
    for name in (*remove, *weights):
        if name not in nodes:
            raise click.UsageError(f"there is no node {printable(name)}; there are {_names(sorted(nodes)[:20])}")
    for name in weights:
        if name in remove:
            raise click.UsageError(f"{printable(name)} leaves, so it has no weight: give one of --remove and --weight")
    for name in add:
        if name in nodes:
            raise click.UsageError(f"there is a node {printable(name)} already; --weight changes its share")
    kept = [
        msgspec.structs.replace(node, weight=weights.get(node.id, node.weight))
        for node in current.nodes
        if node.id not in remove
    ]
    kept += [Node(name, "", weight=weight) for name, weight in add.items()]
    return msgspec.structs.replace(current, nodes=tuple(kept), replicas=replicas or current.replicas)


@contextmanager
def _source(
    kafka: str | None, properties: tuple[str, ...], node_list: str | None
) -> Iterator[tuple[Ring, Connection | None]]:
    """Give the ring, and Kafka if it comes from there."""
    with kafka_errors():
        if node_list is not None:
            names = ("OFFERING_REPLICA_COUNT", "HASH_RING_VIRTUAL_NODES")
            variables = settings.variables_in_force()
            own = settings.load({name: value for name in names if (value := variables.get(name))})
            members = CatalogueList(node_list).members()
            nodes = tuple(Node(member.id, member.url, weight=member.weight) for member in members)
            yield Ring(0, nodes, own.hash_ring_virtual_nodes, own.offering_replica_count), None
            return
        cluster = connection(kafka, properties)
        rows = cluster.rows(topics.RING, lambda _, value: records.from_text(value, Ring), accept=records.is_newer_ring)
        if records.RING_KEY not in rows:
            raise click.ClickException(
                "there is no ring on this Kafka yet: does a monitor run? --list FILE takes the nodes from a file"
            )
        yield rows[records.RING_KEY], cluster


def _graphs(cluster: Connection) -> list[str]:
    heads = cluster.rows(topics.OFFERINGS, records.read_head, accept=records.is_newer_claim)
    return sorted({head.graph for head in heads.values()})


def _placements(cluster: Connection) -> dict[str, tuple[str, ...]]:
    """Return the nodes that have acknowledged each graph."""
    rows = cluster.rows(topics.PLACEMENTS, lambda _, value: records.from_text(value, Placement).digest or None)
    stand: dict[str, list[str]] = {}
    for key in sorted(rows):
        node, graph = records.split_placement_key(key)
        stand.setdefault(graph, []).append(node)
    return {graph: tuple(nodes) for graph, nodes in stand.items()}


def _names(names: Any) -> str:
    return ", ".join(map(printable, names)) or "no node"
