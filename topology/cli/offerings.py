"""``catena offerings``: the state of each offering on the ledger, and why one does not come."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import click
import msgspec
from confluent_kafka.admin import AdminClient
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from catena_core.text import bounded, printable
from topology import records, topics
from topology.cli.completion import one_of
from topology.cli.gateway import Gateway, errors_in_words, problem_of, url_option
from topology.cli.grid import console
from topology.cli.kafka import Sender, connection, kafka_errors, kafka_options
from topology.gateway.api.schemas import MOST_LIMIT, STATES, OfferingPage
from topology.gateway.offering_list import ListedOffering
from topology.records import AddressEvent, AddressStatus
from topology.topics import address_partition

_LONGEST_CELL = 200
_EXPLANATIONS = {
    "waiting": "its description, or a node that takes it, has not come yet",
    "placed": "it stands on nodes",
    "stale": "its last description stands, though its source fails; OFFERING_GONE_AFTER withdraws it",
    "failing": "no description came; it is fetched again and again, less and less often",
    "gone": "its source has taken it down, so it is withdrawn until it is back",
    "conflict": "another address stands before it in the ledger and owns its IRI",
}


@click.group("offerings")
def offerings() -> None:
    """Look at the offerings on the ledger as a gateway knows them, and have their descriptions fetched again.

    \b
    Examples:
      catena offerings list --state failing,stale
      catena offerings show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
      catena offerings refresh --state failing -k kafka:9092
    """


@offerings.command("list")
@click.option(
    "--state",
    metavar="STATES",
    shell_complete=one_of({*STATES, "all"}),
    help=f"Only these, with commas between them: {', '.join(sorted(STATES))}, or all.  [default: those that stand]",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="The most offerings to list.")
@url_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
def list_(state: str | None, limit: int, url: str | None, as_json: bool) -> None:
    """List offerings with their states, and the errors of those that do not come.

    \b
    States:
      waiting   for its description, or for a node
      placed    on nodes
      stale     its last description stands, though its source fails
      failing   no description came; it is fetched again after a pause that grows
      gone      withdrawn, since its source has taken it down
      conflict  another address stands before it in the ledger and owns its IRI

    \b
    Examples:
      catena offerings list --state failing,stale
      catena offerings list --state all --limit 100000 --json | jq -r .state | sort | uniq -c
      catena offerings list -u http://gateway:3030 --state waiting
    """
    found, total = _read(url, {"state": state} if state else {}, limit)
    if as_json:
        for one in found:
            click.echo(_as_json(one))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("address", "state", "since", "title", "nodes or reason"):
        table.add_column(Text(name), no_wrap=name in ("address", "state", "since"))
    for one in found:
        last = one.error or (f"owned by {one.owned_by}" if one.owned_by else ", ".join(one.nodes))
        cells = (one.address or one.graph, one.state, one.since, one.title or one.name, last)
        table.add_row(*(Text(bounded(cell, _LONGEST_CELL), overflow="fold") for cell in cells))
    out = console()
    out.print(table)
    more = f"; --limit {total} lists all" if total > len(found) else ""
    out.print(f"{len(found):,} of {total:,} offerings{more}")


@offerings.command("show")
@click.argument("identifier", metavar="ID")
@url_option
@click.option("--json", "as_json", is_flag=True, help="JSON, for machines.")
def show(identifier: str, url: str | None, as_json: bool) -> None:
    """Show all that is known of one offering: its state and why, its URL, and when it is fetched next.

    ID is its address on the ledger, or its IRI; of an IRI that several addresses describe, all of them are shown.

    \b
    Examples:
      catena offerings show 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
      catena offerings show https://provider.example/offerings/1 --json | jq .error
    """
    found, _ = _read(url, {"id": identifier}, MOST_LIMIT)
    if not found:
        raise click.ClickException(
            f"no offering is known as {bounded(identifier, _LONGEST_CELL)}; 'catena offerings list --state all' lists those "
            "that are. A new one is known after OFFERING_FETCH_INTERVAL at the latest"
        )
    for number, one in enumerate(found):
        if as_json:
            click.echo(_as_json(one))
            continue
        if number:
            click.echo()
        click.echo(f"{one.address or one.graph}: {one.state or 'on nodes'}")
        if one.state:
            click.echo(f"  {_EXPLANATIONS[one.state]}")
        for name, value in _rows(one):
            if value:
                click.echo(f"  {name + ':':12} {printable(value)}")


def _rows(one: ListedOffering) -> list[tuple[str, str]]:
    hash_check = {
        "same": "the description has the ledger's hash",
        "differs": "the description has another hash than the ledger's",
    }
    return [
        ("title", one.title),
        ("IRI", one.graph),
        ("name", one.name),
        ("owner", one.owner),
        ("URL", one.source),
        ("error", one.error),
        ("owned by", one.owned_by),
        ("since", one.since),
        ("next try", one.next_try or ("with the next refresh" if one.error else "")),
        ("hash", hash_check.get(one.hash_check, "")),
        ("nodes", ", ".join(one.nodes)),
    ]


def _read(url: str | None, parameters: dict[str, str], limit: int) -> tuple[list[ListedOffering], int]:
    """Read so many offerings, page by page, and the number of all."""
    found: list[ListedOffering] = []
    total = 0
    with errors_in_words():
        gateway = Gateway(url)
        while not found or len(found) < min(limit, total):
            wanted = {"limit": min(limit - len(found), MOST_LIMIT), "offset": len(found)}
            answer = gateway.request("GET", f"/offerings?{urlencode({**parameters, **wanted})}")
            if answer.status != 200:
                raise click.ClickException(problem_of(answer).detail)
            try:
                page = msgspec.json.decode(answer.body, type=OfferingPage)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise click.ClickException(
                    f"{printable(answer.url)} answers, but not with offerings: it is no gateway of Catena, or one of another "
                    f"version ({printable(str(error))})"
                ) from error
            total = page.total
            if not page.offerings:
                break
            found += page.offerings
    return found, total


def _as_json(one: ListedOffering) -> str:
    return json.dumps(msgspec.json.decode(msgspec.json.encode(one)))  # in ASCII, so that it is harmless on a terminal


@offerings.command("refresh")
@click.argument("identifiers", nargs=-1, metavar="[ID]...")
@click.option(
    "--state", type=click.Choice(("fetched", "stale", "failing", "gone")), help="All that the fetcher has in it."
)
@kafka_options
def refresh(identifiers: tuple[str, ...], state: str | None, kafka: str | None, properties: tuple[str, ...]) -> None:
    """Fetch descriptions again now, without waiting for OFFERING_REFRESH_INTERVAL or for a pause after failures.

    ID is an address on the ledger, or an offering's IRI. "catena offerings show ID" then tells how it went.

    \b
    Examples:
      catena offerings refresh 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
      catena offerings refresh --state failing -k kafka:9092
    """
    if bool(identifiers) == bool(state):
        raise click.UsageError("name offerings, or say --state STATE")
    cluster = connection(kafka, properties)
    with kafka_errors():
        events = cluster.rows(topics.ADDRESSES, lambda _, value: records.from_text(value, AddressEvent))
        statuses = cluster.rows(topics.STATUSES, lambda _, value: records.from_text(value, AddressStatus))
        listed = {address: event for address, event in events.items() if event.kind != "delisted"}
        wanted = [one for one in listed if one in statuses and statuses[one].state == state]
        for identifier in identifiers:
            found = [one for one in listed if one.lower() == identifier.lower()]
            found = found or [one for one in listed if one in statuses and statuses[one].graph == identifier]
            if not found:
                raise click.ClickException(
                    f"no offering on the ledger is known as {bounded(identifier, _LONGEST_CELL)}; "
                    "'catena offerings list --state all' lists those that are"
                )
            wanted += found
        partitions = len(cluster.metadata(AdminClient(cluster.client())).topics[topics.ADDRESSES].partitions)
        sender = Sender(cluster)
        for address in dict.fromkeys(wanted):
            # The fetcher heeds it at once, whatever pause it is in; a "refresh" would wait for that.
            event = AddressEvent("listed", int(time.time() * 1000), order=listed[address].order)
            sender.send(
                topics.ADDRESSES, records.to_text(event), address, partition=address_partition(address, partitions)
            )
        sender.flush()
    click.echo(f"{len(wanted):,} {'offering is' if len(wanted) == 1 else 'offerings are'} fetched again")
