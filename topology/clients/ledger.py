"""A client of the ledger, through the HTTP API of a DLT-Booth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urljoin

import msgspec

from catena_core.text import bounded
from topology.clients.http import Response, UnsafeError, WebClient, WebError
from topology.json_errors import NOT_JSON

_LONGEST_ADDRESS = 256
_LONGEST_URI = 4096
# Strangers write the names and owners, which stand in every record and page.
_LONGEST_NAME = 500
_JSON = {"Accept": "application/json"}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's entry of one offering.

    Attributes:
        description_uri: The absolute URI of its description.
        description_hash: The hash of the description at listing.
        owner: The owner who listed it, cut to 500 characters.
        name: The name that the owner gave it, cut to 500 characters.
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


class _Refusal(msgspec.Struct):
    error: str


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

    def entry(self, address: str, timeout: float | None = None) -> LedgerEntry:
        """Return the entry of one address.

        Args:
            address: The address.
            timeout: Seconds that the booth may take; ``None``: as long as the HTTP client allows.

        Raises:
            NotListedError: The ledger does not know the address.
            WebError: The booth does not answer as it should.
            UnsafeError: The answer is too large, or its description URI is unusable.
        """
        url = f"{self._base_url}/offerings/{quote(address, safe='')}"
        response = self._web.request("GET", url, headers=_JSON, timeout=timeout)
        if response.status == 404:
            raise NotListedError(f"{url} is not known to the ledger")
        if (reason := _reason_of(response)) is not None:
            raise NotListedError(f"{url} is not known to the ledger, or the ledger does not answer: {reason}")
        entry = _read(response, _Entry)
        try:
            uri = urljoin(f"{self._base_url}/", entry.description_uri)
            if len(uri) > _LONGEST_URI:
                raise ValueError(f"it has more than {_LONGEST_URI} characters")
        except ValueError as error:
            raise UnsafeError(f"{entry.description_uri[:200]!r} is not an address: {error}") from error
        return LedgerEntry(
            uri,
            entry.description_hash or entry.returned_hash or "",
            (entry.owner or "")[:_LONGEST_NAME],
            (entry.name or "")[:_LONGEST_NAME],
        )


def _reason_of(response: Response) -> str | None:
    """Return the reason that a DLT-Booth gives where the ledger has no entry: 500, ``text/html``, ``{"error": …}``.

    It says the same of every error of the ledger.
    """
    if response.status != 500 or not response.headers.get("content-type", "").startswith("text/html"):
        return None
    try:
        return bounded(msgspec.json.decode(response.body, type=_Refusal).error, _LONGEST_NAME)
    except NOT_JSON:
        return None


def _read(response: Response, kind: type[Answer]) -> Answer:
    if response.status != 200:
        raise WebError(f"{response.url} answers with status {response.status}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except NOT_JSON as error:
        raise WebError(f"{response.url} answers with something else than expected: {error}") from error
