"""Small functions of Catenae, for links that were written for it; new links need none of them."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from typing import Any


def get_timestamp() -> int:
    """Give the seconds since the Unix epoch."""
    return round(time.time())


def get_timestamp_ms() -> int:
    """Give the milliseconds since the Unix epoch."""
    return round(time.time() * 1000)


def dump_dict(content: Any) -> str:
    """Write JSON without blanks."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def dump_dict_pretty(content: Any) -> str:
    """Write JSON for people."""
    return json.dumps(content, indent=4, ensure_ascii=False)


def load_dict(text: str) -> Any:
    """Read JSON."""
    return json.loads(text)


def blake2b_256(text: str) -> str:
    """Give the BLAKE2b hash of a text in 32 bytes, as hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def blake2b_512(text: str) -> str:
    """Give the BLAKE2b hash of a text in 64 bytes, as hexadecimal digits."""
    return hashlib.blake2b(text.encode()).hexdigest()


def sha3_512(text: str) -> str:
    """Give the SHA3-512 hash of a text, as hexadecimal digits."""
    return hashlib.sha3_512(text.encode()).hexdigest()


def get_uid() -> str:
    """Make a name that nothing else has."""
    return uuid.uuid4().hex[:12]
