"""Serialised results, as a worker process writes and sends them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from federation.errors import NotAcceptableError, TooLargeError

_PART_BYTES = 256 * 1024
_XML = ("application/rdf+xml", "application/sparql-results+xml")
_NOT_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
# pyoxigraph writes this, with an empty local name, for predicates and classes that do not end in an XML name.
_NO_LOCAL_NAME = b"<oxprefix: "


class ResultOutput(io.BytesIO):
    """A file of bounded size that pyoxigraph writes a result to. It sends the parts of a large one.

    Args:
        media_type: The format, by pyoxigraph's name.
        max_bytes: The largest acceptable result.
        stream_from: The bytes that it takes before it sends a part; 0: it sends none.
        send: Sends a part.
    """

    def __init__(self, media_type: str, max_bytes: int, stream_from: int, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._is_xml = media_type in _XML
        self._left = max_bytes
        self._room = stream_from
        self._send = send

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take some bytes.

        Raises:
            TooLargeError: The result is larger than acceptable.
            NotAcceptableError: The result cannot be written in this format.
        """
        self._left -= len(data)
        if self._left < 0:
            raise TooLargeError("the result is larger than one query may have; ask for less, for instance with LIMIT")
        super().write(data)
        if 0 < self._room <= self.tell():
            self._send(self._taken(len(_NO_LOCAL_NAME) - 1))
            self._room = _PART_BYTES
        return len(data)

    def rest(self) -> bytes:
        """Return everything that it has not sent.

        Raises:
            NotAcceptableError: The result cannot be written in this format.
        """
        return self._taken(0)

    def _taken(self, kept: int) -> bytes:
        """Take out what it holds, of XML all but the last bytes, which may begin something that parsers would not read."""
        held = self.getvalue()
        self.seek(0)
        self.truncate()
        if not self._is_xml:
            return held
        if _NO_LOCAL_NAME in held:
            raise NotAcceptableError(
                "a predicate or a class of this graph cannot be written in RDF/XML; ask for another format"
            )
        if found := _NOT_IN_XML.search(held):
            character = ord(found[0].decode())
            raise NotAcceptableError(
                f"the answer has the character U+{character:04X}, which XML cannot hold; ask for JSON"
            )
        end = len(held) - kept
        super().write(held[end:])
        return held[:end].replace(b"\r", b"&#13;")  # parsers replace it by the end of a line
