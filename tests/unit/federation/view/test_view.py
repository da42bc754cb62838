"""The view: what it shows, when it does not answer, and how it gets over the end of its processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from federation.budget import Budget, Limits
from federation.errors import NotCachedError, ServerStoppingError, SourceFailedError, TooLargeError
from federation.evaluation.messages import Evaluate
from federation.fetching.merge import MergedQuads
from federation.skolem import PREFIX, skolem_iri
from federation.source_selection import Snapshot
from federation.view.template import DiskTemplate, _StoreProcess
from federation.view.view import View
from tests.helpers.evaluation import ENDLESS
from tests.helpers.waiting import eventually

TRIPLES = [f"<urn:s{n}> <urn:p> <urn:o{n % 2}> .\n" for n in range(4)]
EVERYTHING = "SELECT ?g ?s ?o { GRAPH ?g { ?s <urn:p> ?o } }"
UNION = "SELECT ?s ?o { ?s <urn:p> ?o }"
SECONDS = 300.0


class Catalogue:
    """Placed graphs, whose content is their digest, and graphs of providers."""

    def __init__(self) -> None:
        self.placed: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self.forgotten: set[str] = set()
        self.fails = False
        self.read: list[str] = []

    def content(self, graph: str, digest: str) -> str | None:
        self.read.append(graph)
        return None if digest in self.forgotten else digest

    def snapshot(self, avoided: frozenset[str] = frozenset()) -> Snapshot:
        return Snapshot((), version="1", contents=dict(self.placed), untracked=frozenset(self.own))

    def fetch(self, graphs: frozenset[str]) -> MergedQuads:
        if self.fails:
            raise SourceFailedError("no node answers", [])
        merged = MergedQuads(frozenset(), None, PREFIX, 10**6)
        merged.named = [
            line.replace(" .", f" <{graph}>").replace(" ", "\t").encode()
            for graph in graphs
            for line in self.own[graph].splitlines()
        ]
        return merged


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


def made(catalogue: Catalogue, max_bytes: int = 2**30, **arguments: object) -> View:
    return View(catalogue, max_bytes, 600, 1, 2**32, PREFIX, catalogue.fetch, **arguments)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "disk"])
def view(catalogue: Catalogue, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[View]:
    view = made(catalogue, directory=str(tmp_path) if request.param == "disk" else "")
    yield view
    view.close()


def rows(view: View, snapshot: Snapshot, text: str = EVERYTHING) -> list[str]:
    """Return the rows of a query; raises ``NotCachedError`` when the view does not answer."""
    budget = Budget(SECONDS, Limits())
    try:
        result, _ = view.evaluate(Evaluate(text, b"", (), "text/csv", 10**6), view.showing(snapshot), budget)
    finally:
        budget.end()
    return sorted(result.body.decode().splitlines()[1:])


def in_the_end(view: View, catalogue: Catalogue, text: str = EVERYTHING) -> list[str]:
    """Return the rows as soon as the view answers."""

    def found() -> list[list[str]]:
        try:
            return [rows(view, catalogue.snapshot(), text)]
        except NotCachedError:
            return []

    [result] = eventually(found, timeout=SECONDS)
    assert isinstance(result, list)
    return result


def said(graphs: dict[str, str], union: bool = False) -> list[str]:
    found = [
        (*([] if union else [graph]), *(term[1:-1] for term in line.split()[:3:2]))
        for graph, text in graphs.items()
        for line in text.splitlines()
    ]
    return sorted(",".join(row) for row in (set(found) if union else found))


def kill(view: View) -> None:
    processes = view._processes
    for one in [processes._store, processes._template] if isinstance(processes, DiskTemplate) else [processes]:
        assert isinstance(one, _StoreProcess)
        if isinstance(one._worker._process, subprocess.Popen):
            os.kill(one._worker._process.pid, signal.SIGKILL)


def halt(view: View) -> None:
    """End the view's thread, so that only queries change the view."""
    view._stop.set()
    view._demand.set()
    assert view._thread
    view._thread.join()
    view._stop.clear()


class Compared(dict[str, str]):
    """Contents that count how often they are compared."""

    times = 0

    def __eq__(self, other: object) -> bool:
        self.times += 1
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def kill_evaluator(view: View) -> None:
    view._all[0].kill()
    eventually(lambda: not view._all[0].is_alive(), timeout=SECONDS)


