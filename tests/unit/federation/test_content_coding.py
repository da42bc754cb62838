"""Bodies are decompressed in pieces of bounded size, whatever the parts in which they come."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from federation.content_coding import CodingError, ContentDecoder

CONTENT = bytes(range(256)) * 4096
PACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip ", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda content: zlib.compress(content)[2:-4]),
    "identity": ("identity", bytes),
    "none": ("", bytes),
    "a charset in its place": ("UTF-8", bytes),
    "another of no content": ("gzip, aws-chunked", gzip.compress),
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", PACKS)
def test_decode_takes_parts_of_any_size(name: str, size: int) -> None:
    coding, pack = PACKS[name]
    body = pack(CONTENT)
    if size == 1:
        body = pack(CONTENT[:2000])
    decoder = ContentDecoder(coding)

    pieces = [piece for at in range(0, len(body), size) for piece in decoder.decode(body[at : at + size])]

    assert b"".join(pieces) == (CONTENT[:2000] if size == 1 else CONTENT)
    assert decoder.is_complete
    assert all(pieces)


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_decode_gives_small_pieces_of_a_bomb(name: str) -> None:
    coding, pack = PACKS[name]

    pieces = list(map(len, ContentDecoder(coding).decode(pack(bytes(9_999_999)))))

    assert sum(pieces) == 9_999_999
    assert max(pieces) <= 64 * 1024


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_is_complete_is_false_from_the_first_byte_to_the_last(name: str) -> None:
    coding, pack = PACKS[name]
    body = pack(CONTENT[:100])
    decoder = ContentDecoder(coding)
    assert decoder.is_complete

    for at in range(len(body)):
        list(decoder.decode(body[at : at + 1]))
        assert decoder.is_complete == (at == len(body) - 1)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress"])
def test_content_decoder_names_a_coding_that_it_does_not_read(coding: str) -> None:
    with pytest.raises(CodingError, match=coding):
        ContentDecoder(coding)


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(CONTENT)[:-8] + bytes(8), gzip.compress(b"x") + b"more"],
    # gzip writes the time, and the workers of a run must give a test one name.
    ids=["no gzip", "another checksum", "more after its end"],
)
def test_decode_something_else_raises(body: bytes) -> None:
    with pytest.raises(CodingError, match="gzip"):
        list(ContentDecoder("gzip").decode(body))
