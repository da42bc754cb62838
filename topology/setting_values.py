"""The kinds of values that settings have: each function reads one, and says what it should be.

They take the text of a variable, return the value, and raise ``ValueError`` whose message goes on after "should be".
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from catena_core.text import conceal
from federation.networks import KINDS, Network

# Shorter intervals would keep a processor and the servers busy; longer ones overflow in timers of other libraries.
_LEAST_SECONDS, _MOST_SECONDS = 0.01, 100_000_000
_HOST = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?")


class Secret:
    """A text that no message, log line or representation shows.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        conceal(text)

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "***" if self._text else "''"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def switch(text: str) -> bool:
    """Read 0 or 1."""
    values = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
    if text.lower() not in values:
        raise ValueError("0 or 1")
    return values[text.lower()]


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return the reader of whole numbers within these bounds."""

    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text) else least - 1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    try:
        number = float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        number = 0.0
    if not number > 0:
        raise ValueError("a number of seconds above 0")
    if not _LEAST_SECONDS <= number <= _MOST_SECONDS:
        raise ValueError(f"a number of seconds above 0, from {_LEAST_SECONDS} to {_MOST_SECONDS}")
    return number


def seconds_or_auto(text: str) -> float | None:
    """Read a number of seconds, 0, or ``auto``, which is ``None``."""
    try:
        return None if text == "auto" else 0.0 if float(text) == 0 else seconds(text)
    except ValueError:
        raise ValueError("a number of seconds, 0, or auto")


def hosts(text: str) -> tuple[str, ...]:
    """Read the names of hosts, by comma."""
    hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
    if not all(_HOST.fullmatch(host) and _is_url(f"http://{host}") for host in hosts):
        raise ValueError("hosts with commas between them, each with its port if need be: a.example,b.example:8080")
    return hosts


def host(text: str) -> str:
    """Read the name or the address of a host, or nothing."""
    try:
        if text and not re.fullmatch(r"[\w.-]+", text):
            ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise ValueError("a host alone, or empty: its port, user and password have settings of their own")
    return text


def text(text: str) -> str:
    """Read a text that is not empty."""
    if not text:
        raise ValueError("some text")
    return text


def count_or_file(text: str) -> str:
    """Read a number of offerings, or the path of a file."""
    if not re.fullmatch("[0-9]{1,9}", text) and not os.path.isfile(text):  # noqa: PTH113 (no error for long names)
        raise ValueError("a number of offerings, or a file")
    return text


def any_text(text: str) -> str:
    """Read a text, which may be empty."""
    return text


def url(text: str) -> str:
    """Read an ``http`` or ``https`` address, without query and fragment."""
    if not _is_url(text) or "?" in text or "#" in text:
        raise ValueError("an address with its scheme, without ? and #, for instance http://host:8085/api")
    return text.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    # A password that should have been percent-encoded may leave an @ behind the host.
    is_clean = text.isprintable() and " " not in text and "@" not in parts.path + parts.query + parts.fragment
    return parts.scheme in ("http", "https") and bool(host) and is_clean


def host_url(text: str) -> str:
    """Read the address of a host, without port and path."""
    parts = urlsplit(text) if _is_url(text) else None
    if parts is None or parts.port is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("an address with its scheme, without port and path, for instance http://global-catalogue")
    return text.rstrip("/")


def url_or_none(text: str) -> str:
    """Read an address without a user, or nothing."""
    if "@" in text:
        raise ValueError("an address without a user and a password")
    return url(text) if text else ""


def port_or_none(text: str) -> int | None:
    """Read a port, or nothing, which is ``None``."""
    return whole(0, 65535)(text) if text else None


def networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks, by comma."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("addresses and CIDR blocks with commas between them: 127.0.0.1,10.2.0.0/16")


def template(text: str) -> str:
    """Read an address in which scheme and host are left open."""
    try:
        filled = url(text.format(scheme="http", host="host"))
    except (ValueError, KeyError, IndexError, AttributeError):
        raise ValueError(
            "an address in which {scheme} and {host} may stand, for instance {scheme}://{host}:3030/catalogue"
        )
    if "@" in urlsplit(filled).netloc:
        raise ValueError(
            "without a user and a password, since every owner's host would get them; NODE_CREDENTIALS holds those of a node"
        )
    return text


def provider_networks(text: str) -> tuple[str | Network, ...]:
    """Read kinds of networks and networks, by comma, or ``auto``."""
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    known = {"public", *KINDS}
    try:
        found = tuple(part if part in known else ipaddress.ip_network(part) for part in parts if part != "auto")
    except ValueError:
        found = ()
    if parts == ["auto"]:
        return ("auto",)
    if not found or "auto" in parts:
        raise ValueError(f"auto, or some of {', '.join(sorted(known))} and networks such as 10.2.0.0/16, by comma")
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """Return the reader of one of these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return parse
