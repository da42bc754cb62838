"""The errors of decoding untrusted JSON."""

from __future__ import annotations

import re

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Raised for unexpected JSON, for bad UTF-8 within a string, and for too many levels."""

_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"%b%b|(%b|%b)|\\." % (_HIGH, _LOW, _HIGH, _LOW), re.DOTALL)


def reason_of(error: Exception, document: bytes) -> str:
    """Return why a document is not JSON; of half a surrogate pair, msgspec may say that the document was truncated.

    Args:
        error: The decoder's error, one of :data:`NOT_JSON`.
        document: The document.
    """
    if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
        half = next((found[1] for found in _ESCAPE.finditer(document) if found[1]), None)
        if half:
            return f"its escape {half.decode()} is half of a surrogate pair, which is no character"
    return str(error)
