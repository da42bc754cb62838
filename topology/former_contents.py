"""The contents that Catena has put on nodes lately, by which it recognises graphs of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

_GRAPHS, _CONTENTS = 200_000, 8


class DigestReader(Protocol):
    """Reads graphs of one node, as :class:`~topology.clients.node.NodeClient` does."""

    def digests(self, graphs: Iterable[str], by_value: bool = False) -> dict[str, str]:
        """Return the digests of those of these graphs that the node holds, with literals by value if that is asked."""


class FormerContents:
    """Remembers the digests of each graph's last contents, on whichever node.

    A node that was set back to an old backup, or did not delete what it said it had, holds graphs whose placements are gone.
    Their contents tell that they are Catena's. May be used by many threads.
    """

    def __init__(self) -> None:
        self._digests: dict[str, tuple[bytes, ...]] = {}

    def note(self, graph: str, digest: str) -> None:
        """Remember a content; the oldest ones are forgotten.

        Args:
            graph: The graph's IRI.
            digest: The digest of its content, in hexadecimal; empty does nothing.
        """
        short, known = _short(digest), self._digests.get(graph, ())
        if not digest or short in known:
            return
        self._digests[graph] = (*known, short)[-_CONTENTS:]
        if len(self._digests) > _GRAPHS:
            self._digests.pop(next(iter(self._digests)), None)

    def recognises(self, graph: str, reader: DigestReader) -> bool:
        """Tell whether Catena once put the content there that a node shows, in whichever form the node keeps its literals.

        Raises:
            WebError: The node does not answer as it should.
        """
        forms = (reader.digests([graph], by_value).get(graph, "") for by_value in (False, True))
        return any(self.knows(graph, digest) for digest in forms)

    def knows(self, graph: str, digest: str) -> bool:
        """Tell whether Catena once put this content there."""
        return bool(digest) and _short(digest) in self._digests.get(graph, ())


def _short(digest: str) -> bytes:
    return digest.encode()[:32]
