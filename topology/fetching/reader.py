"""Reads descriptions: compares their hashes, and makes their graphs, by the contexts that the operator provides."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import msgspec

from catena_core.errors import RejectedError, UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import printable
from catena_core.version import __version__
from topology.clients.http import Response, shown_url
from topology.clients.ledger import LedgerEntry
from topology.fetching.followed import digest
from topology.json_file import read_json_object
from topology.rdf.offering_graph import Description, read_description
from topology.records import HashCheck

_LONGEST_LINK = 8192
# RFC 8288, section 3: the target of a link in angle brackets, and its relation among its parameters.
_CONTEXT_LINK = re.compile(
    r'<([^<>]*)>[^<>,]*;\s*rel="?[^",<>]*http://www\.w3\.org/ns/json-ld#context\b', re.IGNORECASE
)

# Clients of ledgers write hashes as hexadecimal numbers or in Base64, or with the name of their function.
_HASH_PREFIX = re.compile("^(?:sha-?256[:=-])?(?:0x)?", re.IGNORECASE)
_NO_HASH = "0" * 64  # as contracts write it
_STANDARD_BASE64 = str.maketrans("-_", "+/")


class DescriptionReader:
    """Reads the descriptions that providers serve, one at a time. May be used by many threads.

    Args:
        contexts: The path of the file of contexts; empty for none.
        check: VERIFY_DESCRIPTION_HASH: ``off``, ``warn`` or ``enforce``.
        logger: The log of hashes that differ.

    Raises:
        UsageError: A file of contexts cannot be read.

    Attributes:
        digest: A digest of the program and the settings, which decide the outcome together with the description.
    """

    def __init__(self, contexts: str, check: str, logger: LinkLogger) -> None:
        self._contexts = read_contexts(contexts)
        self._check = check
        self._logger = logger
        # Parsing threads that compete for the interpreter lock take twice the processor time.
        self._turn = threading.Lock()
        self.digest = digest(__version__, msgspec.json.encode(self._contexts), check)

    def read(self, address: str, entry: LedgerEntry, response: Response, check: HashCheck) -> Description:
        """Read a description.

        Args:
            address: Its address on the ledger.
            entry: The ledger's entry.
            response: The provider's answer.
            check: What :meth:`compare_hash` says of it.

        Raises:
            RejectedError: It cannot be used.
        """
        if check == "differs":
            self._complain_of_hash(address, entry, response.body)
        with self._turn:
            return read_description(response.body, response.url, self._contexts, linked_context(response))

    def compare_hash(self, entry: LedgerEntry, body: bytes) -> HashCheck:
        """Compare a description, as its provider serves it, with the SHA-256 that the ledger has of it."""
        said = _HASH_PREFIX.sub("", entry.description_hash.strip())
        if said in ("", _NO_HASH) or self._check == "off":
            return ""
        found = hashlib.sha256(body).digest()
        in_base64 = base64.b64encode(found).decode().rstrip("=")
        is_same = said.lower() == found.hex() or said.rstrip("=").translate(_STANDARD_BASE64) == in_base64
        return "same" if is_same else "differs"

    def _complain_of_hash(self, address: str, entry: LedgerEntry, body: bytes) -> None:
        """Warn of a description that is another one than the ledger says.

        Raises:
            RejectedError: The settings refuse such a description.
        """
        problem = (
            f"{printable(shown_url(entry.description_uri))} of {printable(address)} has the hash {_sha256(body)}, but the "
            f"ledger says {entry.description_hash[:100]!r}: its provider has changed it since it was listed"
        )
        if self._check == "enforce":
            raise RejectedError(f"{problem}; VERIFY_DESCRIPTION_HASH=enforce refuses it")
        self._logger.log(problem, level="warning")


def linked_context(response: Response) -> str:
    """Return the URL of the context that an answer in plain JSON names in its ``Link`` header; empty if it names none.

    JSON-LD 1.1, section 6.1 (https://www.w3.org/TR/json-ld11/#interpreting-json-as-json-ld). An answer in JSON-LD has its own.
    """
    if response.headers.get("content-type", "").lower().startswith("application/ld+json"):
        return ""
    found = _CONTEXT_LINK.search(response.headers.get("link", "")[:_LONGEST_LINK])
    return found[1] if found else ""


def read_contexts(path: str) -> dict[str, Any]:
    """Read the JSON-LD contexts that the operator provides.

    Args:
        path: A JSON file ``{"https://example.org/context": "file.jsonld", …}``, files relative to it; empty for none.

    Raises:
        UsageError: One of the files cannot be read.
    """
    if not path:
        return {}
    file = Path(path)
    try:
        files = msgspec.convert(read_json_object(file.read_bytes()), dict[str, str])
        contexts = {}
        for url, name in files.items():
            file = Path(path).parent / name
            contexts[url] = read_json_object(file.read_bytes())
        return contexts
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f'JSONLD_CONTEXTS="{path}" should be a JSON file that maps the URLs of contexts to JSON files; {file}: {reason}'
        ) from error


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
