"""Finds the catalogue nodes, in each mode."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from catena_core.errors import CatenaError
from topology.clients.http import UnsafeError, WebClient, WebError, check_address
from topology.json_errors import NOT_JSON
from topology.settings import Settings

_PROFILES_AT_ONCE = 32
# Seconds until a provider that did not answer is asked again.
_ASK_AGAIN_AFTER = 60.0


class Member(NamedTuple):
    """A node of the catalogue.

    Attributes:
        id: Its name on the ring.
        url: Its endpoint.
    """

    id: str
    url: str


class MembershipError(CatenaError):
    """The list of nodes cannot be read; the message says why."""


class _Entry(msgspec.Struct):
    catalogue_url: str = ""
    base_url: str = ""
    id: str = ""


class CatalogueList:
    """The nodes that an operator names in a file: ``{"node_1": {"base_url", "catalogue_url", "id"}, …}``.

    Args:
        path: The file, which is read again after each change.
    """

    def __init__(self, path: str) -> None:
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
                self._members = read_catalogue_list(self._path.read_bytes(), str(self._path))
                self._seen = seen
        except OSError as error:
            raise MembershipError(f"the list of nodes {self._path} cannot be read: {error.strerror}") from error
        return self._members


def read_catalogue_list(content: bytes, name: str) -> tuple[Member, ...]:
    """Read a list of nodes.

    Args:
        content: The file's content.
        name: Its name in error messages.

    Raises:
        MembershipError: The content is no such list, repeats an id or an address, or lacks a usable address.
    """
    try:
        entries = msgspec.json.decode(content, type=dict[str, _Entry])
    except NOT_JSON as error:
        raise MembershipError(
            f"{name} is not a list of nodes: {error}; examples/catalogue_list.json shows one"
        ) from error
    if not entries:
        raise MembershipError(f"{name} names no node; examples/catalogue_list.json shows how")
    members: dict[str, Member] = {}
    for key, entry in entries.items():
        url = (entry.catalogue_url or (f"{entry.base_url.rstrip('/')}/catalogue" if entry.base_url else "")).rstrip("/")
        member = Member(entry.id or key, url)
        try:
            check_address(url)
        except UnsafeError as error:
            raise MembershipError(f"{name}: {key} has no usable catalogue_url: {error}") from error
        if member.id in members:
            raise MembershipError(f"{name} has two nodes with the id {member.id}; each needs its own")
        if url in {other.url for other in members.values()}:
            raise MembershipError(f"{name} has two nodes at {url}; they would be one, and two copies there only one")
        members[member.id] = member
    return tuple(members.values())


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
                self._owners[owner] = _Owner(source)
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
                if isinstance(url, str) and url:
                    check_address(url)
                    return url.rstrip("/")
        except (UnsafeError, *NOT_JSON):
            return None
        return None


def _is_usable(address: str) -> bool:
    try:
        check_address(address)
    except UnsafeError:
        return False
    return True
