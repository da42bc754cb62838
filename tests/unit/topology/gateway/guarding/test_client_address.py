"""A client's address is what trusted proxies say, and nothing that the client says itself."""

from __future__ import annotations

import ipaddress

import pytest

from topology.gateway.guarding.client_address import client_address, site

PROXIES = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "1.1.1.1", "198.51.100.7"),  # no proxy of ours
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),  # the client made the first one up
        ("127.0.0.1", "1.1.1.1, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("127.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("fd00::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7, evil\r\nline", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", ",,,", "127.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_client_address_counts_what_trusted_proxies_wrote(peer: str, forwarded_for: str, address: str) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == address


def test_client_address_without_trusted_proxies_is_the_peer() -> None:
    assert client_address("127.0.0.1", "198.51.100.7", ()) == "127.0.0.1"


def test_site_of_ipv6_is_the_network_of_one_client() -> None:
    assert site("2001:db8::1") == site("2001:db8::ffff:1") == "2001:db8::/64"
    assert site("198.51.100.7") == "198.51.100.7"
