"""The sandbox's servers in this process: cheap enough that every module has its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from aiohttp import web

from sandbox import booth as booths
from sandbox import made_up_offerings
from sandbox import node as nodes
from sandbox.serve import listen, url_of


class Sandbox:
    """A server that runs.

    Attributes:
        url: What a link is told: the API of a booth, the endpoint of a node.
        origin: The same without a path.
    """

    def __init__(self, origin: str, path: str) -> None:
        self.origin = origin
        self.url = origin + path

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> bytes:
        """One request; anything but bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(self.origin + path, data, {"Content-Type": content_type}, method=method)
        with urlopen(request, timeout=120) as answer:
            content: bytes = answer.read()
            return content

    def faults(self, **faults: Any) -> None:
        """Make it fail in some way; without arguments, be well again."""
        self.ask("PUT", "/faults", faults)


@contextmanager
def running_booth(count: int = 0, seed: int = 7, lenient: bool = False) -> Iterator[Sandbox]:
    """Run a booth with made-up offerings; a lenient one delists and replaces, too."""
    listed = made_up_offerings.generate(count, seed) if count else []
    with running(lambda url: booths.create_app(booths.Booth(listed, url), lenient=lenient), "/api") as server:
        yield server


@contextmanager
def running_node() -> Iterator[Sandbox]:
    """Run an empty catalogue node."""
    with running(lambda _url: nodes.create_app(), "/catalogue") as server:
        yield server


@contextmanager
def running(make: Callable[[str], web.Application], path: str) -> Iterator[Sandbox]:
    """Run an application in a thread of this process.

    Args:
        make: Makes it, given the server's origin.
        path: What follows the origin in its URL.
    """
    listening = listen("127.0.0.1", 0)
    origin = url_of(listening)
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(make(origin), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            ready.set()
            await stop.wait()
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(120), "the sandbox did not start"
        yield Sandbox(origin, path)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(120)
        loop.close()
