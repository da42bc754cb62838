"""The contents of offerings, which a gateway keeps in memory only where its view's disk does not have them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from topology import records
from topology.records import CompressedOffering, OfferingHead

Decode = Callable[[str, Any], OfferingHead | None]


class OfferingContents:
    """Decodes the rows of a table of ``catena.offerings``, and finds contents that it left out. May be used by many threads.

    To compress a content takes longer than all else. A view on disk that resumes has nearly all contents, so those are left
    out. The view may need one again all the same: its disk may be lost, or a graph may go and come
    back. Then the topic is read once more.

    Args:
        read_again: Reads the topic from its beginning to its end, by a function that decodes rows, and returns them.
    """

    def __init__(self, read_again: Callable[[Decode], Mapping[str, OfferingHead]]) -> None:
        self._read_again = read_again
        self._present: Mapping[str, str] = {}
        self._lock = threading.Lock()
        self._missing: dict[str, str] = {}
        self._found: dict[str, CompressedOffering] = {}

    def begin(self, present: Mapping[str, str]) -> None:
        """Leave out contents from now on that a view has.

        Args:
            present: The digests of the graphs that it has, by IRI; it must not change them before :meth:`complete`.
        """
        self._present = present

    def complete(self) -> None:
        """Leave out none any more: the table has been read, and the view begins to change."""
        self._present = {}

    def decode(self, address: str, value: Any) -> OfferingHead:
        """Decode a row of the table."""
        return records.read_compressed(address, value, self._present)

    def content(self, address: str, claim: OfferingHead) -> str | None:
        """Return the content of a row of the table; ``None`` until :meth:`read_missing` has found it."""
        if isinstance(claim, CompressedOffering):
            return claim.triples()
        with self._lock:
            found = self._found.get(address)
            if found is not None and found.digest == claim.digest:
                return found.triples()
            self._missing[address] = claim.digest
        return None

    def read_missing(self) -> None:
        """Read the topic again if contents were asked for that were left out."""
        with self._lock:
            missing = self._missing.copy()
        if not missing:
            return

        def decode(address: str, value: Any) -> OfferingHead | None:
            is_missing = address in missing and missing[address] == records.read_head(address, value).digest
            return records.read_compressed(address, value) if is_missing else None

        rows = self._read_again(decode)
        with self._lock:
            self._found.update({address: row for address, row in rows.items() if isinstance(row, CompressedOffering)})
            # Where the topic has another content by now, the table will have it, too.
            self._missing = dict(self._missing.items() - missing.items())
