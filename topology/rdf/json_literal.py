"""JSON literals in their canonical form (JSON Canonicalization Scheme, RFC 8785, https://www.rfc-editor.org/rfc/rfc8785)."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any


def canonical_json(value: Any) -> str:
    """Write a JSON value so that equal values give equal texts."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(key)}:{canonical_json(item)}" for key, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _text(value) if isinstance(value, str) else _number(float(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(number: float) -> str:
    """Write a number as ECMAScript does (section 3.2.2.3)."""
    if number == 0:
        return "0"
    if number.is_integer() and abs(number) < 1e21:
        # The shortest digits that identify the number, not those of its exact value.
        return format(Decimal(repr(number)).quantize(1), "f")
    if 1e-6 <= abs(number) < 1e21:
        return format(Decimal(repr(number)), "f")
    digits, _, exponent = repr(number).partition("e")
    assert math.isfinite(number), "JSON has neither infinity nor NaN"
    return f"{digits}e{int(exponent):+d}"
