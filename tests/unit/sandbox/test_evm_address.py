"""EIP-55 addresses, by the examples of that proposal."""

from __future__ import annotations

import pytest

from sandbox.evm_address import keccak_256, with_checksum
from sandbox.made_up_offerings import generate


@pytest.mark.parametrize(
    "address",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_with_checksum_of_an_address_in_any_case_gives_the_case_of_the_proposal(address: str) -> None:
    assert with_checksum(address.lower()) == address
    assert with_checksum("0x" + address[2:].upper()) == address


def test_keccak_256_of_nothing_is_the_known_one() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_keccak_256_of_more_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 136 bytes"):
        keccak_256(b"x" * 136)


def test_made_up_offerings_have_addresses_and_owners_with_checksums() -> None:
    for offering in generate(20):
        assert offering.address == with_checksum(offering.address)
        assert offering.owner == with_checksum(offering.owner)
