"""Faults on demand: a server that is slow, fails now and then, or hangs, when a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Annotated

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sandbox.serve import Handler, json_response
from topology.json_errors import NOT_JSON


class Faults(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What goes wrong, as `PUT /faults` states it in JSON; `{}` is a server in good health."""

    delay: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    """Seconds that each request waits before it is served."""
    error_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    """The share of requests that are answered with `status` instead."""
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    hang: bool = False
    """Requests get no answer until the faults are changed."""
    paths: tuple[str, ...] = ("/",)
    """The beginnings of the paths that this is about."""


class FaultInjection:
    """Holds a server's faults: a middleware that applies them, and the `/faults` endpoint that shows and sets them."""

    def __init__(self, applies_to: Callable[[web.Request], bool]) -> None:
        """`applies_to` tells the requests that may be made to fail; `/faults` itself never is."""
        self._applies_to = applies_to
        self._healthy = Faults()
        self._faults = self._healthy
        self._changed = asyncio.Event()
        self._random = Random(0)

    def routes(self) -> list[web.RouteDef]:
        """GET and PUT of `/faults`."""
        return [web.get("/faults", self._show), web.put("/faults", self._set)]

    def middleware(self) -> Middleware:
        """Lets requests through, late, or not at all."""

        @web.middleware
        async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._faults is not self._healthy and self._is_hit(request):
                await self._suffer(self._faults)
            return await handler(request)

        return inject

    def _is_hit(self, request: web.Request) -> bool:
        path = request.path
        return path != "/faults" and path.startswith(self._faults.paths) and self._applies_to(request)

    async def _suffer(self, faults: Faults) -> None:
        if faults.hang:
            await self._changed.wait()
        if faults.delay:
            await asyncio.sleep(faults.delay)
        if self._random.random() < faults.error_rate:
            refusal = web.HTTPException(text="This failure was asked for at /faults.")
            refusal.set_status(faults.status)
            raise refusal

    async def _show(self, request: web.Request) -> web.Response:
        return json_response(self._faults)

    async def _set(self, request: web.Request) -> web.Response:
        try:
            faults = msgspec.json.decode(await request.read(), type=Faults)
        except NOT_JSON as error:
            raise web.HTTPBadRequest(text=f"Not faults: {error}.")
        self._faults = self._healthy if faults == self._healthy else faults
        self._changed.set()
        self._changed = asyncio.Event()
        return json_response(self._faults)
