"""Finds the catalogue nodes, in each mode."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urljoin, urlsplit

import msgspec

from catena_core.errors import CatenaError
from catena_core.text import redacted, split_credentials, without_credentials
from topology.clients.http import UnsafeError, WebClient, WebError, check_address
from topology.credentials import Credentials
from topology.json_errors import NOT_JSON
from topology.json_file import read_entries
from topology.records import Endpoints
from topology.settings import Settings

_PROFILES_AT_ONCE = 32
# Seconds until a provider that did not answer is asked again.
_ASK_AGAIN_AFTER = 60.0
_EXAMPLE = "examples/catalogue_list.json shows"
# A stranger's address becomes a node's id: in topics, metrics and answers.
_LONGEST_URL = 500


_LONGEST_ID = 200


class Member(NamedTuple):
    """A node of the catalogue.

    Attributes:
        id: Its name on the ring.
        url: Its endpoint.
        weight: Its share of the graphs, beside a node of weight 1.
        endpoints: Its endpoints, as far as they are given.
    """

    id: str
    url: str
    weight: float = 1.0
    endpoints: Endpoints = Endpoints()


class MembershipError(CatenaError):
    """The list of nodes cannot be read; the message says why."""


class _Entry(msgspec.Struct):
    catalogue_url: str = ""
    base_url: str = ""
    id: str = ""
    weight: Annotated[float, msgspec.Meta(ge=0.01, le=100)] = 1.0
    sparql: str = ""
    graph_store: str = ""
    update: str = ""


class CatalogueList:
    """The nodes that an operator names in a file: ``{"node_1": {"base_url", "catalogue_url", "id", "weight"}, …}``.

    An entry may name paths that cannot be found by asking: ``sparql``, ``graph_store`` and ``update``, absolute or relative to
    its ``catalogue_url``.

    Args:
        path: The file, which is read again after each change.

    Attributes:
        credentials: It gets the users and passwords that stand in the addresses; ``None`` drops them.
    """

    def __init__(self, path: str) -> None:
        self.credentials: Credentials | None = None
        self._path = Path(path)
        self._seen: tuple[int, int] | None = None
        self._members: tuple[Member, ...] = ()

    def members(self) -> tuple[Member, ...]:
        """Return the nodes in the file.

        Raises:
            MembershipError: The file is missing or wrong. Its earlier content still holds then.
        """
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._members = read_catalogue_list(self._path.read_bytes(), str(self._path), self.credentials)
                if self.credentials:
                    self.credentials.follow(self._members)
                self._seen = seen
        except OSError as error:
            raise MembershipError(f"the list of nodes {self._path} cannot be read: {error.strerror}") from error
        return self._members


def read_catalogue_list(content: bytes, name: str, credentials: Credentials | None = None) -> tuple[Member, ...]:
    """Read a list of nodes.

    Args:
        content: The file's content.
        name: Its name in error messages.
        credentials: It gets the users and passwords that stand in the addresses.

    Raises:
        MembershipError: The content is no such list, repeats an id or an address, or lacks a usable address.
    """
    try:
        entries = read_entries(content, _Entry)
        for key, entry in entries.items():
            _check_id(key, entry)
    except ValueError as error:
        raise MembershipError(f"{name} is not a list of nodes: {error}; {_EXAMPLE} one") from error
    if not entries:
        raise MembershipError(f"{name} names no node; {_EXAMPLE} how")
    members: dict[str, Member] = {}
    for key, entry in entries.items():
        where = f"{name}: {redacted(key)}"
        given = entry.catalogue_url or (f"{entry.base_url.rstrip('/')}/catalogue" if entry.base_url else "")
        if not given:
            raise MembershipError(
                f"{where} has no usable catalogue_url: there is none, and no base_url; {_EXAMPLE} one"
            )
        try:
            check_address(given)
        except UnsafeError as error:
            raise MembershipError(f"{where} has no usable catalogue_url: {error}") from error
        if "?" in given or "#" in given:
            raise MembershipError(
                f'{where} has a query in its catalogue_url; name the endpoints that need it: "sparql", …'
            )
        url, authorization = split_credentials(given.rstrip("/"))
        if "@" in url:  # a part of the password, more likely than of the path
            raise MembershipError(f"{where} has an @ behind its host; write %40, and %2F for a / in a password")
        if credentials:
            credentials.add(url, authorization)
        own = {kind: split_credentials(address) for kind, address in _endpoints(entry, url, where).items()}
        endpoints = Endpoints(**{kind: address for kind, (address, _) in own.items()})
        if credentials:
            for endpoint, authorization_of_its_own in own.values():
                if authorization_of_its_own or urlsplit(endpoint)[:2] == urlsplit(url)[:2]:
                    credentials.add(endpoint, authorization_of_its_own or authorization)
        member = Member(_id(key, entry), url, entry.weight, endpoints)
        if member.id in members:
            raise MembershipError(f"{name} has two nodes with the id {member.id}; each needs its own")
        if _same_place(url) in {_same_place(other.url) for other in members.values()}:
            raise MembershipError(f"{name} has two nodes at {url}; they would be one, and two copies there only one")
        members[member.id] = member
    return tuple(members.values())


def _check_id(key: str, entry: _Entry) -> None:
    """Raise ``ValueError`` if a node's id is no name."""
    node = _id(key, entry)
    if not node.strip() or not node.isprintable() or len(node) > _LONGEST_ID:
        raise ValueError(f"{node[:_LONGEST_ID]!r} is no id; take one of 1 to {_LONGEST_ID} printable characters")


