"""What servers say about time: Retry-After, freshness and validators.

RFC 9110, sections 8.8 and 10.2.3; RFC 9111, sections 4.2 and 5.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?([0-9]{1,12})', re.IGNORECASE)
# What a server that gives no time means by 429, in seconds.
_TOO_MANY_REQUESTS_PAUSE = 60.0
_NOT_STORED = re.compile(r"(?:^|[,\s])(?:no-cache|no-store)(?=$|[,\s=])", re.IGNORECASE)


def retry_after(status: int, headers: Mapping[str, str], now: float, longest: float) -> float:
    """Return the seconds until a server wants the next request; 0 if it does not say.

    Args:
        status: The status of its answer.
        headers: The headers of the answer.
        now: Seconds since the Unix epoch.
        longest: The most seconds.
    """
    text = headers.get("retry-after", "").strip()
    is_number = text.isascii() and text.isdigit() and len(text) <= 12
    seconds = float(text) if is_number else _until(text, _answered_at(headers, now))
    if seconds <= 0 and status == 429 and not is_number:
        seconds = _TOO_MANY_REQUESTS_PAUSE
    return max(0.0, min(seconds, longest))


def fresh_for(headers: Mapping[str, str], now: float, longest: float) -> float:
    """Return the seconds for which an answer stays fresh; 0 if its provider does not say.

    Args:
        headers: The headers of the answer.
        now: Seconds since the Unix epoch.
        longest: The most seconds.
    """
    control = headers.get("cache-control", "")
    if _NOT_STORED.search(control):
        return 0.0
    if found := _MAX_AGE.search(control):
        age = headers.get("age", "").strip()
        seconds = float(found[1]) - (float(age) if age.isascii() and age.isdigit() and len(age) <= 12 else 0.0)
    elif expires := headers.get("expires", ""):
        seconds = _until(expires, _answered_at(headers, now))
    else:
        return 0.0
    return max(0.0, min(seconds, longest))


def entity_tag(headers: Mapping[str, str]) -> str:
    """Return the entity tag by which to ask for a change; empty without one.

    ``*`` is none: it stands for any content, so servers would always answer that nothing has changed.
    """
    tag = headers.get("etag", "")
    return "" if tag.strip() == "*" else tag


def modified_at(headers: Mapping[str, str], now: float) -> str:
    """Return the date by which to ask for a change; empty without one that tells changes apart.

    A content may change twice within a second, and a date in the future hides all changes until then.

    Args:
        headers: The headers of the answer.
        now: Seconds since the Unix epoch.
    """
    text = headers.get("last-modified", "")
    if not text:
        return ""
    age = -_until(text, _answered_at(headers, now))
    return text if age >= 1 else ""


def _answered_at(headers: Mapping[str, str], now: float) -> float:
    """Return the time of an answer in seconds since the Unix epoch, by the server's own clock where it gives it."""
    return now + _until(headers.get("date", ""), now)


def _until(date: str, now: float) -> float:
    """Return the seconds until an HTTP date; 0 if it is none."""
    if not date:
        return 0.0
    try:
        found = parsedate_to_datetime(date)
        # The oldest of the three forms names no zone, and means UTC (RFC 9110, section 5.6.7).
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
