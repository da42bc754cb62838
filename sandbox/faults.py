"""Faults on demand: makes a server slow, failing or hanging when a test asks for it."""

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
    """The faults, as the JSON body of `PUT /faults`; `{}` means none."""

    delay: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    """Seconds that each request waits before it is served."""
    error_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    """The share of requests that get `status` as their answer."""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 503
    """A status below 400 pretends success: the request does nothing."""
    hang: bool = False
    """Requests get no answer until the faults are changed."""
    paths: tuple[str, ...] = ("/",)
    """The beginnings of the paths that the faults apply to."""
    methods: tuple[str, ...] = ()
    """The HTTP methods that they apply to; none means all."""


class FaultInjection:
    """A server's faults, with a middleware that applies them and a `/faults` endpoint that shows and sets them.

    Args:
        applies_to: Tells whether a request may fail; `/faults` itself never fails.
    """

    def __init__(self, applies_to: Callable[[web.Request], bool]) -> None:
        self._applies_to = applies_to
        self._healthy = Faults()
        self._faults = self._healthy
        self._changed = asyncio.Event()
        self._random = Random(0)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of `/faults`."""
        return [web.get("/faults", self._show), web.put("/faults", self._set)]

    def middleware(self) -> Middleware:
        """Return the middleware, which delays requests, answers with an error, or hangs."""

        @web.middleware
        async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._faults is not self._healthy and self._is_hit(request):
                await self._suffer(self._faults)
            return await handler(request)

        return inject

    def _is_hit(self, request: web.Request) -> bool:
        path, methods = request.path, self._faults.methods
        return (
            path != "/faults"
            and path.startswith(self._faults.paths)
            and (not methods or request.method in methods)
            and self._applies_to(request)
        )

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
