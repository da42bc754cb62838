"""The command: starts the servers, compares their answers, lets them take turns, and prints one table."""

from __future__ import annotations

import importlib.metadata
import sys
from contextlib import closing

import click
from rich.console import Console

from tests.bench.federation import servers, timing
from tests.bench.federation.client import Client
from tests.bench.federation.offerings import offerings, words
from tests.bench.federation.queries import QUERIES
from tests.bench.federation.report import Results, show
from tests.bench.links.report import machine
from tests.servers import ServerUnavailable
from tests.servers.fuseki import VERSION as FUSEKI_VERSION

console = Console(width=128)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--offerings", "count", default=1000, show_default=True, type=click.IntRange(4), help="How many there are."
)
@click.option(
    "--nodes",
    default="sandbox",
    show_default=True,
    type=click.Choice(servers.NODE_KINDS),
    help="What the three nodes and the single store are.",
)
@click.option(
    "--gateway",
    "kind",
    default="placed",
    show_default=True,
    type=click.Choice(servers.GATEWAY_KINDS),
    help="placed: it knows where each graph stands, as with Kafka; fixed: it knows a list of nodes and finds out.",
)
@click.option(
    "--queries",
    "chosen",
    multiple=True,
    metavar="TEXT",
    help="Only queries with this in their name or kind; may be repeated.",
)
@click.option(
    "--repetitions", default=7, show_default=True, type=click.IntRange(1), help="How often each query is timed."
)
def main(count: int, nodes: str, kind: str, chosen: tuple[str, ...], repetitions: int) -> None:
    """Measure the gateway: beside one store that holds everything, over the same offerings, in one run.

    Three nodes hold the offerings, each on two of them. A single store of the same kind holds them all, its default graph
    the union of all. Every answer of the gateway is compared with the single store's first; a difference is a failure. Then
    both are asked by turns over HTTP, in each repetition with other words, offsets and limits: the gateway past all its
    caches (Cache-Control: no-cache), and as users ask it. Figures are medians; a ratio is the median of the gateway's time by
    the single store's for the same text. Exits with status 1 when an answer is wrong or a target is not met.

    \b
    A run to try it:           python -m tests.bench.federation --offerings 30 --repetitions 1
    Some queries only:         python -m tests.bench.federation --queries search --queries path
    Over Apache Jena Fuseki:   python -m tests.bench.federation --nodes fuseki
    """
    queries = [query for query in QUERIES if not chosen or any(text in f"{query.name} {query.kind}" for text in chosen)]
    if not queries:
        raise click.UsageError(f"no query has {' or '.join(chosen)} in its name or kind; they are: {_names()}")
    results = Results(
        f"{count:,} offerings on {servers.COUNT} {nodes} nodes, {servers.REPLICAS} copies, gateway {kind}; {machine()}",
        _versions(nodes),
        queries,
    )
    try:
        met = run(results, count, nodes, kind, repetitions)
    except (ServerUnavailable, timing.Failed) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if met else 1)


def run(results: Results, count: int, nodes: str, kind: str, repetitions: int) -> bool:
    """Measure all, print all, and tell whether the targets were met."""
    made = offerings(count)
    with servers.servers(nodes, servers.COUNT + 1) as (single, *urls):
        placed = servers.catalogue(urls, made)
        servers.load_all(single, made)
        _tell(f"loaded {count:,} offerings, {sum(described.triples.count(chr(10)) for _, described in made):,} triples")
        with (
            servers.gateway(kind, placed) as gateway,
            closing(Client(f"{single}/sparql")) as single_client,
            closing(Client(gateway.url, {"Cache-Control": "no-cache"})) as fresh,
            closing(Client(gateway.url)) as normal,
        ):
            sides = timing.Sides(single_client, fresh, normal, words([described for _, described in made]))
            results.sizes = timing.check(sides, results.queries, _warn)
            right = [query for query in results.queries if query.name in results.sizes]
            _tell(f"{len(right)} of {len(results.queries)} queries are answered as by the single store")
            results.times = timing.measure(sides, right, repetitions, _tell)
            return show(console, results)


def _versions(nodes: str) -> dict[str, str]:
    packages = ("catena", "pyoxigraph", "waitress", "flask", "urllib3")
    found = {"gateway": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)}
    sandbox = f"sandbox node, pyoxigraph {importlib.metadata.version('pyoxigraph')}"
    found["nodes and single store"] = sandbox if nodes == "sandbox" else f"Apache Jena Fuseki {FUSEKI_VERSION}"
    return found


def _names() -> str:
    return ", ".join(query.name for query in QUERIES)


def _tell(text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _warn(text: str) -> None:
    console.print(text, markup=False, highlight=False, style="red")


if __name__ == "__main__":
    main()
