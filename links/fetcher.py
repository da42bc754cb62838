"""Fetches descriptions and turns each into the graph that the nodes store.

Run it alone with ``python links/fetcher.py -k localhost:9092``; start more of it to share the addresses.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import msgspec

from catena_core import Electron
from catena_core.errors import RejectedError, UsageError
from topology import records, topics
from topology.catalogue_link import CatalogueLink, now_in_milliseconds
from topology.clients.http import Response, UnsafeError, WebClient
from topology.clients.ledger import Ledger, LedgerEntry, NotListedError
from topology.clients.redis_cache import Cache
from topology.json_errors import NOT_JSON
from topology.rdf.offering_graph import Description, read_description
from topology.records import AddressEvent, Offering, OfferingHead

_ACCEPT = "application/ld+json, application/json;q=0.9"
_VALIDATORS_KEPT = 7 * 24 * 3600.0


class Fetcher(CatalogueLink):
    """Fetches the description of each address, and emits its canonical graph where it has changed.

    It asks the ledger for the address, and the provider for the description, unless its entity tag is still current. It parses
    the JSON-LD, takes the graph of its one sedimark:Offering, names blank nodes after their canonical labels, and emits the
    result to the compacted topic. A delisted address gets a tombstone. An unreadable description goes to the dead letters with
    its reason.

    Settings: DLT_BASE_URL, OFFERING_DESC_TIMEOUT (60 s), OFFERING_MAX_BYTES, VERIFY_DESCRIPTION_HASH (warn),
    WORKER_POOL_SIZE (10 at a time), JSONLD_CONTEXTS,
    REDIS_HOST, REDIS_PORT, REDIS_DB.
    """

    inputs = (topics.ADDRESSES,)
    outputs = (topics.OFFERINGS,)
    batch_size = 50
    backoff = (1.0, 20.0)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.lanes = 10

    def setup(self) -> None:
        """Make the clients, and read back the offerings emitted before."""
        super().setup()
        settings = self.settings
        self.lanes = settings.worker_pool_size
        web = WebClient(settings.offering_desc_timeout, settings.offering_max_bytes)
        self._web = web
        self._ledger = Ledger(settings.dlt_base_url, web)
        self._contexts = read_contexts(settings.jsonld_contexts)
        self._validators = Cache(settings.redis_host, settings.redis_port, settings.redis_db, self.logger)
        self._partitions = self.partition_count(self.output_topics[0])
        self._emitted: dict[str, OfferingHead | None] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._offerings = self.table(
            self.output_topics[0],
            decode=records.read_head,
            accept=records.is_newer_claim,
            on_change=self._read_back,
        )

    def transform(self, electron: Electron) -> list[Electron] | None:
        """Update the offering of one address."""
        event = records.from_text(electron.value, AddressEvent)
        address = str(electron.key)
        if event.kind == "delisted":
            return self._withdraw(address)
        try:
            entry = self._ledger.entry(address)
            known = self._known(address)
            response = self._fetch(entry, known)
        except NotListedError:
            # Delisted since the listing; the next listing will lack it.
            self.logger.log(f"{address} is listed, but the ledger has no entry for it", level="warning")
            raise
        except UnsafeError as error:
            raise RejectedError(str(error)) from error
        if response is None:
            return None
        self._verify(address, entry, response.body)
        # Parsing threads that compete for the interpreter lock take twice the processor time.
        with self._turn:
            description = read_description(response.body, response.url, self._contexts)
        return self._emit(address, entry, description, response.headers.get("etag", ""))

    def _fetch(self, entry: LedgerEntry, known: OfferingHead | None) -> Response | None:
        """Fetch the description; return ``None`` if it has not changed."""
        source = entry.description_uri
        headers = {"Accept": _ACCEPT}
        if known is not None and (known.owner, known.name, known.source) == (entry.owner, entry.name, source):
            etag = self._validators.get(_validator_key(source, known.digest)) or known.etag
            if etag:
                headers["If-None-Match"] = etag
        response = self._web.request("GET", source, headers=headers)
        if response.status == 304 and "If-None-Match" in headers:
            return None
        if response.status != 200:
            raise DescriptionMissingError(f"{source} answers with status {response.status}")
        return response

    def _verify(self, address: str, entry: LedgerEntry, body: bytes) -> None:
        """Compare a description, as its provider serves it, with the SHA-256 that the ledger has of it.

        Raises:
            RejectedError: It is another one, and the settings refuse that.
        """
        if not entry.description_hash or self.settings.verify_description_hash == "off":
            return
        found = hashlib.sha256(body).hexdigest()
        if found == entry.description_hash.strip().lower():
            return
        problem = (
            f"{entry.description_uri} of {address} has the hash {found}, but the ledger says "
            f"{entry.description_hash[:100]!r}: its provider has changed it since it was listed"
        )
        if self.settings.verify_description_hash == "enforce":
            raise RejectedError(f"{problem}; VERIFY_DESCRIPTION_HASH=enforce refuses it")
        self.logger.log(problem, level="warning")

    def _emit(self, address: str, entry: LedgerEntry, description: Description, etag: str) -> list[Electron]:
        known = self._known(address)
        if etag:
            self._validators.put(_validator_key(entry.description_uri, description.digest), etag, _VALIDATORS_KEPT)
        found = OfferingHead(
            graph=description.graph,
            digest=description.digest,
            claimed_at=known.claimed_at if known and known.graph == description.graph else now_in_milliseconds(),
            owner=entry.owner,
            name=entry.name,
            source=entry.description_uri,
            etag=etag,
        )
        if known is not None and msgspec.structs.replace(known, etag=etag) == found:
            return []
        electrons = []
        if known is not None and known.graph != description.graph:
            electrons.append(self._tombstone(address, known.graph))
        offering = Offering(triples=description.triples, **msgspec.structs.asdict(found))
        electrons.append(Electron(address, records.to_text(offering), partition=self._partition(description.graph)))
        self._remember(address, found)
        return electrons

    def _withdraw(self, address: str) -> list[Electron]:
        known = self._known(address)
        if known is None:
            return []
        self._remember(address, None)
        return [self._tombstone(address, known.graph)]

    def _tombstone(self, address: str, graph: str) -> Electron:
        return Electron(address, None, partition=self._partition(graph))

    def _partition(self, graph: str) -> int:
        return topics.graph_partition(graph, self._partitions)

    # The offerings emitted so far: those read back from the topic, and newer ones of this instance.

    def _known(self, address: str) -> OfferingHead | None:
        with self._lock:
            if address in self._emitted:
                return self._emitted[address]
            return self._offerings.get(address)

    def _remember(self, address: str, known: OfferingHead | None) -> None:
        with self._lock:
            self._emitted[address] = known

    def _read_back(self, address: str, _old: OfferingHead | None, new: OfferingHead | None) -> None:
        with self._lock:
            if address in self._emitted and self._emitted[address] == new:
                del self._emitted[address]


class DescriptionMissingError(Exception):
    """The provider does not serve the description now, but may later."""


def read_contexts(path: str) -> dict[str, Any]:
    """Read the JSON-LD contexts that the operator provides.

    Args:
        path: A JSON file ``{"https://example.org/context": "file.jsonld", …}``, files relative to it; empty for none.

    Raises:
        UsageError: One of the files cannot be read.
    """
    if not path:
        return {}
    folder = Path(path).parent
    try:
        files = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, str])
        return {url: msgspec.json.decode((folder / name).read_bytes()) for url, name in files.items()}
    except (OSError, *NOT_JSON) as error:
        raise UsageError(
            f'JSONLD_CONTEXTS="{path}" should be a JSON file that maps the URLs of contexts to JSON files: {error}'
        ) from error


def _validator_key(source: str, digest: str) -> str:
    """Return the cache key of an entity tag, which is valid only for its own provider."""
    return f"etag {digest} {source}"


if __name__ == "__main__":
    Fetcher().start()
