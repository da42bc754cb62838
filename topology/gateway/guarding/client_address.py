"""The address of a client, also behind reverse proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from federation.networks import Network

# Some proxies add the port of the client.
_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+|\[([0-9a-fA-F:.]+)\](?::\d+)?")
_SITE_BITS = 64


def client_address(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the address of a client.

    Each proxy adds the address of its own client at the end of ``X-Forwarded-For``. A client can write anything before that, so
    the header counts from its end, and only as far as trusted proxies wrote it.

    Args:
        peer: The address that the connection comes from.
        forwarded_for: The header; empty if there is none.
        proxies: The networks of the trusted proxies.
    """
    address = _parsed(peer)
    hops = forwarded_for.split(",") if proxies else []
    while hops and address and any(address in network for network in proxies):
        before = _parsed(hops.pop())
        if before is None:
            break
        address = before
    return str(address or peer)


def site(address: str) -> str:
    """Return the network that one client has to itself: an IPv4 address, or 64 bits of an IPv6 address."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _SITE_BITS), strict=False))
    return address


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
