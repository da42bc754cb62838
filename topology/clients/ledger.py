"""A client of the ledger, through the HTTP API of a DLT-Booth."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

import msgspec

from catena_core.text import bounded
from topology.clients.http import Response, UnsafeError, WebClient, WebError, shown_url
from topology.json_errors import NOT_JSON

_LONGEST_ADDRESS = 256
_LONGEST_URI = 4096
# Strangers write the names and owners, which stand in every record and page.
_LONGEST_NAME = 500
_JSON = {"Accept": "application/json"}
_EVM_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's entry of one offering.

    Attributes:
        description_uri: The absolute URI of its description.
        description_hash: The hash of the description at listing.
        owner: The owner who listed it, cut to 500 characters, those that are not shown escaped.
        name: The name that the owner gave it, likewise.
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


class _Entry(msgspec.Struct, rename="camel"):
    """An entry as booths send it, with unknown members left out, null, or something else than a text.

    The DLT-Booth takes the hash as ``descriptionHash`` and gives it back as ``description_hash``.
    """

    description_uri: str
    description_hash: Any = None
    returned_hash: Any = msgspec.field(default=None, name="description_hash")
    owner: Any = None
    name: Any = None


class _Refusal(msgspec.Struct):
    error: str


class StatusError(WebError):
    """The booth answers with another status than 200.

    Args:
        response: Its answer.

    Attributes:
        status: The status.
        headers: The headers of the answer, which may ask for a pause.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.url} answers with status {response.status}")
        self.status = response.status
        self.headers = response.headers


class EntryError(WebError):
    """The booth answers, but not with an entry of the address. Its other failures say nothing of any address."""


class NotListedError(EntryError):
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
            StatusError: The booth answers with another status than 200.
            WebError: It does not answer as it should, or its listing holds junk only.
            UnsafeError: The answer is too large.
        """
        url = f"{self._base_url}/offerings"
        response = self._web.request("GET", url, headers=_JSON)
        found = _read_entries(response)
        addresses = [one for one in found if _is_address(one)]
        if found and not addresses:  # an empty listing would remove every offering
            raise WebError(f"{url} answers with something else than expected: no entry of its listing is an address")
        once: dict[str, str] = {}
        for address in addresses:
            once.setdefault(same_address(address), address)
        return Listing(list(once.values()), len(found) - len(addresses))

    def entry(self, address: str, timeout: float | None = None) -> LedgerEntry:
        """Return the entry of one address.

        Args:
            address: The address.
            timeout: Seconds that the booth may take; ``None``: as long as the HTTP client allows.

        Raises:
            NotListedError: The ledger does not know the address.
            EntryError: The booth answers with something else than an entry.
            StatusError: It answers with another status than 200.
            WebError: It does not answer as it should.
            UnsafeError: The answer is too large, or its description URI is unusable.
        """
        url = f"{self._base_url}/offerings/{quote(address, safe='')}"
        response = self._web.request("GET", url, headers=_JSON, timeout=timeout)
        if response.status == 404:
            raise NotListedError(f"{url} is not known to the ledger")
        if (reason := _reason_of(response)) is not None:
            raise NotListedError(f"{url} is not known to the ledger, or the ledger does not answer: {reason}")
        entry = _read_entry(response)
        # Browsers leave white space out, too (https://url.spec.whatwg.org/#url-parsing), and entries stay as they are.
        given = _text(entry.description_uri).strip()
        if not given:  # relative to the booth's address, it would name the booth itself
            raise UnsafeError(f"{url} names no description")
        try:
            uri = urljoin(f"{self._base_url}/", given)
            if len(uri) > _LONGEST_URI:
                raise ValueError(f"it has more than {_LONGEST_URI} characters")
        except ValueError as error:
            raise UnsafeError(f"{shown_url(given)!r} is not an address: {error}") from error
        return LedgerEntry(
            uri,
            _text(entry.description_hash) or _text(entry.returned_hash),
            bounded(_text(entry.owner), _LONGEST_NAME),
            bounded(_text(entry.name), _LONGEST_NAME),
        )


def same_address(address: str) -> str:
    """Return a text that is the same for all spellings of an address.

    The case of letters in an EVM address is a checksum alone (EIP-55, https://eips.ethereum.org/EIPS/eip-55).
    """
    return address.lower() if _EVM_ADDRESS.fullmatch(address) else address


def _text(member: Any) -> str:
    """Return a member that is a text, with ``?`` in the place of halves of characters, which no record can hold."""
    return member.encode(errors="replace").decode() if isinstance(member, str) else ""


def _is_address(entry: Any) -> bool:
    if not isinstance(entry, str) or not 0 < len(entry) <= _LONGEST_ADDRESS:
        return False
    is_shown = entry.isprintable() and " " not in entry and "\N{REPLACEMENT CHARACTER}" not in entry
    return is_shown and entry.strip(".") != ""  # the paths of URLs leave out "." and ".."


def _read_entries(response: Response) -> list[Any]:
    """Read the entries of a listing."""
    listing = _read_json(response)
    found = listing.get("addresses") if isinstance(listing, dict) else None
    if not isinstance(found, list):
        raise WebError(
            f"{response.url} answers with something else than expected, no array of addresses: {response.excerpt()}"
        )
    return found


def _read_entry(response: Response) -> _Entry:
    found = _read_json(response, EntryError)
    if isinstance(found, dict):  # msgspec cannot compare all names that JSON may have
        found = {name: found[name] for name in _Entry.__struct_encode_fields__ if name in found}
    try:
        return msgspec.convert(found, _Entry)
    except msgspec.ValidationError as error:
        raise EntryError(f"{response.url} answers with something else than expected: {error}") from error


def _read_json(response: Response, failure: type[WebError] = WebError) -> Any:
    """Decode an answer, or raise the failure where it is no JSON.

    The reader of the standard library takes texts and numbers that stricter ones refuse, so a bad member costs itself alone.
    """
    if response.status != 200:
        raise StatusError(response)
    try:
        text = response.body.decode("utf-8-sig", "replace")
        # No member that counts is a number, so none of them takes memory or time, however long.
        return json.loads(text, strict=False, parse_int=bool, parse_float=bool)
    except (ValueError, RecursionError) as error:
        raise failure(f"{response.url} answers with something else than expected: {error}") from error


def _reason_of(response: Response) -> str | None:
    """Return the reason that a DLT-Booth gives where the ledger has no entry: 500, ``text/html``, ``{"error": …}``.

    It says the same of every error of the ledger.
    """
    if response.status != 500 or not response.headers.get("content-type", "").lower().startswith("text/html"):
        return None
    try:
        return bounded(msgspec.json.decode(response.body, type=_Refusal).error, _LONGEST_NAME)
    except NOT_JSON:
        return None
