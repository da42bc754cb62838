"""Makes inputs out of samples: by bytes, and by the structure of JSON. The same seed makes the same inputs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

_MOST_BYTES = 60_000
_ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 10**30, "", " ", "@id", "@type", "@value", "@none", "@json", "_:b", "//h/../x", "a:b",
    "http://a b", "\u0000", "\ud800", "\u2028", "x" * 3000, [], {}, [[]], [None], {"": ""}, {"@list": []}, {"@set": [[]]},
    {"@id": None}, {"@value": None}, {"@context": None}, {"@context": {}}, {"@graph": []}, {"@reverse": {}},
)  # fmt: skip
_ODD_BYTES = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1e999", b"-0", b"NaN", b"{", b"}", b"[", b"]",
    b'"', b"\\", b"\n", b"\r\n", b"\t", b"<<( ", b" )>>", b"<", b">", b"_:", b"@", b"^^", b".", b"'''",
)  # fmt: skip


def inputs(samples: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yield the samples, and then inputs made out of them, without end.

    Args:
        samples: Inputs that are read without error, or nearly.
        seed: Seed of the choices.
    """
    chance = random.Random(seed)
    yield from samples
    while True:
        yield mutated(chance.choice(samples), samples, chance)


def mutated(data: bytes, samples: Sequence[bytes], chance: random.Random) -> bytes:
    """Change an input at some places."""
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        structured = _mutated_json(data, samples, chance) if chance.random() < 0.6 else None
        data = _mutated_bytes(data, samples, chance) if structured is None else structured
    return data[:_MOST_BYTES]


def _mutated_bytes(data: bytes, samples: Sequence[bytes], chance: random.Random) -> bytes:
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice((0, 1, 2, 8, 64)))
    piece = data[start:end]
    kind = chance.randrange(6)
    if kind == 0:
        piece = bytes(chance.randrange(256) for _ in range(chance.randint(0, 4)))
    elif kind == 1:
        piece = chance.choice(_ODD_BYTES)
    elif kind == 2:
        piece = piece * chance.choice((2, 3, 50, 2000))
    elif kind == 3:
        other = chance.choice(samples)
        at = chance.randint(0, len(other))
        piece = other[at : at + chance.choice((1, 8, 64, 512))]
    elif kind == 4:
        piece = b""
    else:
        piece = chance.choice(_ODD_BYTES) * chance.choice((2, 20, 5000))
    return data[:start] + piece + data[end:]


def _mutated_json(data: bytes, samples: Sequence[bytes], chance: random.Random) -> bytes | None:
    try:
        content = json.loads(data)
        other = json.loads(chance.choice(samples))
    except (ValueError, RecursionError):
        return None
    parts = list(_parts(content))
    if not parts:
        return None
    container, key = chance.choice(parts)
    kind = chance.randrange(6)
    if kind == 0:
        container[key] = chance.choice(_ODD_VALUES)
    elif kind == 1:
        container[key] = [container[key]] * chance.choice((1, 2, 40))
    elif kind == 2:
        others = list(_parts(other))
        if others:
            from_container, from_key = chance.choice(others)
            container[key] = from_container[from_key]
    elif kind == 3 and isinstance(container, dict):
        container[chance.choice(_keys(content) + _keys(other) + ["", "@context", "\u0000"])] = container.pop(key)
    elif kind == 4:
        deep = container[key]
        for _ in range(chance.choice((1, 3, 30, 90))):
            deep = {chance.choice(_keys(content) or ["a"]): deep} if chance.random() < 0.7 else [deep]
        container[key] = deep
    else:
        del container[key]
    try:
        # Not every text that Python writes as JSON is UTF-8.
        return json.dumps(content, ensure_ascii=chance.random() < 0.3).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None


def _parts(content: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [content]
    while waiting:
        part = waiting.pop()
        keys: Any = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            yield part, key
            waiting.append(part[key])


def _keys(content: Any) -> list[str]:
    return [key for container, key in _parts(content) if isinstance(container, dict)]
