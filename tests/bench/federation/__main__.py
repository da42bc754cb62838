"""The command: starts the servers, compares their answers, lets them take turns, and prints one table."""

from __future__ import annotations

import importlib.metadata
import random
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import click
from rich.console import Console

from sandbox.made_up_offerings import SandboxOffering
from tests.bench.federation import comunica, load, memory, servers, timing
from tests.bench.federation.client import Client
from tests.bench.federation.offerings import offerings, words
from tests.bench.federation.placed import Placed
from tests.bench.federation.queries import QUERIES, Query, Words
from tests.bench.federation.report import FRESH, NORMAL, SINGLE, Results, show
from tests.bench.links.report import machine
from tests.servers import ServerUnavailable
from tests.servers.fuseki import VERSION as FUSEKI_VERSION
from topology.rdf.offering_graph import Description

CLIENTS = 32
LOAD_ROUNDS = 2
_LOAD_VARIANTS = 200  # of each query in a round: more than are answered in its time
_NO_CACHE = {"Cache-Control": "no-cache"}

console = Console(width=136)


@dataclass(frozen=True)
class Options:
    """What is to be measured.

    Attributes:
        nodes: What the nodes are.
        gateway: How the gateway knows what stands where.
        repetitions: How often each query is timed.
        seconds: How long many clients ask each side; 0: they do not.
        comunica: Whether Comunica is asked.
        on_disk: Whether the single store and the gateway's view are on disk.
    """

    nodes: str
    gateway: str
    repetitions: int
    seconds: float
    comunica: bool
    on_disk: bool


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
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0),
    help=f"How long {CLIENTS} clients at once ask each side; 0: they do not.",
)
@click.option(
    "--comunica/--no-comunica",
    "with_comunica",
    default=True,
    show_default=True,
    help="Ask Comunica too; it is installed into .cache with npm once.",
)
@click.option("--on-disk", is_flag=True, help="Keep the single store (a sandbox node) and the gateway's view on disk.")
def main(
    count: int,
    nodes: str,
    gateway: str,
    chosen: tuple[str, ...],
    repetitions: int,
    seconds: float,
    with_comunica: bool,
    on_disk: bool,
) -> None:
    """Measure the gateway: beside one store that holds everything, over the same offerings, in one run.

    Three nodes hold the offerings, each on two of them. A single store of the same kind holds them all, its default graph
    the union of all. Every answer of the gateway is compared with the single store's first; a difference is a failure. Then
    both are asked by turns over HTTP, in each repetition with other words, offsets and limits: the gateway past all its
    caches (Cache-Control: no-cache), and as users ask it. Figures are medians; a ratio is the median of the gateway's time by
    the single store's for the same text. After that many clients ask each side at once: the same queries in the same order,
    with other words.

    Comunica puts three nodes with the same graphs together. They are servers of their own, the default graph of each the
    union of its graphs: where default graphs are empty, as on the catalogue's nodes, Comunica finds nothing at all.

    Exits with status 1 when an answer is wrong or a target is not met.

    \b
    To try it:                 python -m tests.bench.federation --offerings 30 --repetitions 1 --seconds 1 --no-comunica
    Some queries only:         python -m tests.bench.federation --queries search --queries path
    Over Apache Jena Fuseki:   python -m tests.bench.federation --nodes fuseki
    """
    queries = [query for query in QUERIES if not chosen or any(text in f"{query.name} {query.kind}" for text in chosen)]
    if not queries:
        names = ", ".join(query.name for query in QUERIES)
        raise click.UsageError(f"no query has {' or '.join(chosen)} in its name or kind; they are: {names}")
    options = Options(nodes, gateway, repetitions, seconds, with_comunica, on_disk)
    results = Results(
        f"{count:,} offerings on {servers.COUNT} {nodes} nodes, {servers.REPLICAS} copies, gateway {gateway}"
        f"{', single store and view on disk' * on_disk}; {machine()}",
        _versions(nodes),
        queries,
    )
    try:
        run(results, options, offerings(count))
    except (ServerUnavailable, timing.FailedError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if show(console, results) else 1)


