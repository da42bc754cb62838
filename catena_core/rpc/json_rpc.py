"""JSON-RPC 2.0, from request bytes to response bytes (https://www.jsonrpc.org/specification)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from catena_core.errors import InternalError, InvalidRequestError, ParseError, RPCError

MAX_BATCH_LENGTH = 100

# Called with a method's name, its positional and its keyword arguments; raises RPCError.
Run = Callable[[str, list[Any], dict[str, Any]], Any]


def respond(body: bytes, run: Run) -> bytes | None:
    """Answer a request, or a batch of them, which is run in its order.

    Args:
        body: The bytes of the client.
        run: Runs one method.

    Returns:
        The bytes to send back; ``None`` if there were only notifications.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return failure(ParseError(str(error)))
    if not isinstance(request, list):
        return _respond_to_one(request, run)
    if not request:
        return failure(InvalidRequestError("a batch must hold at least one request"))
    if len(request) > MAX_BATCH_LENGTH:
        return failure(InvalidRequestError(f"a batch may hold {MAX_BATCH_LENGTH} requests, not {len(request)}"))
    responses = [response for item in request if (response := _respond_to_one(item, run)) is not None]
    return b"[" + b",".join(responses) + b"]" if responses else None


def failure(error: RPCError, request_id: str | int | float | None = None) -> bytes:
    """Make the response for an error.

    Args:
        error: The error; its text is the response's ``data``.
        request_id: The request's id, as far as it is known.
    """
    content = {"code": error.code, "message": error.title, "data": str(error)}
    return msgspec.json.encode({"jsonrpc": "2.0", "error": content, "id": request_id})


def _respond_to_one(request: Any, run: Run) -> bytes | None:
    request_id = None
    try:
        _check(request)
        request_id = request.get("id")
        params = request.get("params", [])
        args, kwargs = ([], params) if isinstance(params, dict) else (params, {})
        result = run(request["method"], args, kwargs)
        return _success(result, request_id) if "id" in request else None
    except InvalidRequestError as error:
        return failure(error, _readable_id(request))
    except RPCError as error:
        return failure(error, request_id) if "id" in request else None


def _check(request: Any) -> None:
    """Refuse a value that is no request.

    Raises:
        InvalidRequestError: It is none; the text says why.
    """
    if not isinstance(request, dict):
        raise InvalidRequestError("a request must be an object")
    if request.get("jsonrpc") != "2.0":
        raise InvalidRequestError('a request must have "jsonrpc": "2.0"')
    if not isinstance(request.get("method"), str):
        raise InvalidRequestError("a request must name its method, as a string")
    if not isinstance(request.get("params", []), list | dict):
        raise InvalidRequestError("params must be an array or an object, if there are any")
    if not _is_id(request.get("id")):
        raise InvalidRequestError("an id must be a string, a number or null")


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _readable_id(request: Any) -> str | int | float | None:
    found = request.get("id") if isinstance(request, dict) else None
    return found if _is_id(found) else None


def _success(result: Any, request_id: str | int | float | None) -> bytes:
    try:
        return msgspec.json.encode({"jsonrpc": "2.0", "result": result, "id": request_id})
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InternalError(f"the result cannot be sent as JSON: {error}") from error
