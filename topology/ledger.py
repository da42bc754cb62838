"""The ledger, through the HTTP door that a DLT-Booth is."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote

import msgspec

from topology.web import Response, WebClient, WebError

_LONGEST_ADDRESS = 256
_JSON = {"Accept": "application/json"}

Answer = TypeVar("Answer")


class LedgerEntry(msgspec.Struct, frozen=True, rename="camel"):
    """What the ledger says of one offering.

    Attributes:
        description_uri: Where its description is served.
        description_hash: The hash that the description had when it was listed.
        owner: Who listed it.
        name: What they called it.
    """

    description_uri: str
    description_hash: str = ""
    owner: str = ""
    name: str = ""


class _Listing(msgspec.Struct):
    addresses: list[str]


class NotListedError(WebError):
    """The ledger does not know the address."""


class Ledger:
    """Asks a DLT-Booth.

    Args:
        base_url: Its API, for instance ``http://dlt-booth:8085/api``.
        web: The client to ask with.
    """

    def __init__(self, base_url: str, web: WebClient) -> None:
        self._base_url = base_url
        self._web = web

    def addresses(self) -> list[str]:
        """The addresses of all listed offerings, each once, in the ledger's order.

        Raises:
            WebError: The booth does not answer as it should.
            UnsafeError: Its answer is too large.
        """
        url = f"{self._base_url}/offerings"
        response = self._web.request("GET", url, headers=_JSON)
        found = _read(response, _Listing).addresses
        return [address for address in dict.fromkeys(found) if 0 < len(address) <= _LONGEST_ADDRESS]

    def entry(self, address: str) -> LedgerEntry:
        """What the ledger says of one address.

        Raises:
            NotListedError: It does not know the address.
            WebError: The booth does not answer as it should.
            UnsafeError: Its answer is too large.
        """
        url = f"{self._base_url}/offerings/{quote(address, safe='')}"
        response = self._web.request("GET", url, headers=_JSON)
        if response.status == 404:
            raise NotListedError(f"{url} is not known to the ledger")
        return _read(response, LedgerEntry)


def _read(response: Response, kind: type[Answer]) -> Answer:
    if response.status != 200:
        raise WebError(f"{response.url} answers with status {response.status}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WebError(f"{response.url} answers with something else than expected: {error}") from error