def run(results: Results, options: Options, made: Sequence[tuple[SandboxOffering, Description]]) -> None:
    """Measure all."""
    vocabulary = words([described for _, described in made])
    with (
        servers.single_store(options.nodes, options.on_disk) as single,
        servers.servers(options.nodes, servers.COUNT) as urls,
    ):
        placed = servers.catalogue(urls, made)
        servers.load_all(single, made)
        triples = sum(described.triples.count("\n") for _, described in made)
        _tell(f"loaded {len(made):,} offerings, {triples:,} triples")
        with (
            closing(Client(f"{single}/sparql")) as single_client,
            servers.gateway(options.gateway, placed, options.on_disk) as gateway,
        ):
            _tell(f"the gateway is ready after {gateway.ready:.1f} s")
            with (
                closing(Client(gateway.url, _NO_CACHE)) as fresh,
                closing(Client(gateway.url)) as normal,
            ):
                sides = timing.Sides(single_client, fresh, normal, vocabulary)
                results.sizes, unanswered = timing.check(sides, results.queries, _warn)
                results.queries = [query for query in results.queries if query not in unanswered]
                right = [query for query in results.queries if query.name in results.sizes]
                _tell(f"{len(right)} of {len(results.queries)} queries are answered as by the single store")
                results.times = timing.measure(sides, right, options.repetitions, _tell)
                results.sizes = {name: size for name, size in results.sizes.items() if name in results.times}
            if options.seconds and right:
                first = timing.next_variant(options.repetitions)
                measure_load(results, options, f"{single}/sparql", gateway.url, right, vocabulary, first)
            results.peaks = list(memory.peaks(gateway.pid).values())
            if options.comunica:
                measure_comunica(results, options, single_client, made, placed, vocabulary)


def measure_load(
    results: Results,
    options: Options,
    single: str,
    gateway: str,
    queries: Sequence[Query],
    vocabulary: Words,
    first: int,
) -> None:
    """Let many clients ask each side by turns.

    Each is asked the same queries in the same order, with words that it has not been asked for before where they can vary: else
    the gateway could use what it keeps of a query, its plan for instance, past its caches too.
    """
    sides: tuple[tuple[str, str, dict[str, str]], ...] = (
        (SINGLE, single, {}),
        (NORMAL, gateway, {}),
        (FRESH, gateway, _NO_CACHE),
    )
    for turn in range(LOAD_ROUNDS):
        for number, (who, url, headers) in enumerate(sides):
            start = first + (turn * len(sides) + number) * _LOAD_VARIANTS
            variants = range(start, start + _LOAD_VARIANTS)
            texts = [query.variant(variant, vocabulary) for variant in variants for query in queries]
            random.Random(turn).shuffle(texts)
            lines = [f"{name}: {value}" for name, value in headers.items()]
            found = load.run(load.Task(url, CLIENTS, options.seconds / LOAD_ROUNDS, texts, lines))
            results.loads.setdefault(who, []).append(found)
            error = f", {found.errors} errors, the first: {found.error}" if found.errors else ""
            _tell(f"{CLIENTS} clients, {who}: {found.rate:,.1f} answers/s{error}")


def measure_comunica(
    results: Results,
    options: Options,
    single: Client,
    made: Sequence[tuple[SandboxOffering, Description]],
    placed: Placed,
    vocabulary: Words,
) -> None:
    """Let Comunica answer, or say why it cannot."""
    with servers.servers(options.nodes, servers.COUNT) as urls:
        servers.load_as_union(urls, made, placed)
        try:
            with comunica.comunica([f"{url}/sparql" for url in urls]) as asked:
                results.versions["Comunica"] = asked.version
                results.comunica = comunica.measure(asked, single, results.queries, vocabulary, _tell)
        except comunica.UnavailableError as reason:
            results.notes.append(f"Comunica: not asked: {reason}")


def _versions(nodes: str) -> dict[str, str]:
    packages = ("catena-links", "pyoxigraph", "waitress", "flask", "requests")
    found = {"gateway": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)}
    sandbox = f"sandbox nodes, pyoxigraph {importlib.metadata.version('pyoxigraph')}"
    found["nodes and single store"] = sandbox if nodes == "sandbox" else f"Apache Jena Fuseki {FUSEKI_VERSION}"
    return found


def _tell(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _warn(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True, style="red")


if __name__ == "__main__":
    main()
