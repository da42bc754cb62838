"""Writes that go to a node in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from topology.clients.node import GraphWrite
from topology.records import Write

# Characters of one update; servers bound the size of requests.
_MOST_CHARACTERS = 200_000


def in_batches(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Group writes into updates of bounded size, in order, each graph once in one of them."""
    together: dict[str, Write] = {}
    characters = 0
    unfit: set[str] = set()  # what comes after an unfit write of a graph must not overtake it
    for write in writes:
        if write.graph in unfit or not GraphWrite(write.graph, write.triples).fits_update:
            unfit.add(write.graph)
            continue
        if write.graph in together or characters + len(write.triples) > _MOST_CHARACTERS:
            yield list(together.values())
            together, characters = {}, 0
        together[write.graph] = write
        characters += len(write.triples)
    if together:
        yield list(together.values())
