"""The reading of quads into stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import pyoxigraph
from pyoxigraph import NamedNode, Quad, RdfFormat, Store

from federation.errors import UnreadableQuadsError
from federation.fetching.terms import valid_iri

# pyoxigraph reads no longer statement.
_TOO_LONG = "buffer maximal size"


def read_quads(document: bytes) -> Iterator[Quad]:
    """Read N-Quads; blank nodes keep their labels.

    Raises:
        UnreadableQuadsError: The document is invalid, or has a quad of more than 16 MiB.
    """
    parsed = pyoxigraph.parse(document, RdfFormat.N_QUADS, lenient=True, rename_blank_nodes=False)
    try:
        yield from parsed
    except SyntaxError as error:
        raise UnreadableQuadsError(str(error)) from error
    except MemoryError as error:
        if _TOO_LONG not in str(error):
            raise
        raise UnreadableQuadsError("a quad has more than 16 MiB") from error


def add_graphs(store: Store, names: Iterable[str]) -> None:
    """Add named graphs, empty ones too."""
    for name in names:
        with suppress(ValueError):  # a graph whose name is no IRI exists through its quads only
            store.add_graph(NamedNode(valid_iri(name)))
