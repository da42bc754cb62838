"""The API keys of clients, from an operator's file."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
import threading
import time
from pathlib import Path
from typing import Annotated

import msgspec

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import conceal
from topology.gateway.guarding.clients import Client
from topology.json_file import read_entries

_LOOK_EVERY = 1.0
_IN_A_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_SHAPE = '{"dashboard": {"key": "<16 characters or more>"}, "operator": {"sha256": "<64 hex digits>", "admin": true}}'


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=16, max_length=1024)] = ""
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] = ""
    admin: bool = False


class ApiKeys:
    """Knows clients by their keys. May be used by many threads.

    It compares digests of keys, each with all of them, so that the time tells nothing of a key.

    Args:
        file: The file of GATEWAY_API_KEYS_FILE, read again after each change.
        logger: Logs a file that others may read, and one that can no longer be read.

    Raises:
        UsageError: The file cannot be read.
    """

    def __init__(self, file: str, logger: LinkLogger) -> None:
        self._file = Path(file)
        self._logger = logger
        self._lock = threading.Lock()
        self._clients: dict[bytes, Client] = {}
        self._seen: tuple[int, int] | None = None
        self._last_error = ""
        self._read()
        self._next_look = time.monotonic() + _LOOK_EVERY
        if not self._clients:
            logger.log(f"GATEWAY_API_KEYS_FILE={file} names no client, so no key opens anything", level="warning")
        if self._file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.log(
                f"GATEWAY_API_KEYS_FILE={file} can be read by other users of this machine; chmod 600 changes that",
                level="warning",
            )

    def known_by(self, secret: str) -> Client | None:
        """Return the client whose key this is; ``None`` if it is nobody's."""
        with self._lock:
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _LOOK_EVERY
                self._look()
            clients = self._clients
        digest = _digest(secret)
        found = [client for known, client in clients.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def _look(self) -> None:
        try:
            self._read()
            self._last_error = ""
        except UsageError as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                self._logger.log(f"{error}; the keys stay as they were", level="error")

    def _read(self) -> None:
        try:
            status = self._file.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._clients = read_api_keys(self._file.read_bytes(), str(self._file))
                self._seen = seen
        except OSError as error:
            raise UsageError(f"GATEWAY_API_KEYS_FILE={self._file} cannot be read: {error.strerror}") from error


def read_api_keys(content: bytes, name: str) -> dict[bytes, Client]:
    """Read the keys of clients, and conceal them.

    Args:
        content: The file's content: an object by name of the client. Each has a ``key``, or the ``sha256`` of one, and may have
            ``admin``.
        name: Its name in error messages.

    Returns:
        The clients by the SHA-256 of their keys.

    Raises:
        UsageError: The content is something else; the message shows none of it but names.
    """
    try:
        entries = read_entries(content, _Entry)
    except ValueError as error:
        raise UsageError(f"GATEWAY_API_KEYS_FILE={name} should be like {_SHAPE}: {error}") from error
    clients: dict[bytes, Client] = {}
    for client, entry in entries.items():
        if bool(entry.key) == bool(entry.sha256):
            raise UsageError(
                f"GATEWAY_API_KEYS_FILE={name}: {client!r} should have either key or sha256, as in {_SHAPE}"
            )
        conceal(entry.key)
        if entry.key and not _IN_A_HEADER.fullmatch(entry.key):
            raise UsageError(
                f"GATEWAY_API_KEYS_FILE={name}: no header can carry the key of {client!r}: it is of printable ASCII, without "
                "blanks and line ends around it"
            )
        digest = _digest(entry.key) if entry.key else bytes.fromhex(entry.sha256)
        if digest in clients:
            raise UsageError(f"GATEWAY_API_KEYS_FILE={name}: {client!r} has the key of {clients[digest].name!r}")
        clients[digest] = Client(client, entry.admin)
    return clients


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
