"""A ledger whose offerings come, change and go by a script, and the truth about them."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sandbox import made_up_offerings
from sandbox.booth import Booth, create_app
from sandbox.made_up_offerings import SandboxOffering
from sandbox.serve import Handler
from tests.chaos.nodes import VERSION
from tests.helpers.sandbox_servers import Sandbox, running

TEMPLATES = 50


@dataclass(frozen=True)
class Listed:
    """An offering on the ledger, in its newest version.

    Attributes:
        address: Its address.
        version: A number that no other version of any offering has.
        document: Its description.
        edited_at: When it was changed where it is, in seconds of the monotonic clock; 0: never. The fetcher learns of that
            at the next refresh only.
    """

    address: str
    version: int
    document: bytes
    edited_at: float = 0.0


@dataclass
class Misbehaviour:
    """Faults of the booth and the provider, each while it is set.

    Attributes:
        listing: ``"junk"``, ``"half"``, ``"empty"`` or ``"hang"``.
        hung: The share of descriptions whose requests get no answer.
        times: How many listings are wrong; ``None``: all.
    """

    listing: str = ""
    hung: float = 0.0
    times: int | None = None


class ChaosLedger:
    """A booth with its provider, changed by a script with a seed.

    Args:
        booth: The sandbox's booth.
        server: The same as a server.
        seed: Decides the changes.

    Attributes:
        newest: The offerings on the ledger, by graph IRI.
        ever: The versions that each graph ever had.
    """

    def __init__(self, booth: Booth, server: Sandbox, misbehaviour: Misbehaviour, seed: int) -> None:
        self.url = server.url
        self.newest: dict[str, Listed] = {}
        self.ever: dict[str, set[int]] = {}
        self.changes = 0
        self._booth = booth
        self._misbehaviour = misbehaviour
        self._random = random.Random(seed)
        self._templates = made_up_offerings.generate(TEMPLATES, seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def list_new(self) -> None:
        """List an offering that was never there."""
        number = next(self._numbers)
        template = self._templates[number % len(self._templates)]
        iri = f"{template.iri}-{number}"
        self._put(iri, made_up_offerings.address_of(iri), template, number)

    def edit(self) -> None:
        """Change a description where it is."""
        with self._lock:
            iri, listed = self._any()
            version = next(self._numbers)
            document = _with_version(listed.document, version)
            self._note(iri, Listed(listed.address, version, document, time.monotonic()))
            self._booth.replace_description(listed.address, document)

    def move(self) -> None:
        """Delist an offering and list a new one with its content, which is how providers edit."""
        self.delist()
        self.list_new()

    def delist(self) -> None:
        """Take an offering off the ledger."""
        with self._lock:
            iri, listed = self._any()
            del self.newest[iri]
            self._booth.delist(listed.address)

    def change(self) -> None:
        """Make one change of the script; the number of offerings stays about the same."""
        self._random.choice((self.list_new, self.edit, self.edit, self.move, self.delist))()
        self.changes += 1

    def copy(self) -> dict[str, Listed]:
        """Copy the truth of this moment."""
        with self._lock:
            return dict(self.newest)

    def misbehave(self, listing: str = "", hung: float = 0.0, times: int | None = None) -> None:
        """Set the faults of booth and provider; without arguments, be well."""
        faults = self._misbehaviour
        faults.listing, faults.hung, faults.times = listing, hung, times

    @property
    def misbehaves(self) -> bool:
        """True while the booth's listings are wrong."""
        return bool(self._misbehaviour.listing)

    def _put(self, iri: str, address: str, template: SandboxOffering, version: int) -> None:
        text = template.description.replace(f'"{template.iri}"'.encode(), f'"{iri}"'.encode())
        document = _with_version(text, version)
        with self._lock:
            self._note(iri, Listed(address, version, document))
            self._booth.list_offering(
                SandboxOffering(address, template.owner, f"{template.name} {version}", iri, document)
            )

    def _note(self, iri: str, listed: Listed) -> None:
        self.newest[iri] = listed
        self.ever.setdefault(iri, set()).add(listed.version)

    def _any(self) -> tuple[str, Listed]:
        return self._random.choice(list(self.newest.items()))


@contextmanager
def running_ledger(seed: int) -> Iterator[ChaosLedger]:
    """Run a ledger for the length of a block."""
    booths: list[Booth] = []
    misbehaviour = Misbehaviour()

    def make(origin: str) -> web.Application:
        booths.append(Booth([], origin))
        app = create_app(booths[0])
        app.middlewares.append(_misbehaving(misbehaviour))
        return app

    with running(make, "/api") as server:
        yield ChaosLedger(booths[0], server, misbehaviour, seed)


def _misbehaving(faults: Misbehaviour) -> Middleware:
    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        listing = request.path == "/api/offerings" and faults.listing
        if listing and faults.times is not None:
            faults.times -= 1
            if not faults.times:
                faults.listing = ""
        if listing == "junk":
            return web.Response(text="<html>the booth is being serviced</html>", content_type="text/html")
        if listing == "empty":
            return web.json_response({"addresses": []})
        if request.path.startswith("/descriptions/") and faults.hung:
            hung = hash_of(request.path) < faults.hung
            while hung and faults.hung:
                await asyncio.sleep(0.1)
        while listing == "hang" and faults.listing:
            await asyncio.sleep(0.1)
        answer = await handler(request)
        if listing == "half" and isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            addresses = msgspec.json.decode(answer.body)["addresses"]
            return web.json_response({"addresses": addresses[: len(addresses) // 2]})
        return answer

    return misbehave


def hash_of(path: str) -> float:
    """Return a number from 0 to 1 that belongs to a path."""
    return random.Random(path).random()


def _with_version(document: bytes, version: int) -> bytes:
    content = json.loads(document)
    content[VERSION] = str(version)
    return json.dumps(content, ensure_ascii=False).encode()
