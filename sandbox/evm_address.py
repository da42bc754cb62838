"""Addresses of the ledger with the checksum in their letters' cases (EIP-55, https://eips.ethereum.org/EIPS/eip-55)."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_RATE = 136
_ROUNDS = 24


def with_checksum(address: str) -> str:
    """Write an address as EIP-55 wants it: a letter is a capital where the Keccak-256 of the address has a digit from 8.

    Args:
        address: ``0x`` and 40 hexadecimal digits.
    """
    digits = address[2:].lower()
    digest = keccak_256(digits.encode()).hex()
    return "0x" + "".join(digit.upper() if mark >= "8" else digit for digit, mark in zip(digits, digest, strict=False))


def keccak_256(message: bytes) -> bytes:
    """Hash a message of fewer than 136 bytes by Keccak as Ethereum uses it, before the padding that SHA-3 brought.

    The algorithm is that of the Keccak reference, version 3.0 (https://keccak.team/files/Keccak-reference-3.0.pdf).

    Raises:
        ValueError: The message is longer.
    """
    if len(message) >= _RATE:
        raise ValueError(f"a message of fewer than {_RATE} bytes, not {len(message)}")
    block = bytearray(message.ljust(_RATE, b"\0"))
    block[len(message)] ^= 0x01
    block[-1] ^= 0x80
    lanes = [int.from_bytes(block[start : start + 8], "little") for start in range(0, _RATE, 8)] + [0] * 8
    for constant in _CONSTANTS:
        lanes = _round(lanes, constant)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _round(lanes: list[int], constant: int) -> list[int]:
    """Apply the steps theta, rho and pi, chi, and iota. Lane (x, y) stands at x + 5 * y."""
    columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
    parities = [columns[x - 1] ^ _rotated(columns[(x + 1) % 5], 1) for x in range(5)]
    moved = [0] * 25
    for source, (target, distance) in enumerate(_MOVES):
        moved[target] = _rotated(lanes[source] ^ parities[source % 5], distance)
    mixed = [
        moved[row + x] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5])
        for row in range(0, 25, 5)
        for x in range(5)
    ]
    mixed[0] ^= constant
    return mixed


def _rotated(lane: int, distance: int) -> int:
    return ((lane << distance) | (lane >> (64 - distance))) & _MASK


def _moves() -> list[tuple[int, int]]:
    """List the target and the rotation of each lane in the steps rho and pi."""
    moves = [(0, 0)] * 25
    x, y = 1, 0
    for step in range(_ROUNDS):
        distance = (step + 1) * (step + 2) // 2 % 64
        moves[x + 5 * y] = (y + 5 * ((2 * x + 3 * y) % 5), distance)
        x, y = y, (2 * x + 3 * y) % 5
    return moves


def _constants() -> list[int]:
    """Compute the constants of the step iota by the linear feedback shift register of the specification."""
    constants = []
    register = 1
    for _ in range(_ROUNDS):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << (2**power - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


_MOVES = _moves()
_CONSTANTS = _constants()
