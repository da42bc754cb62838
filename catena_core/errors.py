"""The errors that links raise and meet."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import ClassVar


def described(error: BaseException) -> str:
    """Describe an error for a log as ``repr`` does, even one whose own methods raise.

    Args:
        error: The error.
    """
    return _first_that_works(error, repr, str)


def message_of(error: BaseException) -> str:
    """Give the text of an error as ``str`` does, even of one whose own methods raise.

    Args:
        error: The error.
    """
    return _first_that_works(error, str, repr)


def _first_that_works(error: BaseException, *printers: type[str] | Callable[[object], str]) -> str:
    for printer in printers:
        try:
            return printer(error)
        except BaseException:  # the next one may do
            continue
    return f"{type(error).__name__}, which cannot be printed"


class CatenaError(Exception):
    """The root of all errors of the library."""


class UsageError(CatenaError):
    """A link was set up in a way that cannot work; the message names one that does."""


class RejectedError(CatenaError):
    """Raised by a transform for an electron that can never succeed.

    It goes to the dead letters at once, without the retries that other errors are given.
    """


class StoppedError(CatenaError):
    """Raised where work is cut short because the link is stopping; its electron is delivered again later."""


class DeliveryError(CatenaError):
    """Kafka did not take a message that a link sent."""


class ReadingError(CatenaError):
    """Kafka lets a link read no more: it was fenced, may not read, or has no offset to begin from."""


class CodecError(CatenaError):
    """A value cannot be put on the wire, or bytes from the wire cannot be read."""


class RPCError(CatenaError):
    """A remote call failed; its kinds are those of JSON-RPC 2.0 (https://www.jsonrpc.org/specification#error_object).

    Args:
        message: The fault, and its remedy.

    Attributes:
        code: The number that JSON-RPC gives to errors of this kind.
        title: Their name in JSON-RPC.
    """

    code: ClassVar[int] = -32000
    title: ClassVar[str] = "Server error"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class ParseError(RPCError):
    """The received text is not JSON."""

    code = -32700
    title = "Parse error"


class InvalidRequestError(RPCError):
    """The received text is not a request."""

    code = -32600
    title = "Invalid Request"


class MethodNotFoundError(RPCError):
    """The callee has no such method, or has not marked it with ``@rpc``."""

    code = -32601
    title = "Method not found"


class InvalidParamsError(RPCError):
    """The arguments do not fit the method, or cannot be put on the wire."""

    code = -32602
    title = "Invalid params"


class InternalError(RPCError):
    """The method raised an error, or the callee could not run it."""

    code = -32603
    title = "Internal error"


class RPCTimeoutError(RPCError, builtins.TimeoutError):
    """No instance answered a call in time."""

    code = -32001
    title = "Timeout"


TimeoutError = RPCTimeoutError  # noqa: A001, RUF100  # its name until 0.1
