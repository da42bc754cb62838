"""A node's store: graphs are replaced whole, one write at a time, and outlive it in a directory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat

from sandbox.storage import GraphName, Storage

G, H, DEFAULT = NamedNode("urn:g"), NamedNode("urn:h"), DefaultGraph()
B = BlankNode("b")


def quads(graph: GraphName, *objects: str | BlankNode) -> list[Quad]:
    terms = [one if isinstance(one, BlankNode) else Literal(one) for one in objects]
    return [Quad(NamedNode("urn:s"), NamedNode("urn:p"), term, graph) for term in terms]


def held(storage: Storage, graph: GraphName) -> list[str]:
    """Return the objects in a graph; a blank node is ``_``."""
    found = storage.store.quads_for_pattern(None, None, None, graph)
    return sorted(quad.object.value if isinstance(quad.object, Literal) else "_" for quad in found)


@pytest.fixture
def storage() -> Iterator[Storage]:
    storage = Storage()
    yield storage
    storage.close()


@pytest.mark.parametrize("graph", [G, DEFAULT])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("a",)),
        (("a", "b"), ("b", "c")),
        (("a",), ()),
        (("a",), ("a",)),
        ((B, "a"), ("a", "c")),
        (("a",), (B,)),
        ((B,), (B, "a")),
        (('it\'s "odd" \\ \n }',), ("}",)),
    ],
)
def test_replace_leaves_in_a_graph_what_was_put_and_no_more(
    storage: Storage, graph: GraphName, before: tuple[str | BlankNode, ...], after: tuple[str | BlankNode, ...]
) -> None:
    other = H if graph is G else G
    storage.replace([(other, quads(other, "other")), (graph, quads(graph, *before))])

    storage.replace([(graph, quads(graph, *after))])

    assert held(storage, graph) == sorted("_" if one is B else str(one) for one in after)
    assert held(storage, other) == ["other"]


def test_replace_of_several_graphs_does_each(storage: Storage) -> None:
    storage.replace([(G, quads(G, "a")), (H, quads(H, "b", B))])
    storage.replace([(G, []), (H, quads(H, "c")), (DEFAULT, quads(DEFAULT, "d"))])

    assert (held(storage, G), held(storage, H), held(storage, DEFAULT)) == ([], ["c"], ["d"])


def test_replace_takes_away_what_blank_nodes_say(storage: Storage) -> None:
    storage.replace([(G, [Quad(B, NamedNode("urn:p"), Literal("a"), G), *quads(G, "b")])])
    storage.replace([(G, quads(G, "c"))])

    assert held(storage, G) == ["c"]


def test_graph_without_triples_does_not_exist(storage: Storage) -> None:
    storage.store.add_graph(G)
    storage.replace([(H, quads(H, "a")), (DEFAULT, quads(DEFAULT, "a"))])

    assert (storage.has_graph(G), storage.has_graph(H), storage.has_graph(DEFAULT)) == (False, True, True)
    assert storage.graphs() == ["urn:h"]


def test_dump_is_of_one_graph_or_of_all(storage: Storage) -> None:
    storage.replace([(H, quads(H, "b")), (G, quads(G, "a"))])

    assert storage.dump(RdfFormat.N_TRIPLES, G) == b'<urn:s> <urn:p> "a" .\n'
    assert sorted(storage.dump(RdfFormat.N_QUADS).splitlines()) == [
        b'<urn:s> <urn:p> "a" <urn:g> .',
        b'<urn:s> <urn:p> "b" <urn:h> .',
    ]


def test_store_in_a_directory_is_there_again_and_has_one_owner(tmp_path: Path) -> None:
    first = Storage(tmp_path)
    first.replace([(G, quads(G, "a"))])
    with pytest.raises(OSError, match="lock"):
        Storage(tmp_path)
    first.close()
    del first

    again = Storage(tmp_path)
    assert held(again, G) == ["a"]
    again.close()


def test_writes_wait_for_each_other_and_readers_do_not(storage: Storage) -> None:
    entered, leave = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        entered.set()
        assert leave.wait(120)
        done.append("first")

    async def run() -> None:
        first = asyncio.create_task(storage.write(slow))
        await asyncio.to_thread(entered.wait, 120)
        second = asyncio.create_task(storage.write(lambda: done.append("second"), quick=True))
        assert await storage.run(lambda: list(done)) == []
        assert await storage.run(lambda: list(done), quick=True) == []
        leave.set()
        await asyncio.gather(first, second)

    asyncio.run(run())
    assert done == ["first", "second"]


def test_write_that_fails_lets_the_next_one_in(storage: Storage) -> None:
    def fail() -> None:
        raise ValueError("no")

    async def run() -> str:
        with pytest.raises(ValueError, match="no"):
            await storage.write(fail)
        return await storage.write(lambda: "done")

    assert asyncio.run(run()) == "done"
