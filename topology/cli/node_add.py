"""``catena nodes add``: puts a node into the list of nodes, once it answers."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import click

from catena_core.errors import UsageError
from catena_core.finite_range import FiniteRange
from catena_core.text import printable, split_credentials, without_credentials
from topology import settings
from topology.access import LinkAccess
from topology.cli.gateway import errors_in_words
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import NodeClient
from topology.clients.node_discovery import discover
from topology.json_file import read_json_object
from topology.membership import MembershipError, read_catalogue_list

_TIMEOUT = 10.0


@click.command("add")
@click.argument("node", metavar="ID")
@click.argument("url")
@click.option("--weight", type=FiniteRange(0.01, 100), default=1.0, show_default=True, help="Its share of graphs.")
@click.option(
    "--list",
    "path",
    type=click.Path(),
    metavar="FILE",
    help="The list of nodes, made if need be.  [default: CATALOGUE_LIST]",
)
@click.option("--no-check", is_flag=True, help="Add it even if it does not answer yet.")
def add_node(node: str, url: str, weight: float, path: str | None, no_check: bool) -> None:
    """Put a node into CATALOGUE_LIST, once it answers as a catalogue node.

    URL is its endpoint, for instance http://host:3030/catalogue. The monitor reads the file again after each change, so run
    this where the monitor reads its list. Where nodes are the offerings' owners', or there is only the Global Catalogue, there
    is no list, and nothing to add. "catena ring simulate --add ID" tells beforehand how much will move.

    \b
    Examples:
      catena nodes add node_4 http://node-4:3030/catalogue
      catena nodes add big http://big:3030/catalogue --weight 2 --list nodes.json
    """
    node = without_credentials(node)
    with errors_in_words():
        variables = settings.variables_in_force()
        file = Path(path or variables.get("CATALOGUE_LIST") or settings.Settings().catalogue_list)
        try:
            before = file.read_bytes() if file.exists() else None
            entries = {} if before is None else read_json_object(before)
        except (OSError, ValueError, RecursionError) as error:
            raise MembershipError(f"{file} is not a list of nodes: {error}") from error
        if node in entries or node in {entry.get("id") for entry in entries.values() if isinstance(entry, dict)}:
            raise UsageError(f"{file} has a node {printable(node)} already; edit the file to change it")
        entries[node] = {"id": node, "catalogue_url": url, **({} if weight == 1 else {"weight": weight})}
        content = json.dumps(entries, indent=2).encode() + b"\n"
        access = _access(variables)
        members = read_catalogue_list(content, str(file), access.credentials)  # refuses two nodes at one address
        has_password = split_credentials(url)[1] is not None
        if not no_check:
            _check(next(member.url for member in members if member.id == node), access)
        try:
            # In place, since it may be mounted into containers; a monitor that reads half of it keeps the former list.
            file.touch(mode=0o600 if has_password else 0o666)
            file.write_bytes(content)
            is_shown = has_password and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        except OSError as error:
            _put_back(file, before)
            raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    if is_shown:
        said = f"{file} has a password, and other users of this machine can read it; chmod 600 changes that"
        click.echo(f"Warning: {said}", err=True)
    click.echo(f"{printable(node)} is in {file}: the monitor takes it up with its next look")


def _put_back(file: Path, content: bytes | None) -> None:
    """Give a file of which only a part could be written its former content, for which there was room."""
    with contextlib.suppress(OSError):
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)


def _access(variables: Mapping[str, str]) -> LinkAccess:
    names = ("NODE_CREDENTIALS",)
    return LinkAccess(settings.load({name: value for name in names if (value := variables.get(name))}))


def _check(url: str, access: LinkAccess) -> None:
    web = WebClient(_TIMEOUT, access=access.nodes)
    try:
        if NodeClient(url, web, endpoints=discover(url, web, protocol=None).endpoints).is_healthy():
            return
        said = "it says that it is not well"
    except (WebError, UnsafeError) as error:
        said = str(error)
    raise UsageError(
        f"no catalogue node answers at {printable(url)}: {printable(said)}; --no-check adds it all the same"
    )
