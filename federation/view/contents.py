"""The contents of graphs, and how they become quads of a view's store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from federation.fetching.merge import MergedQuads, skolem_label

_BYTES_AT_ONCE = 8 * 1024 * 1024


class Contents(Protocol):
    """The descriptions that were placed."""

    def content(self, graph: str, digest: str) -> str | None:
        """Return the content of a graph.

        Args:
            graph: The graph's IRI.
            digest: The digest of the content.

        Returns:
            Canonical N-Triples; ``None`` if that content is not known any more.
        """


class ContentReader:
    """Reads contents as N-Quads, with blank nodes in place of the IRIs that stand for them.

    Args:
        contents: The descriptions that were placed.
        skolem: The prefix of IRIs that stand for blank nodes.
    """

    def __init__(self, contents: Contents, skolem: str) -> None:
        self._contents = contents
        self._skolem = b"<" + skolem.encode()

    def portions(self, graphs: Iterable[str], digests: Mapping[str, str]) -> Iterator[dict[str, bytes]]:
        """Read graphs whose contents are known, some at a time.

        Args:
            graphs: Their IRIs.
            digests: The digests of their contents, by IRI.

        Yields:
            N-Quads by graph.
        """
        portion: dict[str, bytes] = {}
        size = 0
        for graph in graphs:
            text = self._contents.content(graph, digests[graph])
            if text is None:
                continue  # a newer description is on its way to the nodes
            portion[graph] = self._as_quads(graph, text)
            size += len(portion[graph])
            if size > _BYTES_AT_ONCE:
                yield portion
                portion, size = {}, 0
        if portion:
            yield portion

    def _as_quads(self, graph: str, triples: str) -> bytes:
        """Write N-Triples as N-Quads, with blank nodes in place of the IRIs that stand for them."""
        document, end = triples.encode(), b" <%b> .\n" % graph.encode()
        if self._skolem not in document:
            return document.replace(b" .\n", end)
        return b"".join(self._shown_line(line) + end for line in document.split(b" .\n") if line)

    def _shown_line(self, line: bytes) -> bytes:
        if self._skolem not in line:
            return line
        subject, predicate, object_ = line.split(b" ", 2)
        return b" ".join((self._shown_term(subject), predicate, self._shown_term(object_)))

    def _shown_term(self, term: bytes) -> bytes:
        return b"_:" + skolem_label(term[len(self._skolem) : -1]) if term.startswith(self._skolem) else term


def by_graph(merged: MergedQuads) -> dict[str, bytes]:
    """Return the N-Quads of each graph."""
    lines: dict[bytes, list[bytes]] = {}
    for line in merged.named:
        lines.setdefault(line[line.rfind(b"\t") + 1 :], []).append(line)
    return {graph[1:-1].decode(): b" .\n".join([*those, b""]) for graph, those in lines.items()}
