"""Pages of long lists, by ``limit`` and ``offset``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

_LARGEST_OFFSET = 10**12


class Paging(NamedTuple):
    """A page of a list.

    Attributes:
        limit: The number of entries on a full page.
        offset: The number of entries before this page.
    """

    limit: int
    offset: int

    def links(self, total: int, kept: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
        """Return the parameters of other pages, by their relations (RFC 8288): ``first``, ``last``, ``prev``, ``next``.

        Args:
            total: The number of entries on all pages.
            kept: Further parameters of the request.
        """
        limit, offset = self
        last = max(total - 1, 0) // limit * limit
        places = {"first": 0, "last": last}
        if offset > 0:
            places["prev"] = max(min(offset - limit, last), 0)
        if offset + limit < total:
            places["next"] = offset + limit
        return {name: f"?{urlencode([*kept, ('limit', limit), ('offset', place)])}" for name, place in places.items()}


def read_paging(arguments: Mapping[str, str], default: int, most: int) -> Paging:
    """Read ``limit`` and ``offset`` of a request.

    Args:
        arguments: The request's parameters.
        default: The limit without one.
        most: The largest limit.

    Raises:
        ValueError: One of them is none.
    """
    return Paging(_number(arguments, "limit", default, 1, most), _number(arguments, "offset", 0, 0, _LARGEST_OFFSET))


def link_header(links: Mapping[str, str]) -> str:
    """Write links as the header ``Link`` (RFC 8288)."""
    return ", ".join(f'<{address}>; rel="{name}"' for name, address in links.items())


def _number(arguments: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = arguments.get(name, str(default))
    # int() accepts digits of other scripts, and takes long for many digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise ValueError(f"{name} is a whole number from {least} to {most}, not {text[:100]!r}")
    return int(text)
