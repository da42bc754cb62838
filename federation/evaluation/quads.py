"""The reading of quads into stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import pyoxigraph
from pyoxigraph import NamedNode, Quad, RdfFormat, Store

from federation.errors import UnreadableQuadsError
from federation.fetching.terms import valid_iri


def read_quads(document: bytes) -> Iterator[Quad]:
    """Read N-Quads; blank nodes keep their labels.

    Raises:
        UnreadableQuadsError: The document is invalid.
    """
    parsed = pyoxigraph.parse(document, RdfFormat.N_QUADS, lenient=True, rename_blank_nodes=False)
    try:
        yield from parsed
    except SyntaxError as error:
        raise UnreadableQuadsError(str(error)) from error


def add_quads(store: Store, document: bytes) -> None:
    """Add N-Quads to a store; blank nodes keep their labels.

    The store's own reader takes half the time, but gives blank nodes other labels.

    Raises:
        UnreadableQuadsError: The document is invalid.
    """
    with_blank_nodes = b""
    if b"_:" in document:
        lines = document.split(b"\n")
        with_blank_nodes = b"\n".join(line for line in lines if b"_:" in line)
        document = b"\n".join(line for line in lines if b"_:" not in line)
    try:
        store.load(document, RdfFormat.N_QUADS, lenient=True)
    except SyntaxError as error:
        raise UnreadableQuadsError(str(error)) from error
    store.extend(read_quads(with_blank_nodes))


def add_graphs(store: Store, names: Iterable[str]) -> None:
    """Add named graphs, empty ones too."""
    for name in names:
        with suppress(ValueError):  # a graph whose name is no IRI exists through its quads only
            store.add_graph(NamedNode(valid_iri(name)))
