"""What links tell each other, on the wire and back."""

from __future__ import annotations

from typing import Any

import pytest

from catena_core.errors import CodecError, InvalidParamsError, RPCError
from catena_core.rpc import messages
from catena_core.rpc.messages import HEADER, Alive, Failure, Gone, Reply, Request, Wire, read_envelope, to_wire

ENVELOPES: list[Any] = [
    Request("id", "Sorter", "sort", "me", "g", expires=12.5),
    Request("id", "broadcast", "sort", "me", "g"),
    Reply("id", "me"),
    Reply("id", "me", Failure(-32601, "no such method")),
    Alive("me", "g", "Sorter", "host", 1.5, asks=True),
    Gone("me", 1.5),
]


@pytest.mark.parametrize("envelope", ENVELOPES, ids=lambda envelope: type(envelope).__name__)
def test_an_envelope_is_read_as_it_was_written_without_its_value(envelope: Any) -> None:
    wire = to_wire(envelope)
    assert read_envelope(Wire(wire.headers, b"\xff not read")) == envelope


@pytest.mark.parametrize("content", [None, "text", b"\x00", 2**70, [(1, 2), {}], {"a": {3}}], ids=repr)
def test_arguments_and_results_come_back_as_they_were_sent(content: Any) -> None:
    assert to_wire(ENVELOPES[2], content).content() == content


def test_what_is_too_large_for_a_call_is_refused_with_advice() -> None:
    with pytest.raises(CodecError, match="send large data to a topic"):
        to_wire(ENVELOPES[0], bytes(messages.MAX_VALUE_BYTES + 1))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("other", b"{}")],
        [(HEADER, b"{")],
        [(HEADER, b'{"type":"unknown"}')],
        [(HEADER, b'{"type":"gone","uid":1}')],
        [(HEADER, b"[" * 60_000)],
        [(HEADER, b" " * 100_000)],
    ],
    ids=range(7),
)
def test_what_is_no_message_of_links_is_told_from_one(headers: list[tuple[str, bytes | None]]) -> None:
    with pytest.raises(CodecError, match="header rpc"):
        read_envelope(Wire(headers, None))


def test_a_failure_arrives_as_the_error_it_was() -> None:
    error = Failure.of(InvalidParamsError("no x")).error()
    assert (type(error), str(error)) == (InvalidParamsError, "no x")


def test_an_unknown_failure_is_an_error_of_calls_all_the_same() -> None:
    assert type(Failure(-1, "odd").error()) is RPCError


def test_a_long_reason_is_cut() -> None:
    assert len(Failure.of(RPCError("x" * 100_000)).message) == 10_000
