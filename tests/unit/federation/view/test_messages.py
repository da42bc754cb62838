"""The messages between a view and its processes: each comes out of MessagePack as it went in."""

from __future__ import annotations

import msgspec
import pytest

from federation.view.messages import (
    Change,
    Changed,
    Copied,
    Copy,
    Fork,
    Forked,
    Full,
    Open,
    Opened,
    Request,
    Response,
    Unreadable,
)


@pytest.mark.parametrize(
    "request_",
    [
        Open("/a/directory", "form"),
        Change({"urn:g": "digest", "urn:own": ""}, b"\xff", ("urn:h",)),
        Change({}),
        Copy(3),
        Fork(),
        Fork("/a/copy"),
    ],
)
def test_request_comes_as_it_was_sent(request_: Request) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request_), type=Request) == request_


@pytest.mark.parametrize(
    "response", [Opened({"urn:g": "digest"}), Changed(2**40), Unreadable("é"), Full("é"), Copied("/a/copy"), Forked(7)]
)
def test_response_comes_as_it_was_sent(response: Response) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(response), type=Response) == response
