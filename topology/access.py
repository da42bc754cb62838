"""The servers that a link may ask, by who named them: the operator, or a stranger on the ledger."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from catena_core.monitoring.logs import LinkLogger
from federation.networks import KINDS, Networks, kind_of, read_address
from topology.clients.http import Access
from topology.credentials import Credentials
from topology.membership import CatalogueList, MembershipError
from topology.settings import Mode, Settings

# Seconds for which the addresses of the ledger's booth count.
_RESOLVED_FOR = 300.0


class LinkAccess:
    """What one link may ask.

    Args:
        settings: They name the operator's servers, NODE_CREDENTIALS and PROVIDER_NETWORKS.
        logger: Logs a file of credentials that cannot be read.

    Attributes:
        credentials: Those of the operator's servers.
        ledger: The DLT-Booth.
        providers: Servers that the ledger names; none of them gets a credential.
        nodes: The catalogue nodes. Where owners name them, they have to stand where providers may.

    Raises:
        UsageError: NODE_CREDENTIALS cannot be read.
    """

    def __init__(self, settings: Settings, logger: LinkLogger | None = None) -> None:
        networks = provider_networks(settings)
        self._list = CatalogueList(settings.catalogue_list) if settings.mode is Mode.OPERATOR else None
        self.credentials = Credentials(settings.node_credentials, logger, self._read_list)
        if self._list:
            self._list.credentials = self.credentials
        for url, authorization in settings.url_credentials.items():
            self.credentials.add(url, authorization)
        by_owners = settings.mode is Mode.OWNERS
        self.ledger = Access(headers=self.credentials.headers)
        self.providers = Access(networks)
        self.nodes = (
            Access(networks, self.credentials.headers) if by_owners else Access(headers=self.credentials.headers)
        )

    def _read_list(self) -> None:
        if self._list:
            with contextlib.suppress(MembershipError):  # who reads it for its nodes reports that
                self._list.members()


def provider_networks(settings: Settings) -> Networks:
    """Return the networks in which providers may stand.

    ``auto`` allows the internet. Where the ledger's booth has a private address itself, the data space is a private one, and
    ``auto`` allows such addresses, too.
    """
    if settings.provider_networks != ("auto",):
        return Networks(settings.provider_networks)
    return Networks(("public",), more=_KindsOfHost(urlsplit(settings.dlt_base_url).hostname or ""))


class _KindsOfHost:
    """The kinds of private network that a host's own addresses open to others."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._found: frozenset[str] = frozenset()
        self._good_until = 0.0

    def __call__(self) -> Iterable[str]:
        if time.monotonic() >= self._good_until:
            self._found = _opened_by(self._host)
            self._good_until = time.monotonic() + _RESOLVED_FOR
        return self._found


def _opened_by(host: str) -> frozenset[str]:
    literal = read_address(host)
    if literal:
        kinds = {kind_of(literal)}
    else:
        # Names without a dot, as those of containers, mean something in their own network alone.
        kinds = set() if "." in host.rstrip(".") else {"private"}
        with contextlib.suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            kinds |= {kind_of(address) for *_, place in found if (address := read_address(str(place[0])))}
    if kinds & {"loopback", "private"}:
        kinds |= {"loopback", "private"}
    return frozenset(kinds & KINDS.keys())
