"""The store of a view on disk: what it holds when it is opened again, whatever has happened to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyoxigraph import DefaultGraph, NamedNode, Store

from federation.errors import TooLargeError, UnreadableQuadsError
from federation.view.disk_store import DiskStore
from federation.view.messages import Change
from federation.view.store import ViewStore


def changed(**graphs: str) -> Change:
    """Give graphs one triple each, whose subject is their digest as well."""
    quads = "".join(f"<urn:{value}> <urn:p> <urn:o> <urn:{name}> .\n" for name, value in graphs.items())
    return Change({f"urn:{name}": value for name, value in graphs.items()}, quads.encode())


class Directory:
    """A directory with one store, which is closed before it is opened again, as by the end of its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = DiskStore(path, "1")

    def reopen(self, form: str = "1", meanwhile: Callable[[Path], object] = lambda place: None) -> None:
        del self.store
        meanwhile(self.path / "0")
        self.store = DiskStore(self.path, form)

    def held(self) -> dict[str, str]:
        """Return the subject in each named graph, in a copy; the default graph has all of them."""
        copy = Store(str(self.store.copy(0)))
        subjects = {quad.subject for quad in copy.quads_for_pattern(None, None, None, DefaultGraph())}
        named = [quad for quad in copy if isinstance(quad.graph_name, NamedNode)]
        assert subjects == {quad.subject for quad in named}
        return {str(quad.graph_name)[5:-1]: str(quad.subject)[5:-1] for quad in named}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    directory = Directory(tmp_path / "view")
    directory.store.change(changed(g="a", h="b"))
    return directory


def test_it_is_as_it_was_when_it_is_opened_again(directory: Directory) -> None:
    directory.store.change(changed(h="c", i="d"))
    directory.store.change(Change({}, removed=("urn:g",)))

    directory.reopen()

    assert directory.store.graphs == {"urn:h": "c", "urn:i": "d"}
    assert directory.held() == {"h": "c", "i": "d"}


def test_graphs_without_a_digest_go_when_it_is_opened_again(directory: Directory) -> None:
    directory.store.change(Change({"urn:own": ""}, b"<urn:x> <urn:p> <urn:o> <urn:own> .\n"))
    assert directory.held() == {"g": "a", "h": "b", "own": "x"}

    directory.reopen()

    assert directory.store.graphs == {"urn:g": "a", "urn:h": "b"}
    assert directory.held() == {"g": "a", "h": "b"}


class _CrashError(Exception):
    pass


@pytest.mark.parametrize("is_done", [False, True])
def test_a_change_that_breaks_off_leaves_no_graph_that_passes_for_right(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    apply = ViewStore.change

    def crash(view: ViewStore, change: Change) -> None:
        if is_done:
            apply(view, change)
        raise _CrashError

    monkeypatch.setattr(ViewStore, "change", crash)
    try:
        directory.store.change(changed(g="new", i="new"))
        pytest.fail("it should have broken off")
    except _CrashError:  # no traceback may hold the store open
        pass
    monkeypatch.setattr(ViewStore, "change", apply)

    directory.reopen()

    assert directory.store.graphs == {"urn:h": "b"}
    assert directory.held() == {"h": "b"}


def _no_database(place: Path) -> None:
    (place / "digests.sqlite").write_bytes(b"no database at all, and longer than the head of one would be" * 10)


def _lost_digests(place: Path) -> None:
    (place / "digests.sqlite").unlink()


def _lost_store(place: Path) -> None:
    shutil.rmtree(place / "store")


def _broken_store(place: Path) -> None:
    for path in (place / "store").glob("MANIFEST-*"):
        path.write_bytes(b"broken")


@pytest.mark.parametrize("damage", [_no_database, _lost_digests, _lost_store, _broken_store])
def test_a_damaged_store_starts_empty(directory: Directory, damage: Callable[[Path], None]) -> None:
    directory.reopen(meanwhile=damage)

    assert (directory.store.graphs, directory.held()) == ({}, {})
    directory.store.change(changed(g="a"))
    assert directory.held() == {"g": "a"}


def test_a_store_of_another_form_starts_empty(directory: Directory) -> None:
    directory.reopen("2")
    assert (directory.store.graphs, directory.held()) == ({}, {})

    directory.store.change(changed(g="a"))
    directory.reopen("2")
    assert directory.store.graphs == {"urn:g": "a"}


def test_invalid_quads_change_nothing(directory: Directory) -> None:
    with pytest.raises(UnreadableQuadsError):
        directory.store.change(Change({"urn:g": "new"}, b'<urn:s> <urn:p> "\\q" <urn:g> .\n'))
    assert directory.held() == {"g": "a", "h": "b"}


def test_a_disk_that_is_nearly_full_is_left_alone(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage(directory.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: real._replace(free=1000))
    with pytest.raises(TooLargeError, match="1000 bytes left"):
        directory.store.change(changed(g="new"))
    assert directory.held() == {"g": "a", "h": "b"}


def test_a_copy_stays_as_it_was_and_goes_when_its_evaluator_gets_another(directory: Directory) -> None:
    first, other = directory.store.copy(1), directory.store.copy(2)
    directory.store.change(changed(g="new"))
    second = directory.store.copy(1)
    assert (first.exists(), other.exists()) == (False, True)
    new = "ASK { GRAPH <urn:g> { <urn:new> ?p ?o } }"
    assert (bool(Store(str(other)).query(new)), bool(Store(str(second)).query(new))) == (False, True)


def test_each_store_has_a_place_of_its_own_and_a_free_one_is_taken_again(tmp_path: Path) -> None:
    first, second = DiskStore(tmp_path, "1"), DiskStore(tmp_path, "1")
    first.change(changed(g="a"))
    assert second.graphs == {}
    del first
    assert DiskStore(tmp_path, "1").graphs == {"urn:g": "a"}
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}
