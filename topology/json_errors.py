"""The errors of decoding untrusted JSON."""

from __future__ import annotations

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Raised for unexpected JSON, for bad UTF-8 within a string, and for too many levels."""