def _id(key: str, entry: _Entry) -> str:
    """Return a node's name, which everyone sees; an address may stand in its place."""
    return without_credentials(entry.id or key)


def _same_place(url: str) -> str:
    """Return a URL as its other spellings are written: the host in lower case, without the usual port."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port not in (None, {"http": 80, "https": 443}[parts.scheme]) else ""
    return parts._replace(netloc=f"{parts.hostname}{port}").geturl()


def _endpoints(entry: _Entry, url: str, where: str) -> dict[str, str]:
    """Return the endpoints that an entry names, as absolute addresses.

    Raises:
        MembershipError: One of them is not an address.
    """
    found = {}
    for name in ("sparql", "graph_store", "update"):
        given = getattr(entry, name)
        if given:
            try:
                address = urljoin(f"{url}/", given)
                check_address(address)
            except (UnsafeError, ValueError) as error:
                raise MembershipError(f"{where} has no usable {name}: {error}") from error
            found[name] = address.rstrip("/")
    return found


class _Owner:
    """One owner's node, and the request for its address."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.url: str | None = None
        self.is_sure = False
        self.asking: Future[str | None] | None = None
        self.ask_at = 0.0


class OwnersNodes:
    """The nodes of the owners of offerings: one for each owner, and one for owners that share an address.

    A provider's profile may name the address of its catalogue. If not, the address follows from a template. Threads request the
    profiles, so a provider that hangs delays no other.

    Args:
        settings: They hold ``NODE_URL_TEMPLATE``.
        web: The HTTP client for profiles.
    """

    def __init__(self, settings: Settings, web: WebClient) -> None:
        self._template = settings.node_url_template
        self._web = web
        self._owners: dict[str, _Owner] = {}
        self._workers = ThreadPoolExecutor(_PROFILES_AT_ONCE, thread_name_prefix="profile")

    def members(self, sources: Iterable[tuple[str, str]]) -> tuple[Member, ...]:
        """Return the nodes of these owners that are known so far.

        Args:
            sources: ``(owner, URI of one of its descriptions)``; the first URI of an owner counts as long as this object
                lives.
        """
        for owner, source in sources:
            if owner and owner not in self._owners and _is_usable(source):
                self._owners[owner] = _Owner(without_credentials(source))
        for known in self._owners.values():
            self._follow_up(known)
        # The address is the id, so that all instances agree, whichever owner they met first.
        return tuple(Member(url, url) for url in sorted({known.url for known in self._owners.values() if known.url}))

    @property
    def has_asked(self) -> bool:
        """True once each owner's provider has answered, or failed to answer, at least once."""
        return all(known.url for known in self._owners.values())

    @property
    def is_sure(self) -> bool:
        """True once each owner's provider has answered; until then the template gives its address."""
        return all(known.is_sure for known in self._owners.values())

    def close(self) -> None:
        """Abandon requests that hang."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _follow_up(self, known: _Owner) -> None:
        parts = urlsplit(known.source)
        if known.asking is None:
            if not known.is_sure and time.monotonic() >= known.ask_at:
                known.asking = self._workers.submit(self._profile, f"{parts.scheme}://{parts.netloc}")
        elif known.asking.done():
            try:
                named = known.asking.result()
                known.is_sure = True
            except WebError:
                named = None
                known.ask_at = time.monotonic() + _ASK_AGAIN_AFTER
            known.asking = None
            host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
            known.url = named or self._template.format(scheme=parts.scheme, host=host).rstrip("/")

    def _profile(self, base: str) -> str | None:
        """Return the endpoint in a provider's profile; ``None`` if there is no profile or no endpoint in it.

        Raises:
            WebError: The provider does not answer, or answers with an error of its own.
        """
        try:
            response = self._web.request("GET", f"{base}/profile", headers={"Accept": "application/json"})
            if response.status >= 500:
                raise WebError(f"{base}/profile answers with status {response.status}")
            if response.status != 200:
                return None
            profile = msgspec.json.decode(response.body, type=dict[str, object])
            for name in ("catalogue_url", "catalogueUrl", "catalogue_endpoint", "catalogueEndpoint", "catalogue"):
                url = profile.get(name)
                if isinstance(url, str) and 0 < len(url) <= _LONGEST_URL:
                    check_address(url)
                    return without_credentials(url).rstrip("/")
        except (UnsafeError, *NOT_JSON):
            return None
        return None


def _is_usable(address: str) -> bool:
    try:
        check_address(address)
    except UnsafeError:
        return False
    return True
