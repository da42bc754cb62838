"""The sandbox's DLT-Booth and provider in one server: it lists offerings as the ledger does, and serves descriptions.

python -m sandbox.booth --port 8085 --count 100
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
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

    owner: str
    """The EVM address of its provider."""
    name: str
    """The last segment of its IRI."""
    descriptionUri: str
    description_hash: str
    """SHA-256 of the description's bytes, in lower-case hexadecimal."""


class Registration(msgspec.Struct, frozen=True):
    """The JSON body of `POST /api/offerings`, for an offering whose description another provider serves."""

    descriptionUri: str
    descriptionHash: str = ""
    owner: str = made_up_offerings.owner_of("did:sandbox:booth")
    name: str = ""


class Booth:
    """The ledger's records and the provider's descriptions, as bytes ready to send.

    Addresses are found in any case, as those of an EVM are.

    Args:
        listed: The offerings to list at first.
        url: The base of the descriptions' URLs, without a slash at the end.
    """

    def __init__(self, listed: list[SandboxOffering], url: str) -> None:
        self._url = url
        self._addresses: dict[str, str] = {}
        self._records: dict[str, LedgerRecord] = {}
        self._descriptions: dict[str, bytes] = {}
        self._listing: bytes | None = None
        for offering in listed:
            self.list_offering(offering)

    def listing(self) -> bytes:
        """Return `{"addresses": […]}` in the order of listing."""
        if self._listing is None:
            self._listing = msgspec.json.encode({"addresses": list(self._addresses.values())})
        return self._listing

    def record(self, address: str) -> bytes:
        """Return the LedgerRecord in JSON.

        Raises:
            KeyError: Nothing is listed at the address.
        """
        return msgspec.json.encode(self._records[address.lower()])

    def description(self, address: str) -> bytes:
        """Return the description at the address.

        Raises:
            KeyError: There is none.
        """
        return self._descriptions[address.lower()]

    def list_offering(self, offering: SandboxOffering) -> str:
        """List an offering, serve its description, and return its address."""
        self._descriptions[offering.address.lower()] = offering.description
        uri = f"{self._url}/descriptions/{offering.address}"
        return self._list(
            offering.address, LedgerRecord(offering.owner, offering.name, uri, _sha256(offering.description))
        )

    def register(self, registration: Registration) -> str:
        """List an offering that is described elsewhere, and return its address."""
        uri = registration.descriptionUri
        name = registration.name or made_up_offerings.name_of(uri)
        return self._list(
            self.free_address(uri), LedgerRecord(registration.owner, name, uri, registration.descriptionHash)
        )

    def free_address(self, iri: str) -> str:
        """Return the first free address for `iri`; a ledger lists the same thing twice under two addresses."""
        listing = 0
        while (address := made_up_offerings.address_of(iri, listing)).lower() in self._records:
            listing += 1
        return address

    def take_down(self, address: str) -> None:
        """Stop serving a description; the ledger lists its address for ever.

        Raises:
            KeyError: No description was served at the address.
        """
        del self._descriptions[address.lower()]

    def delist(self, address: str) -> None:
        """Take an offering off the ledger, with its description, which no real ledger does.

        Raises:
            KeyError: Nothing is listed at the address.
        """
        del self._records[address.lower()], self._addresses[address.lower()]
        self._descriptions.pop(address.lower(), None)
        self._listing = None

    def replace_description(self, address: str, document: bytes) -> None:
        """Serve another document, valid or not, at the same address, and record its hash, which no real ledger does.

        Raises:
            KeyError: No description was served at the address.
        """
        self.description(address)
        self._descriptions[address.lower()] = document
        record = self._records[address.lower()]
        self._records[address.lower()] = msgspec.structs.replace(record, description_hash=_sha256(document))

    def _list(self, address: str, record: LedgerRecord) -> str:
        self._addresses[address.lower()] = address
        self._records[address.lower()] = record
        self._listing = None
        return address


