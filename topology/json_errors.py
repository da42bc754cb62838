"""What reading JSON from strangers can raise."""

from __future__ import annotations

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""For what is not the JSON that was expected: bad UTF-8 within a string, and too many levels, are errors of their own."""
