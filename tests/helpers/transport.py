"""Requests through the bounded transport, and answers in any bytes."""

from __future__ import annotations

from collections.abc import Callable

import pycurl
import requests

from federation.transport import Deadline, Session, TransportAdapter
from tests.helpers.odd_server import Handler

METADATA = "169.254.169.254"
LIMIT = 100_000


def get(session: Session, url: str, seconds: float = 5, **headers: str) -> requests.Response:
    return session.get(url, headers=headers, timeout=Deadline(seconds))  # type: ignore[arg-type]


def transport_of(session: Session) -> TransportAdapter:
    adapter = session.get_adapter("http://any/")
    assert isinstance(adapter, TransportAdapter)
    return adapter


def resolving(session: Session, *names: str) -> None:
    """Let names stand for addresses, each as ``name:port:address,address``."""
    transport = transport_of(session)
    for name in names:
        host, port, _ = name.split(":", 2)
        for server in (("http", host), ("http", f"{host}:{port}"), ("https", f"{host}:{port}")):
            handle = transport._take(server)
            handle.setopt(pycurl.RESOLVE, [name])
            transport._keep(server, handle)


def raw(*parts: bytes, pause: float = 0.0, for_ever: bytes = b"") -> Callable[[Handler], None]:
    """Send these bytes, then others again and again, and close the connection."""

    def answer(request: Handler) -> None:
        for part in parts:
            request.wfile.write(part)
            request.wfile.flush()
        while for_ever and not request.server.odd.stopping.wait(pause):
            request.wfile.write(for_ever)
            request.wfile.flush()
        request.close_connection = True

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
