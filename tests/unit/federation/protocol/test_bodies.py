"""Bodies of requests are read up to a limit, whatever they say of their length."""

from __future__ import annotations

import io

import flask
import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from federation.protocol.bodies import read_body
from federation.protocol.problems import RequestTooLargeError, UnsupportedCodingError


class Stream(io.RawIOBase):
    """A stream that gives its bytes in small parts, and counts them."""

    def __init__(self, length: int, part: int = 7) -> None:
        self.left, self.part, self.given = length, part, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(self.left, self.part, size if size >= 0 else self.left)
        self.left, self.given = self.left - count, self.given + count
        return b"x" * count


def request(stream: Stream, length: int | None, **headers: str) -> flask.Request:
    environ = EnvironBuilder(method="POST", headers=Headers(headers)).get_environ()
    environ["wsgi.input"] = stream
    environ["wsgi.input_terminated"] = True
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    return flask.Request(environ)


@pytest.mark.parametrize("length", [0, 1, 99, 100])
@pytest.mark.parametrize("says_so", [True, False])
def test_read_body_returns_a_body_up_to_the_limit_whole(length: int, says_so: bool) -> None:
    assert read_body(request(Stream(length), length if says_so else None), 100) == b"x" * length


def test_read_body_refuses_a_longer_one_that_says_so_unread() -> None:
    stream = Stream(101)
    with pytest.raises(RequestTooLargeError, match="100 bytes"):
        read_body(request(stream, 101), 100)
    assert stream.given == 0


def test_read_body_reads_no_more_of_an_endless_one_than_shows_its_length() -> None:
    stream = Stream(10**9)
    with pytest.raises(RequestTooLargeError, match="100 bytes"):
        read_body(request(stream, None), 100)
    assert stream.given == 101


@pytest.mark.parametrize("coding", ["gzip", "br", " GZIP ", "identity, gzip"])
def test_read_body_refuses_a_compressed_one_unread(coding: str) -> None:
    stream = Stream(10)
    with pytest.raises(UnsupportedCodingError):
        read_body(request(stream, 10, **{"Content-Encoding": coding}), 100)
    assert stream.given == 0


@pytest.mark.parametrize("coding", ["identity", "Identity ", ""])
def test_read_body_takes_one_that_says_that_it_is_not_compressed(coding: str) -> None:
    assert read_body(request(Stream(10), 10, **{"Content-Encoding": coding}), 100) == b"x" * 10
