"""Decompression of HTTP bodies (RFC 9110, section 8.4.1).

libcurl could do it, but takes a compressed body that breaks off for a shorter one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
# The registered codings of contents (https://www.iana.org/assignments/http-parameters). Some servers name a charset in their
# place, or `aws-chunked`, and code nothing.
_REGISTERED = frozenset(["aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "zstd"])
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_PART = 64 * 1024


class CodingError(ValueError):
    """A body is not compressed as its server says."""


class ContentDecoder:
    """Decompresses a body as it arrives.

    Args:
        coding: The value of its ``Content-Encoding``; empty for none.

    Raises:
        CodingError: It is not one of those that are read.
    """

    def __init__(self, coding: str) -> None:
        named = (name.strip().lower().removeprefix("x-") for name in coding.split(","))
        self._coding = ", ".join(name for name in named if name in _REGISTERED)
        if self._coding not in ("", "gzip", "deflate"):
            raise CodingError(f"its content comes in the coding {coding.strip()[:100]!r}, which is not read")
        self._stream: zlib._Decompress | None = None

    @property
    def is_complete(self) -> bool:
        """True unless a compressed body has begun and not come to its end."""
        return self._stream is None or self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the content of the next part of the body, in pieces of bounded size.

        Raises:
            CodingError: The body is not compressed so.
        """
        if not self._coding:
            yield data
            return
        piece = b""
        while data or len(piece) == _PART:  # zlib may have taken all, and have more to give
            if self._stream is None or (self._stream.eof and data):
                self._stream = zlib.decompressobj(self._window(data[0]))
            try:
                piece = self._stream.decompress(data, _PART)
            except zlib.error as error:
                raise CodingError(f"its content is not in the coding {self._coding!r}: {error}") from error
            data = self._stream.unconsumed_tail or self._stream.unused_data
            if piece:
                yield piece

    def _window(self, first: int) -> int:
        """Return the format of a compressed stream; some servers send deflate without the header of zlib."""
        if self._coding == "gzip":
            return _GZIP
        return _ZLIB if first & 0x0F == zlib.DEFLATED else _RAW
