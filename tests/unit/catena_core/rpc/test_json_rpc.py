"""JSON-RPC 2.0, by the examples of its specification and by what it leaves open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catena_core.errors import MethodNotFoundError
from catena_core.rpc.json_rpc import MAX_BATCH_LENGTH, respond


def run(method: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if method == "subtract":
        minuend, subtrahend = args or (kwargs["minuend"], kwargs["subtrahend"])
        return minuend - subtrahend
    if method == "unsendable":
        return object()
    raise MethodNotFoundError(f"no method {method}")


def answer(request: Any) -> Any:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    response = respond(body, run)
    return None if response is None else json.loads(response)


def call(**changes: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1, **changes}


@pytest.mark.parametrize("params", [[42, 23], {"subtrahend": 23, "minuend": 42}])
@pytest.mark.parametrize("request_id", [1, "a", 1.5, None])
def test_a_call_is_answered_under_its_id(params: Any, request_id: Any) -> None:
    assert answer(call(params=params, id=request_id)) == {"jsonrpc": "2.0", "result": 19, "id": request_id}


@pytest.mark.parametrize("method", ["subtract", "none", "unsendable"])
def test_a_notification_is_never_answered(method: str) -> None:
    request = call(method=method)
    del request["id"]
    assert answer(request) is None
    assert answer([request, request]) is None


@pytest.mark.parametrize(
    ("request_", "code", "request_id"),
    [
        (call(method="none"), -32601, 1),
        (call(method="unsendable"), -32603, 1),
        (call(method=1), -32600, 1),
        (call(params="bar"), -32600, 1),
        (call(jsonrpc="1.0"), -32600, 1),
        (call(id=[1]), -32600, None),
        (call(id=True), -32600, None),
        ("text", -32600, None),
        ([], -32600, None),
        ([call()] * (MAX_BATCH_LENGTH + 1), -32600, None),
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"\xff", -32700, None),
    ],
    ids=range(13),
)
def test_a_wrong_request_is_answered_with_its_code(request_: Any, code: int, request_id: Any) -> None:
    response = answer(request_)
    assert (response["error"]["code"], response["id"]) == (code, request_id)
    assert "result" not in response


def test_a_batch_is_answered_in_order_without_its_notifications() -> None:
    notification = call()
    del notification["id"]
    responses = answer([call(id=1), notification, 1, call(id=2, method="none")])
    assert [(response["id"], "result" in response) for response in responses] == [(1, True), (None, False), (2, False)]
