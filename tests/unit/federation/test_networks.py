"""The addresses at which strangers' servers may stand, in every form that leads there."""

from __future__ import annotations

import ipaddress

import pytest

from federation.networks import ANY, Networks, kind_of, read_address

PUBLIC = Networks(("public",))
METADATA = "a9fe:a9fe"  # 169.254.169.254


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.169.254.",
        "[fe80::1%25eth0]",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        f"::ffff:{METADATA}",
        f"::{METADATA}",
        f"::ffff:0:{METADATA}",
        f"64:ff9b::{METADATA}",
        f"64:ff9b:1::{METADATA}",
        f"2002:{METADATA}::1",
        f"2001:0:{METADATA}::1",
        "2001:0:808:808:0:0:5601:5601",  # Teredo writes the client's address inverted
        f"2001:db8::5efe:{METADATA}",
        f"2001:db8::200:5efe:{METADATA}",
        "64:ff9b::6464:64c8",
    ],
)
@pytest.mark.parametrize(
    "networks", [PUBLIC, ANY, Networks((ipaddress.ip_network("::/0"), ipaddress.ip_network("0.0.0.0/0")))]
)
def test_networks_address_that_clouds_and_links_keep_is_never_asked(networks: Networks, host: str) -> None:
    assert "never asked" in (networks.refusal(host) or "")


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("::1", "loopback"),
        ("::", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared"),
        ("100.127.255.254", "shared"),
        ("fd00::1", "unique-local"),
        ("fc00::1", "unique-local"),
        ("64:ff9b::7f00:1", "translated"),
        ("64:ff9b::a00:1", "translated"),
        ("64:ff9b:1::808:808", "translated"),
        ("2002:808:808::1", "translated"),
        ("2002:7f00:1::", "translated"),
        ("::7f00:1", "translated"),
        ("2001:0:808:808::1", "translated"),
        ("2001:4860::5efe:808:808", "translated"),
        ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"),
        ("240.0.0.1", "reserved"),
        ("fec0::1", "reserved"),
        ("2001:db8::1", "reserved"),
    ],
)
def test_networks_address_outside_of_the_internet_is_refused_to_strangers(host: str, kind: str) -> None:
    assert f"is a {kind} address, which PROVIDER_NETWORKS does not allow" in (PUBLIC.refusal(host) or "")
    assert ANY.refusal(host) is None


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "100.63.255.255", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "a.example"]
)
def test_networks_internet_is_open(host: str) -> None:
    assert PUBLIC.refusal(host) is None


def test_networks_block_opens_its_addresses_alone() -> None:
    networks = Networks(("public", ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("fd12::/16")))

    assert networks.refusal("10.2.3.4") is None
    assert networks.refusal("fd12::1") is None
    assert networks.refusal("10.3.0.1")
    assert networks.refusal("fd13::1")


def test_networks_without_public_refuse_the_internet() -> None:
    assert Networks(("private",)).refusal("8.8.8.8")


def test_networks_ask_for_more_kinds_only_when_they_need_to() -> None:
    asked = []

    def more() -> tuple[str, ...]:
        asked.append(1)
        return ("private",)

    networks = Networks(("public",), more)

    assert networks.refusal("8.8.8.8") is None and not asked
    assert networks.refusal("10.0.0.1") is None and asked
    assert networks.refusal("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "1.2.3.4.5", "", "a.example."])
def test_read_address_name_is_no_address(host: str) -> None:
    assert read_address(host) is None


def test_kind_of_every_block_of_the_standard_library_that_is_not_global_is_not_public() -> None:
    private = [*ipaddress.IPv4Address._constants._private_networks, *ipaddress.IPv6Address._constants._private_networks]  # type: ignore[attr-defined]

    assert private
    assert not [block for block in private if kind_of(block[1] if block.num_addresses > 1 else block[0]) == "public"]
