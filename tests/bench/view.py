"""The gateway's view: in memory and on disk, first built and then after a restart, and queries over both.

    python -m tests.bench.view --offerings 1000 --offerings 10000

No node and no broker takes part: the descriptions come from this process, as they come from the topics otherwise.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from federation.budget import Budget, Limits
from federation.errors import NotCachedError
from federation.evaluation.messages import Evaluate
from federation.fetching.merge import MergedQuads
from federation.skolem import PREFIX
from federation.source_selection import Snapshot
from federation.view.view import View
from tests.bench.federation.memory import peaks
from tests.bench.federation.offerings import offerings, words
from tests.bench.federation.queries import QUERIES
from topology.rdf.offering_graph import Description

_RESULTS, _GRAPHS = "application/sparql-results+json", "application/n-triples"
_MINUTES = 60.0
_CHANGES = 7
_MEBIBYTE = 1024 * 1024


class _Catalogue:
    """Descriptions and a snapshot of them, as a selector gives them."""

    def __init__(self, descriptions: Sequence[Description]) -> None:
        self._texts = {description.graph: description.triples for description in descriptions}
        self.contents = {description.graph: description.digest for description in descriptions}

    def content(self, graph: str, digest: str) -> str | None:
        return self._texts[graph]

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        return Snapshot((), version="1", contents=dict(self.contents), untracked=frozenset())


class _Figures(NamedTuple):
    """What was measured of one store.

    Attributes:
        build: Seconds from nothing to the first answer.
        restart: The same after a restart.
        change: Seconds from a change of one graph to the next answer.
        queries: Seconds of each query.
        memory: Bytes that its processes have taken at most, those that they share for each of them.
        disk: Bytes on the disk.
    """

    build: float
    restart: float
    change: float
    queries: list[float]
    memory: int
    disk: int


@contextmanager
def _viewing(catalogue: _Catalogue, directory: str) -> Iterator[View]:
    view = View(catalogue, 2**40, 600, 1, 0, PREFIX, _no_graphs, directory=directory)
    try:
        view.follow(catalogue.snapshot)
        yield view
    finally:
        view.close()


def _no_graphs(graphs: frozenset[str]) -> MergedQuads:
    raise AssertionError("every graph was placed")


def _answer(view: View, catalogue: _Catalogue, text: str, media_type: str) -> bytes:
    """Answer a query as soon as the view can."""
    budget = Budget(_MINUTES * 60, Limits())
    job = Evaluate(text, b"", (), media_type, 2**30)
    try:
        while True:
            try:
                return view.evaluate(job, view.showing(catalogue.snapshot()), budget)[0].body
            except NotCachedError:
                if view.progress.state == "off":
                    raise
                time.sleep(0.005)
    finally:
        budget.end()


def _first_answer(view: View, catalogue: _Catalogue) -> float:
    began = time.monotonic()
    _answer(view, catalogue, "ASK { ?s ?p ?o }", _RESULTS)
    return time.monotonic() - began


def measure(
    catalogue: _Catalogue, texts: Sequence[tuple[str, str]], repetitions: int, directory: str
) -> tuple[_Figures, list[int]]:
    """Measure one store.

    Args:
        catalogue: The descriptions that it holds.
        texts: Queries, with the formats of their answers.
        repetitions: How often each is timed.
        directory: Where the store is on disk; empty: it is in memory.

    Returns:
        The figures, and the bytes of each query's answer, by which both stores' answers are compared.
    """
    sizes = []
    with _viewing(catalogue, directory) as view:
        build = _first_answer(view, catalogue)
        queries = []
        for text, media_type in texts:
            times = []
            for _ in range(repetitions):
                began = time.monotonic()
                body = _answer(view, catalogue, text, media_type)
                times.append(time.monotonic() - began)
            queries.append(statistics.median(times))
            sizes.append(len(body))
        changes = []
        for graph in list(catalogue.contents)[:_CHANGES]:
            digest = catalogue.contents.pop(graph)
            _first_answer(view, catalogue)
            catalogue.contents[graph] = digest
            changes.append(_first_answer(view, catalogue))
        memory = sum(peaks(os.getpid()).values()) - peaks(os.getpid())[os.getpid()]
    with _viewing(catalogue, directory) as view:
        restart = _first_answer(view, catalogue)
    disk = sum(path.stat().st_size for path in Path(directory or os.devnull).rglob("*") if path.is_file())
    return _Figures(build, restart, statistics.median(changes), queries, memory, disk), sizes


@click.command()
@click.option("--offerings", "counts", type=int, multiple=True, default=(1000, 10000), show_default=True)
@click.option("--repetitions", type=click.IntRange(1), default=7, show_default=True, help="How often a query is timed.")
def main(counts: Sequence[int], repetitions: int) -> None:
    """Compare a view on disk with one in memory."""
    click.echo(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    click.echo("offerings  store   build s  restart s  change ms  query ms (median, worst)  memory MiB  disk MiB")
    for count in counts:
        descriptions = [description for _, description in offerings(count)]
        catalogue, known = _Catalogue(descriptions), words(descriptions)
        texts = [
            (query.variant(1, known), _GRAPHS if query.template.startswith(("CONSTRUCT", "DESCRIBE")) else _RESULTS)
            for query in QUERIES
        ]
        in_memory, sizes = measure(catalogue, texts, repetitions, "")
        _show(count, "memory", in_memory)
        with tempfile.TemporaryDirectory() as directory:
            on_disk, sizes_on_disk = measure(catalogue, texts, repetitions, directory)
        _show(count, "disk", on_disk)
        ratios = [one / other for one, other in zip(on_disk.queries, in_memory.queries, strict=True)]
        different = sum(one != other for one, other in zip(sizes, sizes_on_disk, strict=True))
        click.echo(
            f"{count:9}  disk / memory: queries {statistics.median(ratios):.2f} at the median, {max(ratios):.1f} at worst; "
            f"restart {on_disk.restart / in_memory.restart:.2f}; {different} answers of another length"
        )


def _show(count: int, store: str, figures: _Figures) -> None:
    middle, worst = 1000 * statistics.median(figures.queries), 1000 * max(figures.queries)
    click.echo(
        f"{count:9}  {store:6} {figures.build:8.1f} {figures.restart:10.1f} {1000 * figures.change:10.0f} "
        f"{middle:15.1f} {worst:8.0f} {figures.memory / _MEBIBYTE:11.0f} {figures.disk / _MEBIBYTE:9.0f}"
    )


if __name__ == "__main__":
    main()
