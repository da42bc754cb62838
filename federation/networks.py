"""The networks in which servers may be asked, as IP addresses; names count by the addresses that they resolve to.

The blocks are those of the IANA special-purpose address registries (RFC 6890). An IPv6 address that carries an IPv4 address
counts as both, since a translator or tunnel on the way would lead to the second.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Clouds hand out the credentials of their machines at these, outside of the link-local block.
_METADATA = _networks("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128")
_LINK_LOCAL = _networks("169.254.0.0/16", "224.0.0.0/4", "fe80::/10", "ff00::/8", "255.255.255.255/32")

KINDS: dict[str, tuple[Network, ...]] = {
    "loopback": _networks("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"),
    "private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "shared": _networks("100.64.0.0/10"),
    "unique-local": _networks("fc00::/7"),
}
"""The kinds of network that are no part of the internet, by the names that settings use."""

_RESERVED = _networks(
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fec0::/10",
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Blocks of translators and tunnels, with the bits that stand behind the IPv4 address in them; nothing public needs them.
_CARRIERS = (
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)
_TEREDO = ipaddress.IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)
_PUBLIC, _TRANSLATED, _RESERVED_KIND = "public", "translated", "reserved"


class Networks:
    """The networks in which servers may be asked; link-local, multicast and metadata addresses are in none.

    Args:
        allowed: ``public``, names of ``KINDS``, and networks.
        more: Returns further such names, when an address is not allowed by the first; it may take time.
    """

    def __init__(self, allowed: Sequence[str | Network], more: Callable[[], Iterable[str]] = tuple) -> None:
        self._names = frozenset(item for item in allowed if isinstance(item, str))
        self._networks = tuple(item for item in allowed if not isinstance(item, str))
        self._more = more

    def refusal(self, host: str) -> str | None:
        """Say why a host is not asked; ``None`` if it may be asked, or is a name whose addresses are not known yet.

        Args:
            host: A name, or an IP address with or without a zone. Other spellings of addresses, as ``0x7f.1``, are names: the
                transport checks the addresses that they resolve to.
        """
        address = read_address(host)
        if address is None:
            return None
        if reason := never_asked(address):
            return f"{host} is {reason} address, which is never asked"
        if _in(address, self._networks):
            return None
        kind = kind_of(address)
        if kind in self._names or (kind in KINDS and kind in self._more()):
            return None
        return (
            f"{host} is a {kind} address, which PROVIDER_NETWORKS does not allow; name its network there if your providers "
            "are in it"
        )


def read_address(host: str) -> Address | None:
    """Read an IP address, with or without brackets, a zone and a dot at its end; ``None`` for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0].rstrip("."))
    except ValueError:
        return None


@lru_cache(4096)
def never_asked(address: Address) -> str:
    """Return the kind of an address that is never asked, with its article; an empty text for any other."""
    for one in (address, *_carried(address)):
        if _in(one, _LINK_LOCAL):
            return "a link-local or multicast"
        if _in(one, _METADATA):
            return "a cloud's metadata"
    return ""


@lru_cache(4096)
def kind_of(address: Address) -> str:
    """Return ``public``, a name of ``KINDS``, ``translated`` or ``reserved``."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return kind_of(_low_bits(address, 0))
    for name, networks in KINDS.items():
        if _in(address, networks):
            return name
    if isinstance(address, IPv6Address) and address in _NAT64:
        return _PUBLIC if kind_of(_low_bits(address, 0)) == _PUBLIC else _TRANSLATED
    if _carried(address):
        return _TRANSLATED
    return _RESERVED_KIND if _in(address, _RESERVED) or not address.is_global else _PUBLIC


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address carries (RFC 4291, 6052, 3056, 4380, 5214)."""
    if isinstance(address, IPv4Address):
        return ()
    if address in _MAPPED or address in _NAT64:
        return (_low_bits(address, 0),)
    if address in _TEREDO:
        server, client = int(address) >> 64, ~int(address)
        return IPv4Address(server & 0xFFFFFFFF), IPv4Address(client & 0xFFFFFFFF)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return (_low_bits(address, 0),)
    return tuple(_low_bits(address, behind) for block, behind in _CARRIERS if address in block and int(address) > 1)


def _low_bits(address: IPv6Address, behind: int) -> IPv4Address:
    return IPv4Address((int(address) >> behind) & 0xFFFFFFFF)


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


ANY = Networks((_PUBLIC, *KINDS, _TRANSLATED, _RESERVED_KIND))
"""Where an operator's own servers may stand: anywhere but at addresses that are never asked."""
