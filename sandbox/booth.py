"""The sandbox's DLT-Booth and provider in one server: it lists offerings as the ledger does, and serves descriptions.

python -m sandbox.booth --port 8085 --count 100
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec
from aiohttp import ETag, web

from sandbox import made_up_offerings
from sandbox.faults import FaultInjection
from sandbox.made_up_offerings import SandboxOffering
from sandbox.serve import errors_as_json, json_response, listen, run, url_of
from topology.json_errors import NOT_JSON

MEBIBYTE = 1024 * 1024


class LedgerRecord(msgspec.Struct, frozen=True):
    """The ledger's entry of an offering, as `GET /api/offerings/<address>` returns it."""

    address: str
    descriptionUri: str
    descriptionHash: str
    """SHA-256 of the description's bytes, in hexadecimal."""
    owner: str
    name: str


class Registration(msgspec.Struct, frozen=True):
    """The JSON body of `POST /api/offerings`, for an offering whose description another provider serves."""

    descriptionUri: str
    owner: str
    name: str
    descriptionHash: str = ""


@dataclass(frozen=True)
class ServedDocument:
    """A JSON-LD document with its entity tag."""

    document: bytes
    etag: str


class Booth:
    """The ledger's records and the provider's descriptions, by ledger address, as bytes ready to send.

    Args:
        listed: The offerings to list at first.
        url: The base of the descriptions' URLs, without a slash at the end.
    """

    def __init__(self, listed: list[SandboxOffering], url: str) -> None:
        self._url = url
        self._records: dict[str, bytes] = {}
        self._descriptions: dict[str, ServedDocument] = {}
        self._listing: bytes | None = None
        for offering in listed:
            self.list_offering(offering)

    def listing(self) -> bytes:
        """Return `{"addresses": […]}` in the order of listing."""
        if self._listing is None:
            self._listing = msgspec.json.encode({"addresses": list(self._records)})
        return self._listing

    def record(self, address: str) -> bytes:
        """Return the LedgerRecord in JSON.

        Raises:
            KeyError: Nothing is listed at the address.
        """
        return self._records[address]

    def description(self, address: str) -> ServedDocument:
        """Return the description at the address.

        Raises:
            KeyError: There is none.
        """
        return self._descriptions[address]

    def list_offering(self, offering: SandboxOffering) -> str:
        """List an offering, serve its description, and return its address."""
        digest = self._serve(offering.address, offering.description)
        uri = f"{self._url}/descriptions/{offering.address}"
        return self._list(LedgerRecord(offering.address, uri, digest, offering.owner, offering.name))

    def register(self, registration: Registration) -> str:
        """List an offering that is described elsewhere, and return its address."""
        return self._list(
            LedgerRecord(
                self.free_address(registration.descriptionUri),
                registration.descriptionUri,
                registration.descriptionHash,
                registration.owner,
                registration.name,
            )
        )

    def free_address(self, iri: str) -> str:
        """Return the first free address for `iri`; a ledger lists the same thing twice under two addresses."""
        listing = 0
        while (address := made_up_offerings.address_of(iri, listing)) in self._records:
            listing += 1
        return address

    def delist(self, address: str) -> None:
        """Take an offering off the ledger, with its description.

        Raises:
            KeyError: Nothing is listed at the address.
        """
        del self._records[address]
        self._descriptions.pop(address, None)
        self._listing = None

    def replace_description(self, address: str, document: bytes) -> None:
        """Serve another document, valid or not, and record its hash.

        Raises:
            KeyError: No description was served at the address.
        """
        self.description(address)
        digest = self._serve(address, document)
        record = msgspec.json.decode(self._records[address], type=LedgerRecord)
        self._list(msgspec.structs.replace(record, descriptionHash=digest))

    def _serve(self, address: str, document: bytes) -> str:
        digest = hashlib.sha256(document).hexdigest()
        self._descriptions[address] = ServedDocument(document, digest[:32])
        return digest

    def _list(self, record: LedgerRecord) -> str:
        self._records[record.address] = msgspec.json.encode(record)
        self._listing = None
        return record.address


