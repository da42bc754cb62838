"""The messages of remote calls, and their form on the wire.

The envelope names the receiver and the kind of message. It is JSON in the header ``rpc``, so that other instances need not
read the value. Arguments and results are the value, in the wire format of electrons (:mod:`catena_core.wire.codec`), so they
come back as they were sent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from catena_core.errors import (
    CodecError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    MethodNotFoundError,
    ParseError,
    RPCError,
    RPCTimeoutError,
)
from catena_core.wire import codec
from catena_core.wire.message import Headers

HEADER = "rpc"
BROADCAST = "broadcast"

# Kafka takes 1 MiB for a batch by default; this leaves room for headers.
MAX_VALUE_BYTES = 900_000
_MAX_ENVELOPE_BYTES = 64 * 1024

_KINDS: dict[int, type[RPCError]] = {
    kind.code: kind
    for kind in (
        ParseError,
        InvalidRequestError,
        MethodNotFoundError,
        InvalidParamsError,
        InternalError,
        RPCTimeoutError,
    )
}


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A call, or a notification. Its value is ``[args, kwargs]``.

    Attributes:
        id: Tells it from all others, so that it is run once.
        to: An instance's uid, a class name, a consumer group, or ``"broadcast"``.
        method: The method's name.
        sender: The uid of the caller.
        group: The consumer group of the caller.
        expires: When the caller gives up, in seconds since 1970; ``None`` for a notification, which is not answered.
    """

    id: str
    to: str
    method: str
    sender: str
    group: str
    expires: float | None = None


class Failure(msgspec.Struct, frozen=True):
    """The failure of a call: an error's code and text."""

    code: int
    message: str

    @classmethod
    def of(cls, error: RPCError) -> Failure:
        """Make the failure of an error, for the caller."""
        return cls(error.code, str(error)[:10_000])

    def error(self) -> RPCError:
        """Make the error to raise at the caller's."""
        return _KINDS.get(self.code, RPCError)(self.message)


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """The answer to a call. Its value is the result.

    Attributes:
        id: That of the request.
        to: The uid of the caller.
        failure: The reason, if there is no result.
    """

    id: str
    to: str
    failure: Failure | None = None


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """A sign of life of an instance.

    Attributes:
        uid: Its uid.
        group: Its consumer group.
        kind: The name of its class.
        host: The name of its host.
        since: When it started, in seconds since 1970.
        asks: Whether all others are to send theirs, too.
    """

    uid: str
    group: str
    kind: str
    host: str
    since: float
    asks: bool = False


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The farewell of an instance that ends cleanly.

    Attributes:
        uid: Its uid.
        since: When it had started; one that was started again under its name is another.
    """

    uid: str
    since: float


Envelope = Request | Reply | Alive | Gone


class Wire(NamedTuple):
    """A message as it is in Kafka.

    Attributes:
        headers: Names and contents of its headers.
        value: Its value.
    """

    headers: Headers
    value: bytes | None

    def content(self) -> Any:
        """Read the value as it was sent.

        Raises:
            CodecError: It cannot be read.
        """
        content_type = _header(self.headers, codec.CONTENT_TYPE)
        return codec.decode(self.value, None if content_type is None else content_type.decode(errors="replace"))


def to_wire(envelope: Envelope, content: Any = None) -> Wire:
    """Put a message on the wire.

    Raises:
        CodecError: The content cannot be sent, or it is too large.
    """
    try:
        header = msgspec.json.encode(envelope)
    except UnicodeEncodeError as error:
        raise CodecError(f"a name is no Unicode: {error}") from error
    value, content_type = codec.encode(content)
    if len(header) > _MAX_ENVELOPE_BYTES or (value is not None and len(value) > MAX_VALUE_BYTES):
        raise CodecError(
            f"{len(value or b'')} bytes are too many for a remote call, which takes {MAX_VALUE_BYTES}; "
            "send large data to a topic"
        )
    headers: Headers = [(HEADER, header)]
    if content_type is not None:
        headers.append((codec.CONTENT_TYPE, content_type.encode()))
    return Wire(headers, value)


def read_envelope(wire: Wire) -> Envelope:
    """Read the envelope of a message, and leave its value alone.

    Raises:
        CodecError: It is no message of links.
    """
    header = _header(wire.headers, HEADER)
    if header is None or len(header) > _MAX_ENVELOPE_BYTES:
        raise CodecError(f"it has no header {HEADER} of at most {_MAX_ENVELOPE_BYTES} bytes")
    try:
        return _decoder.decode(header)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CodecError(f"its header {HEADER} cannot be read: {error}") from error


def _header(headers: Headers, name: str) -> bytes | None:
    return next((content for found, content in headers if found == name), None)


_decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)
