"""Which catalogue nodes there are, in each mode."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from catena_core.errors import CatenaError
from topology.settings import Settings
from topology.web import UnsafeError, WebClient, WebError, check_address


class Member(NamedTuple):
    """A node that belongs to the catalogue.

    Attributes:
        id: Its name on the ring.
        url: Its endpoint.
    """

    id: str
    url: str


class MembershipError(CatenaError):
    """The list of nodes cannot be read; the message says what is wrong with it."""


class _Entry(msgspec.Struct):
    catalogue_url: str = ""
    base_url: str = ""
    id: str = ""


class CatalogueList:
    """The nodes that an operator names in a file: ``{"node_1": {"base_url", "catalogue_url", "id"}, …}``.

    Args:
        path: The file; it is read again when it has changed.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int] | None = None
        self._members: tuple[Member, ...] = ()

    def members(self) -> tuple[Member, ...]:
        """The nodes of the file as it is now.

        Raises:
            MembershipError: The file is missing or wrong. What it said before still holds then.
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
        name: What it is called in errors.

    Raises:
        MembershipError: It is not such a list, names a node twice, or gives no usable address.
    """
    try:
        entries = msgspec.json.decode(content, type=dict[str, _Entry])
    except msgspec.DecodeError as error:
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
        members[member.id] = member
    return tuple(members.values())


class OwnersNodes:
    """The nodes of the owners of offerings: one for each owner, those that share an address counted once.

    A provider may say in its profile where its catalogue is; else its address follows from a template.

    Args:
        settings: With ``NODE_URL_TEMPLATE``.
        web: The client to ask profiles with.
    """

    def __init__(self, settings: Settings, web: WebClient) -> None:
        self._template = settings.node_url_template
        self._web = web
        self._url_of: dict[str, str] = {}

    def members(self, sources: Iterable[tuple[str, str]]) -> tuple[Member, ...]:
        """The nodes of these owners.

        Args:
            sources: ``(owner, URI of one of its descriptions)``; the first one of an owner decides, for as long as this
                object lives.
        """
        for owner, source in sources:
            if owner and owner not in self._url_of:
                url = self._resolve(source)
                if url:
                    self._url_of[owner] = url
        # The address names the node: it is the same for every instance, whichever owner it met first.
        return tuple(Member(url, url) for url in sorted(set(self._url_of.values())))

    def _resolve(self, source: str) -> str | None:
        try:
            check_address(source)
        except UnsafeError:
            return None
        parts = urlsplit(source)
        named = self._profile(f"{parts.scheme}://{parts.netloc}")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return named or self._template.format(scheme=parts.scheme, host=host).rstrip("/")

    def _profile(self, base: str) -> str | None:
        """The endpoint that a provider's profile names, if it has a profile and that names one."""
        try:
            response = self._web.request("GET", f"{base}/profile", headers={"Accept": "application/json"})
            if response.status != 200:
                return None
            profile = msgspec.json.decode(response.body, type=dict[str, object])
            for name in ("catalogue_url", "catalogueUrl", "catalogue_endpoint", "catalogueEndpoint", "catalogue"):
                url = profile.get(name)
                if isinstance(url, str) and url:
                    check_address(url)
                    return url.rstrip("/")
        except (WebError, UnsafeError, msgspec.DecodeError):
            return None
        return None
