"""Connections to clients: answers that break off, and clients that do not take theirs.

An answer waits for its client in a file, so a slow client holds neither a thread nor an evaluator.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import ErrorTask, WSGITask

from catena_core.text import printable
from federation.errors import FederationError, QueryCancelledError, TooBusyError
from federation.protocol.bodies import too_large
from federation.protocol.problems import problem
from topology.gateway.api.app import MAX_REQUEST_BYTES
from topology.gateway.api.browsers import keep_browser_safe
from topology.gateway.api.cors import let_pages_read

# Bytes that a client takes in a second, at least; a modem of 1998 took a third of it.
_LEAST_RATE = 16 * 1024
_CHECK_EVERY = 0.1
# Seconds for which a client may go on with a request that is refused, and bytes. The system resets a connection that is closed
# before all of its bytes were read, and the client then loses the refusal.
_LINGER_SECONDS = 30.0
_MOST_LINGER_BYTES = 64 * 1024 * 1024
# A record of a handshake, in any version of TLS (RFC 8446, section 5.1); no method of HTTP begins so.
_TLS_HANDSHAKE = b"\x16\x03"
_NO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port speaks HTTP without TLS: use http://, or put a proxy in front of it\n"
)


class Patience(NamedTuple):
    """The most that clients may let an answer wait.

    Attributes:
        seconds: How often a client must have taken some of its answer, 16 KiB for each second.
        waiting_bytes: The bytes that may wait for all clients together before large answers pause.
        on_break: Called with the reason when an answer breaks off and its client has not gone.
    """

    seconds: float
    waiting_bytes: int
    on_break: Callable[[str], None]


class AnswerTask(WSGITask):
    """One request. Its answer may break off after the status was sent: the client must not take it for whole."""

    channel: Connection

    def execute(self) -> None:
        """Send the answer; where it breaks off, let the connection end without the last chunk."""
        try:
            super().execute()
        except FederationError as error:
            if not isinstance(error, QueryCancelledError):
                asked = self.environ or {}
                self.channel.patience.on_break(
                    f"the answer to {asked.get('REQUEST_METHOD')} {printable(asked.get('PATH_INFO', ''))} broke off after "
                    f"{self.content_bytes_written} bytes: {error}"
                )
            raise ClientDisconnected from error

    def write(self, data: bytes) -> None:
        """Send a part of the answer.

        Raises:
            TooBusyError: Clients have not taken their answers for too long.
        """
        if self.wrote_header:
            self.channel.wait_for_room()
        super().write(data)
        if self.chunked_response:
            self.content_bytes_written += len(data)

    def finish(self) -> None:
        """End the answer; that to HEAD has no chunks."""
        if not self.wrote_header:
            self.write(b"")
        if self.environ and self.environ["REQUEST_METHOD"] == "HEAD":
            self.chunked_response = False
        super().finish()


class RefusalTask(ErrorTask):
    """A request that the server refuses before the application sees it: the client gets the same kind of error."""

    channel: Connection

    def execute(self) -> None:
        """Send the error, and end the connection."""
        error: Any = self.request.error  # type: ignore[attr-defined]  # the stubs confuse the two
        status = HTTPStatus(error.code)
        if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            detail = too_large(MAX_REQUEST_BYTES)
        elif status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            most = self.channel.adj.max_request_header_size
            detail = (
                f"the address and the headers have more than the {most} bytes that are read; send the query with POST"
            )
        else:
            detail = f"this is no request in HTTP/1.1 that can be answered: {printable(str(error.body))}"
        response = keep_browser_safe(let_pages_read(problem(status, detail)))
        body = response.get_data()
        self.status = response.status
        self.response_headers = response.headers.to_wsgi_list()
        self.content_length = len(body)
        self.set_close_on_finish()
        self.write(body)

    def finish(self) -> None:
        """Let the client end the connection, unless it has sent all of its request and the application failed."""
        super().finish()
        if self.channel.requests[0].error:
            self.channel.linger()
            self.close_on_finish = False


class Connection(HTTPChannel):
    """A connection to a client.

    Args:
        args: As of waitress.
        patience: How long it waits for its client.
        further: As of waitress.
    """

    task_class = AnswerTask
    error_task_class = RefusalTask

    def __init__(self, *args: Any, patience: Patience, **further: Any) -> None:
        self.patience = patience
        self._since = 0.0
        self._taken = 0
        self._lingers_until = 0.0
        self._passed_over = 0
        super().__init__(*args, **further)

    def received(self, data: bytes) -> bool:
        """Take what a client sends, and pass over the rest of a request that is refused.

        A client that speaks TLS is answered at once, since it waits for a handshake.
        """
        if self._lingers_until or any(request.error for request in list(self.requests)):
            self._passed_over += len(data)
            self.will_close |= self._passed_over > _MOST_LINGER_BYTES
            return False
        if self.request is None and data.startswith(_TLS_HANDSHAKE):
            self.write_soon(_NO_TLS)
            self.close_when_flushed = True
            return False
        return bool(super().received(data))

    def linger(self) -> None:
        """Read on for a while after a refusal: a client may send all of its request before it reads the answer."""
        self._lingers_until = time.monotonic() + _LINGER_SECONDS

    def readable(self) -> bool:
        """Return whether to read from the client; end the connection to one that goes on for long with a refused request."""
        if self._lingers_until and not self.total_outbufs_len and self.socket:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            self.will_close |= time.monotonic() > self._lingers_until
        return bool(super().readable())

    def write_soon(self, data: Any) -> int:
        """Take a part of an answer, which waits until the client takes it."""
        if not self.total_outbufs_len:
            self._since, self._taken = time.monotonic(), 0
        return int(super().write_soon(data))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes."""
        taken = int(super().send(data, do_close))
        self._taken += taken
        return taken

    def writable(self) -> bool:
        """Return whether something waits for the client; give up one that takes too long."""
        if not self.total_outbufs_len or self.will_close:
            return bool(super().writable())
        self.last_activity = time.time()  # else the server closes it without a word, as an idle one
        seconds = time.monotonic() - self._since
        if seconds > self.patience.seconds:
            if self._taken < _LEAST_RATE * seconds:
                self.will_close = True
                self.patience.on_break(
                    f"the client at {self.addr[0]} took {self._taken} bytes of its answer in {seconds:.0f} s, "
                    f"{self.total_outbufs_len} are left: the connection is closed"
                )
                if self.socket:
                    with suppress(OSError):
                        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop, which closes it
            self._since, self._taken = time.monotonic(), 0
        return True

    def wait_for_room(self) -> None:
        """Wait while too much waits for clients.

        Raises:
            TooBusyError: That took too long.
        """
        deadline = time.monotonic() + self.patience.seconds
        while self.connected and self._all_waiting() > self.patience.waiting_bytes:
            if time.monotonic() > deadline:
                raise TooBusyError("clients take their answers too slowly, and there is no room for more")
            time.sleep(_CHECK_EVERY)

    def _all_waiting(self) -> int:
        channels: dict[int, HTTPChannel] = self.server.active_channels  # type: ignore[assignment]
        return sum(channel.total_outbufs_len for channel in list(channels.values()))