class BoothApi:
    """The booth's HTTP endpoints."""

    def __init__(self, booth: Booth, provider: str, catalogue_url: str | None) -> None:
        self._booth = booth
        self._profile = {"name": provider} | ({"catalogue_url": catalogue_url} if catalogue_url else {})

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/api/offerings", self._list),
            web.post("/api/offerings", self._add),
            web.get("/api/offerings/{address}", self._look_up),
            web.delete("/api/offerings/{address}", self._delist),
            web.get("/descriptions/{address}", self._describe),
            web.put("/descriptions/{address}", self._replace),
            web.get("/profile", self._show_profile),
            web.get("/health", self._health),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return web.Response(body=self._booth.listing(), content_type="application/json")

    async def _look_up(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            return web.Response(body=self._booth.record(address), content_type="application/json")
        except KeyError:
            raise _unknown(address)

    async def _describe(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            description = self._booth.description(address)
        except KeyError:
            raise _unknown(address)
        headers = {"ETag": f'"{description.etag}"'}
        if _has_current(request.if_none_match, description.etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=description.document, content_type="application/ld+json", headers=headers)

    async def _add(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.content_type == "application/json":
            address = self._booth.register(_registration(body))
        else:
            described = _offering_in(body)
            free = self._booth.free_address(described.iri)
            address = self._booth.list_offering(replace(described, address=free, description=body))
        return json_response({"address": address}, status=201)

    async def _delist(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            self._booth.delist(address)
        except KeyError:
            raise _unknown(address)
        return web.Response(status=204)

    async def _replace(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        body = await request.read()
        try:
            self._booth.replace_description(address, body)
        except KeyError:
            raise _unknown(address)
        return web.Response(status=204)

    async def _show_profile(self, request: web.Request) -> web.Response:
        return json_response(self._profile)

    async def _health(self, request: web.Request) -> web.Response:
        return json_response({"status": "healthy"})


def _unknown(address: str) -> web.HTTPNotFound:
    return web.HTTPNotFound(text=f"Nothing is listed at {address}.")


def _registration(body: bytes) -> Registration:
    try:
        return msgspec.json.decode(body, type=Registration)
    except NOT_JSON as error:
        raise web.HTTPBadRequest(text=f"Not a registration: {error}. To list a description send application/ld+json.")


def _offering_in(body: bytes) -> SandboxOffering:
    try:
        described = made_up_offerings.split(body)
    except SyntaxError as error:
        raise web.HTTPBadRequest(text=f"Not JSON-LD: {error.msg}")
    if len(described) != 1:
        raise web.HTTPBadRequest(text=f"Send a document that describes one sedimark:Offering, not {len(described)}.")
    return described[0]


def _has_current(known: tuple[ETag, ...] | None, etag: str) -> bool:
    return known is not None and any(tag.value in (etag, "*") for tag in known)


def create_app(
    booth: Booth,
    provider: str = "Sandbox provider",
    catalogue_url: str | None = None,
    body_limit: int = MEBIBYTE,
) -> web.Application:
    """Make the booth's aiohttp application.

    Args:
        booth: The records and descriptions.
        provider: The provider's name.
        catalogue_url: The provider's own catalogue node, if it has one.
        body_limit: The largest request body, in bytes; larger ones are refused with 413.
    """
    faults = FaultInjection(_is_followed)
    app = web.Application(middlewares=[errors_as_json, faults.middleware()], client_max_size=body_limit)
    app.add_routes(BoothApi(booth, provider, catalogue_url).routes())
    app.add_routes(faults.routes())
    return app


def _is_followed(request: web.Request) -> bool:
    # Faults apply to the requests of a coordinator, not to changes by a person or a test.
    return request.method in ("GET", "HEAD") and request.path.startswith(("/api/offerings", "/descriptions/"))


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--public-url",
    help="Where others reach this server, for the description links. [default: the address it listens on]",
    show_default=False,
)
@click.option("--count", default=100, type=click.IntRange(0), help="How many offerings to make up.")
@click.option("--seed", default=1, help="Another seed makes other offerings.")
@click.option(
    "--offerings",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON-LD file whose offerings to list instead of making some up.",
)
@click.option("--provider", default="Sandbox provider", help="The provider's name, for /profile.")
@click.option("--catalogue-url", help="The provider's own catalogue node, for /profile.")
@click.option("--body-limit", default=MEBIBYTE, type=click.IntRange(1), help="Largest description to accept, in bytes.")
def main(
    host: str,
    port: int,
    public_url: str | None,
    count: int,
    seed: int,
    file: Path | None,
    provider: str,
    catalogue_url: str | None,
    body_limit: int,
) -> None:
    """Run a small DLT-Booth and provider that lists offerings and serves their descriptions.

    \b
    GET    /api/offerings            {"addresses": [...]}
    GET    /api/offerings/ADDRESS    the ledger's entry of one
    GET    /descriptions/ADDRESS     its JSON-LD description, with ETag
    GET    /profile, /health

    \b
    To try it:
    POST   /api/offerings            lists a JSON-LD description; or, as application/json,
                                     {"descriptionUri", "owner", "name"} of one served elsewhere
    DELETE /api/offerings/ADDRESS    delists
    PUT    /descriptions/ADDRESS     replaces a description
    PUT    /faults                   {"delay": seconds, "error_rate": 0..1, "status": 503,
                                      "hang": false, "paths": ["/"]}
    """
    try:
        listed = made_up_offerings.load(file) if file else made_up_offerings.generate(count, seed)
    except (SyntaxError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--offerings")
    listening = listen(host, port)
    url = (public_url or url_of(listening)).rstrip("/")
    run(create_app(Booth(listed, url), provider, catalogue_url, body_limit), listening, f"booth {url}/api")


if __name__ == "__main__":
    main()