def _sha256(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()


class BoothApi:
    """The booth's HTTP endpoints.

    Args:
        booth: The records and descriptions.
        provider: The provider's name.
        catalogue_url: The provider's own catalogue node, if it has one.
        lenient: Whether it delists, replaces descriptions in place, and sends entity tags, unlike real ones.
    """

    def __init__(self, booth: Booth, provider: str, catalogue_url: str | None, lenient: bool) -> None:
        self._booth = booth
        self._lenient = lenient
        self._profile = {"name": provider} | ({"catalogue_url": catalogue_url} if catalogue_url else {})

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        routes = [
            web.get("/api/offerings", self._list),
            web.post("/api/offerings", self._add),
            web.get("/api/offerings/{address}", self._look_up),
            web.get("/descriptions/{address}", self._describe),
            web.delete("/descriptions/{address}", self._take_down),
            web.get("/profile", self._show_profile),
            web.get("/health", self._health),
        ]
        if self._lenient:
            routes += [
                web.delete("/api/offerings/{address}", self._delist),
                web.put("/descriptions/{address}", self._replace),
            ]
        return routes

    async def _list(self, request: web.Request) -> web.Response:
        return web.Response(body=self._booth.listing(), content_type="application/json")

    async def _look_up(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            return web.Response(body=self._booth.record(address), content_type="application/json")
        except KeyError:
            # As the DLT-Booth answers where the contract's call fails.
            body = msgspec.json.encode({"error": f"Other error: nothing is listed at {address}"})
            return web.Response(status=500, body=body, content_type="text/html", charset="utf-8")

    async def _describe(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            description = self._booth.description(address)
        except KeyError:
            raise _unknown(address)
        headers = {}
        if self._lenient:
            etag = _sha256(description)[:32]
            headers["ETag"] = f'"{etag}"'
            if _has_current(request.if_none_match, etag):
                return web.Response(status=304, headers=headers)
        return web.Response(body=description, content_type="application/json", headers=headers)

    async def _take_down(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        try:
            self._booth.take_down(address)
        except KeyError:
            raise _unknown(address)
        return web.Response(status=204)

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
    lenient: bool = False,
) -> web.Application:
    """Make the booth's aiohttp application.

    Args:
        booth: The records and descriptions.
        provider: The provider's name.
        catalogue_url: The provider's own catalogue node, if it has one.
        body_limit: The largest request body, in bytes; larger ones are refused with 413.
        lenient: Whether it delists, replaces descriptions in place, and sends entity tags, unlike real ones.
    """
    faults = FaultInjection(_is_followed)
    app = web.Application(middlewares=[errors_as_json, faults.middleware()], client_max_size=body_limit)
    app.add_routes(BoothApi(booth, provider, catalogue_url, lenient).routes())
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
@click.option("--lenient", is_flag=True, help="Delist, replace descriptions in place, and send ETags: no real ones do.")
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
    lenient: bool,
) -> None:
    """Run a small DLT-Booth and provider that lists offerings and serves their descriptions.

    It answers as real ones do: the listing only grows, and an address that is not listed gives status 500. To edit an offering,
    take the old one down and list the new one.

    \b
    GET    /api/offerings            {"addresses": [...]}
    GET    /api/offerings/ADDRESS    the ledger's entry of one
    GET    /descriptions/ADDRESS     its JSON-LD description
    GET    /profile, /health

    \b
    To try it:
    POST   /api/offerings            lists a JSON-LD description; or, as application/json,
                                     {"descriptionUri", "descriptionHash", "owner", "name"} of one served elsewhere
    DELETE /descriptions/ADDRESS     takes a description down; the ledger goes on listing it
    DELETE /api/offerings/ADDRESS    delists (only with --lenient)
    PUT    /descriptions/ADDRESS     replaces a description (only with --lenient)
    PUT    /faults                   {"delay": seconds, "error_rate": 0..1, "status": 503,
                                      "hang": false, "paths": ["/"], "methods": []}
    """
    try:
        listed = made_up_offerings.load(file) if file else made_up_offerings.generate(count, seed)
    except (SyntaxError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--offerings")
    listening = listen(host, port)
    url = (public_url or url_of(listening)).rstrip("/")
    run(create_app(Booth(listed, url), provider, catalogue_url, body_limit, lenient), listening, f"booth {url}/api")


if __name__ == "__main__":
    main()
