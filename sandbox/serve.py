"""The common parts of the sandbox servers: JSON answers, start, announcement and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import click
import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STOP_WITHIN = 0.5
"""Seconds that requests under way may take to finish when the server stops."""


def json_response(value: Any, status: int = 200) -> web.Response:
    """Make a JSON response of any value that msgspec encodes."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal with `{"status": "error", "message": …}` and its HTTP status."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        answer = json_response({"status": "error", "message": refusal.text or refusal.reason}, refusal.status)
        if "Allow" in refusal.headers:
            answer.headers["Allow"] = refusal.headers["Allow"]
        return answer


def listen(host: str, port: int) -> socket.socket:
    """Open a listening TCP socket.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Raises:
        click.ClickException: The address is not available; the message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise click.ClickException(f"Cannot listen on {host}:{port}: {reason}. Choose another --port, or 0.")


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket on this machine, such as `http://127.0.0.1:8085`."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: web.Application, listening: socket.socket, announcement: str) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: The application.
        listening: The socket.
        announcement: A line to print once the server answers.
    """
    asyncio.run(_serve(app, listening, announcement))
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        # A running query cannot be interrupted, and a normal exit would wait for its thread.
        os._exit(0)


async def _serve(app: web.Application, listening: socket.socket, announcement: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_WITHIN)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        print(announcement, flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
