"""A client of the ledger, through the HTTP API of a DLT-Booth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urljoin

import msgspec

from topology.clients.http import Response, UnsafeError, WebClient, WebError
from topology.json_errors import NOT_JSON

_LONGEST_ADDRESS = 256
_JSON = {"Accept": "application/json"}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's entry of one offering.

    Attributes:
        description_uri: The absolute URI of its description.
        description_hash: The hash of the description at listing.
        owner: The owner who listed it.
        name: The name that the owner gave it.
    """

    description_uri: str
    description_hash: str = ""
    owner: str = ""
    name: str = ""


class Listing(NamedTuple):
    """The ledger's listing.

    Attributes:
        addresses: The addresses, each once, in the ledger's order.
        junk: The number of entries that are no addresses.
    """

    addresses: list[str]
    junk: int = 0


class _AddressList(msgspec.Struct):
    addresses: list[Any]


class _Entry(msgspec.Struct, rename="camel"):
    """An entry as booths send it, with unknown members left out or null.

    The DLT-Booth takes the hash as ``descriptionHash`` and gives it back as ``description_hash``.
    """

    description_uri: str
    description_hash: str | None = None
    returned_hash: str | None = msgspec.field(default=None, name="description_hash")
    owner: str | None = None
    name: str | None = None


class NotListedError(WebError):
    """The ledger does not know the address."""


class Ledger:
    """Reads the ledger through a DLT-Booth.

    Args:
        base_url: The booth's API, for instance ``http://dlt-booth:8085/api``.
        web: The HTTP client.
    """

    def __init__(self, base_url: str, web: WebClient) -> None:
        self._base_url = base_url
        self._web = web

    def addresses(self) -> Listing:
        """Read the addresses of all listed offerings.

        Raises:
            WebError: The booth does not answer as it should, or its listing holds junk only.
            UnsafeError: The answer is too large.
        """
        url = f"{self._base_url}/offerings"
        response = self._web.request("GET", url, headers=_JSON)
        found = _read(response, _AddressList).addresses
        addresses = [one for one in found if isinstance(one, str) and 0 < len(one) <= _LONGEST_ADDRESS]
        if found and not addresses:  # an empty listing would remove every offering
            raise WebError(f"{url} answers with something else than expected: no entry of its listing is an address")
        return Listing(list(dict.fromkeys(addresses)), len(found) - len(addresses))

    def entry(self, address: str) -> LedgerEntry:
        """Return the entry of one address.

        Raises:
            NotListedError: The ledger does not know the address.
            WebError: The booth does not answer as it should.
            UnsafeError: The answer is too large, or its description URI is unusable.
        """
        url = f"{self._base_url}/offerings/{quote(address, safe='')}"
        response = self._web.request("GET", url, headers=_JSON)
        if response.status == 404:
            raise NotListedError(f"{url} is not known to the ledger")
        entry = _read(response, _Entry)
        try:
            uri = urljoin(f"{self._base_url}/", entry.description_uri)
        except ValueError as error:
            raise UnsafeError(f"{entry.description_uri[:200]!r} is not an address: {error}") from error
        return LedgerEntry(
            uri, entry.description_hash or entry.returned_hash or "", entry.owner or "", entry.name or ""
        )


def _read(response: Response, kind: type[Answer]) -> Answer:
    if response.status != 200:
        raise WebError(f"{response.url} answers with status {response.status}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except NOT_JSON as error:
        raise WebError(f"{response.url} answers with something else than expected: {error}") from error