@pytest.mark.parametrize("seed", range(2))
def test_after_any_changes_and_ends_of_processes_it_shows_the_graphs_as_they_are(
    seed: int, view: View, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.view.view._MOST_ENDS", 100)
    chance, seen = random.Random(seed), set[str]()
    view.follow(catalogue.snapshot)
    for step in range(6):
        for _ in range(chance.randint(1, 3)):
            graph, triples = f"urn:g{chance.randint(0, 3)}", "".join(chance.sample(TRIPLES, chance.randint(1, 3)))
            kind = chance.choice(["place", "place", "place", "withdraw", "own", "disown"])
            if kind == "place" and graph not in catalogue.own:
                catalogue.placed[graph] = triples
            elif kind == "withdraw":
                catalogue.placed.pop(graph, None)
            elif kind == "own" and graph not in seen:  # a graph that was placed may have become a provider's
                catalogue.placed.pop(graph, None)
                catalogue.own[graph] = triples
                seen.add(graph)
            elif kind == "disown":
                catalogue.own.pop(graph, None)
        if chance.random() < 0.3:
            kill(view)
        if chance.random() < 0.3:
            kill_evaluator(view)
        everything = {**catalogue.placed, **catalogue.own}
        assert in_the_end(view, catalogue) == said(everything), step
        assert in_the_end(view, catalogue, UNION) == said(everything, union=True), step


def test_a_query_brings_a_few_changes_itself(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    view.follow(catalogue.snapshot)
    assert in_the_end(view, catalogue) == said(catalogue.placed)
    halt(view)
    catalogue.placed = {"urn:h": TRIPLES[1]}
    assert rows(view, catalogue.snapshot()) == said(catalogue.placed)


def test_until_it_is_complete_it_does_not_answer(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    with pytest.raises(NotCachedError, match="being built, 0 of 0"):
        rows(view, catalogue.snapshot())
    catalogue.forgotten.add(TRIPLES[1])
    catalogue.placed["urn:h"] = TRIPLES[1]
    view.follow(catalogue.snapshot)
    eventually(lambda: view.progress.graphs == 1, timeout=SECONDS)
    with pytest.raises(NotCachedError, match="1 of 2 graphs"):
        rows(view, catalogue.snapshot())
    catalogue.forgotten.clear()
    assert in_the_end(view, catalogue) == said(catalogue.placed)


def test_a_content_that_is_not_known_any_more_is_not_replaced_by_an_older_one(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    view.follow(catalogue.snapshot)
    assert in_the_end(view, catalogue) == said(catalogue.placed)
    catalogue.forgotten.add(TRIPLES[1])
    catalogue.placed["urn:g"] = TRIPLES[1]
    with pytest.raises(NotCachedError, match="descriptions have changed"):
        rows(view, catalogue.snapshot())


def test_graphs_of_providers_that_cannot_be_fetched_keep_it_from_answering(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    catalogue.own["urn:own"] = TRIPLES[1]
    catalogue.fails = True
    view.follow(catalogue.snapshot)
    eventually(lambda: view.progress.graphs == 1, timeout=SECONDS)
    with pytest.raises(NotCachedError):
        rows(view, catalogue.snapshot())


def test_graphs_of_providers_count_for_some_time_only(view: View, catalogue: Catalogue) -> None:
    catalogue.own["urn:own"] = TRIPLES[1]
    view.follow(catalogue.snapshot)
    assert in_the_end(view, catalogue) == said(catalogue.own)
    halt(view)
    catalogue.own["urn:own"] = TRIPLES[2]
    view._until = 0.0
    with pytest.raises(NotCachedError, match="fetched again"):
        rows(view, catalogue.snapshot())
    view.follow(catalogue.snapshot)
    assert in_the_end(view, catalogue) == said(catalogue.own)


def test_while_a_node_has_not_listed_its_graphs_it_does_not_answer(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    view.follow(catalogue.snapshot)
    in_the_end(view, catalogue)
    with pytest.raises(NotCachedError, match="has not listed"):
        rows(view, Snapshot((), contents=dict(catalogue.placed), untracked=None))


def test_beyond_its_bound_it_goes_off_and_says_so(catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    reasons: list[str] = []
    is_off = threading.Event()

    def on_off(reason: str) -> None:
        reasons.append(reason)
        is_off.set()

    view = made(catalogue, max_bytes=1, on_off=on_off)
    try:
        view.follow(catalogue.snapshot)
        assert is_off.wait(SECONDS)
        with pytest.raises(NotCachedError, match="GATEWAY_VIEW_BYTES"):
            rows(view, catalogue.snapshot())
        assert view.progress.state == "off"
        assert len(reasons) == 1
    finally:
        view.close()


def test_beyond_its_bound_it_goes_on_from_the_disk(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.placed = {"urn:g0": TRIPLES[0], "urn:g1": TRIPLES[1]}
    reasons: list[str] = []
    view = made(catalogue, max_bytes=1, overflow=str(tmp_path), on_overflow=reasons.append)
    try:
        view.follow(catalogue.snapshot)
        assert in_the_end(view, catalogue) == said(catalogue.placed)
        catalogue.placed["urn:g1"] = TRIPLES[2]
        assert in_the_end(view, catalogue) == said(catalogue.placed)
        assert [reason.partition(",")[0] for reason in reasons] == ["it takes more than GATEWAY_VIEW_BYTES"]
    finally:
        view.close()


@pytest.mark.parametrize("trouble", ["graphs of providers", "the catalogue"])
def test_no_evaluator_is_forked_while_it_goes_off(
    catalogue: Catalogue, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(graphs: frozenset[str]) -> MergedQuads:
        raise TooLargeError("too many triples")

    def broken(avoided: frozenset[str]) -> Snapshot:
        raise RuntimeError("a bug")

    view = made(catalogue)
    is_locked, end = list[bool](), view._processes.end

    def noting_end() -> None:
        is_locked.append(view._changing.locked())
        end()

    monkeypatch.setattr(view._processes, "end", noting_end)
    monkeypatch.setattr(view, "_fetch", fetch)
    catalogue.own["urn:own"] = TRIPLES[0]
    view.follow(catalogue.snapshot if trouble == "graphs of providers" else broken)
    eventually(lambda: view.progress.state == "off", timeout=SECONDS)
    view.close()
    assert is_locked
    assert all(is_locked)


def test_a_query_that_a_stop_ends_is_not_blamed(view: View, catalogue: Catalogue) -> None:
    catalogue.placed = {f"urn:{n}": f"<urn:s{n}> <urn:p> <urn:o{n}> .\n" for n in range(500)}
    view.follow(catalogue.snapshot)
    in_the_end(view, catalogue)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(rows, view, catalogue.snapshot(), ENDLESS)
        eventually(view._idle.empty, timeout=SECONDS)
        view.close()
        with pytest.raises((ServerStoppingError, NotCachedError)):
            running.result()


def test_a_passing_error_of_the_catalogue_does_not_turn_it_off(view: View, catalogue: Catalogue) -> None:
    catalogue.placed = {"urn:g0": TRIPLES[0]}
    errors = [RuntimeError("the catalogue is changing"), KeyError("urn:g0")]

    def passing(avoided: frozenset[str]) -> Snapshot:
        if errors:
            raise errors.pop()
        return catalogue.snapshot(avoided)

    view.follow(passing)
    assert in_the_end(view, catalogue) == said(catalogue.placed)


def test_a_lasting_error_of_the_catalogue_turns_it_off(view: View, catalogue: Catalogue) -> None:
    def broken(avoided: frozenset[str]) -> Snapshot:
        raise RuntimeError("a bug")

    view.follow(broken)
    eventually(lambda: view.progress.state == "off", timeout=SECONDS)
    assert "a bug" in str(view.progress)


def test_iris_that_stand_for_blank_nodes_are_shown_as_such_but_not_within_texts(
    view: View, catalogue: Catalogue
) -> None:
    iri = f"<{skolem_iri('urn:g', 'c14n0')}>"
    catalogue.placed["urn:g"] = f'<urn:s> <urn:q> {iri} .\n{iri} <urn:q> "is {iri} .\\n" .\n'
    view.follow(catalogue.snapshot)
    text = "SELECT (isBlank(?b) AS ?is) (STRLEN(?l) AS ?n) { ?s <urn:q> ?b . ?b <urn:q> ?l FILTER(isIRI(?s)) }"
    assert in_the_end(view, catalogue, text) == [f"true,{len(iri) + 6}"]


def test_a_query_that_ends_its_evaluator_costs_the_others_nothing(view: View, catalogue: Catalogue) -> None:
    catalogue.placed["urn:g"] = TRIPLES[0]
    view.follow(catalogue.snapshot)
    in_the_end(view, catalogue)
    generation = view._generation
    kill_evaluator(view)
    assert in_the_end(view, catalogue) == said(catalogue.placed)
    assert view._generation == generation


def test_a_store_on_disk_is_there_again_after_a_restart_and_only_what_has_changed_is_read(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    catalogue.placed = {f"urn:g{n}": TRIPLES[n] for n in range(3)}
    catalogue.own["urn:own"] = TRIPLES[3]
    for changes in ({}, {"urn:g1": TRIPLES[3], "urn:g3": TRIPLES[0]}):
        view = made(catalogue, directory=str(tmp_path))
        catalogue.read.clear()
        catalogue.placed.update(changes)
        catalogue.placed.pop("urn:g0" if changes else "", None)
        try:
            view.follow(catalogue.snapshot)
            everything = {**catalogue.placed, **catalogue.own}
            assert in_the_end(view, catalogue) == said(everything)
            assert in_the_end(view, catalogue, UNION) == said(everything, union=True)
        finally:
            view.close()
    assert set(catalogue.read) == {"urn:g1", "urn:g3"}


def test_two_views_share_a_directory(view: View, catalogue: Catalogue, tmp_path: Path) -> None:
    other_catalogue = Catalogue()
    catalogue.placed["urn:g"], other_catalogue.placed["urn:g"] = TRIPLES[0], TRIPLES[1]
    other = made(other_catalogue, directory=str(tmp_path))
    try:
        view.follow(catalogue.snapshot)
        other.follow(other_catalogue.snapshot)
        assert in_the_end(view, catalogue) == said(catalogue.placed)
        assert in_the_end(other, other_catalogue) == said(other_catalogue.placed)
    finally:
        other.close()


def test_a_directory_that_cannot_be_used_turns_it_off_and_is_named(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    view = made(catalogue, directory=str(tmp_path / "file"))
    try:
        view.follow(catalogue.snapshot)
        eventually(lambda: view.progress.state == "off", timeout=SECONDS)
        assert str(tmp_path / "file") in str(view.progress)
    finally:
        view.close()


def test_what_comes_while_a_view_is_built_for_long_does_not_wait_for_a_query(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the start, when the nodes list their graphs while ten minutes of descriptions are loaded."""
    catalogue.placed = {"urn:g1": TRIPLES[1]}
    hours = iter(range(0, 3600 * 1000, 3600))
    monkeypatch.setattr("federation.view.view.time", SimpleNamespace(monotonic=lambda: float(next(hours))))
    monkeypatch.setattr("federation.view.view._LONGEST_REST", 0.01)
    unlisted = iter([True])

    def snapshot(avoided: frozenset[str]) -> Snapshot:
        found = catalogue.snapshot(avoided)
        return replace(found, untracked=None) if next(unlisted, False) else found

    view = made(catalogue)
    try:
        view.follow(snapshot)
        eventually(lambda: view.progress.state == "complete", timeout=SECONDS)
    finally:
        view.close()


def test_queries_compare_contents_once_where_only_places_of_graphs_have_changed(
    view: View, catalogue: Catalogue
) -> None:
    catalogue.placed = {f"urn:g{n}": TRIPLES[n] for n in range(2)}
    view.follow(catalogue.snapshot)
    in_the_end(view, catalogue)
    halt(view)
    contents = Compared(catalogue.placed)
    later = replace(catalogue.snapshot(), contents=contents)
    for _ in range(5):
        assert rows(view, later) == said(catalogue.placed)
    assert contents.times == 1
    catalogue.placed["urn:g2"] = TRIPLES[2]
    assert rows(view, catalogue.snapshot()) == said(catalogue.placed)
    assert rows(view, later) == said(catalogue.placed | {"urn:g2": ""})
