"""Makes the gateway's query engine from the settings."""

from __future__ import annotations

import os
from pathlib import Path

from catena_core.monitoring.logs import LinkLogger
from federation.budget import Limits
from federation.engine import Engine
from federation.view.contents import Contents
from topology.clients.http import Access
from topology.clients.redis_cache import Cache
from topology.preflight import check_view_directory
from topology.settings import Settings

_MEBIBYTE = 1024 * 1024
# The share of an evaluator's memory that the nodes' responses to one query may take in this process, before merging.
_PARTS = 8
# Seconds that results are cached when SPARQL_CACHE_TTL is auto.
_CACHE_TTL = 60.0
# Results cached in this process without Redis; each has at most 256 KiB.
_CACHED_RESULTS = 256


def make_engine(
    settings: Settings,
    logger: LinkLogger,
    has_topics: bool,
    access: Access | None = None,
    contents: Contents | None = None,
) -> Engine:
    """Make the engine for a gateway.

    Args:
        settings: The limits of a query, and the time to cache results.
        logger: Logs when Redis goes and when it is back.
        has_topics: Whether topics announce changes. If not, results are cached only if the settings ask for it, and only in
            this process.
        access: The nodes that it may ask, and the credentials for them.
        contents: The contents of placed graphs, for a view of all graphs; ``None``: have no view.

    Raises:
        UsageError: The directory for the view cannot be used.
    """
    if contents is not None and settings.gateway_view_directory:
        check_view_directory(settings.gateway_view_directory)
    host = settings.redis_host if has_topics else ""
    seconds = settings.sparql_cache_ttl

    def log_failure(node: str, reason: str) -> None:
        logger.log(f"queries go on without {node}: {reason}", level="warning")

    def log_view_off(reason: str) -> None:
        logger.log(f"the view is off, queries go to the nodes: {reason}", level="warning")

    overflow = _overflow_directory()

    def log_view_overflow(reason: str) -> None:
        logger.log(
            f"the view is built again on disk, in {overflow}: {reason}; to begin there, set GATEWAY_VIEW_DIRECTORY",
            level="warning",
        )

    return Engine(
        timeout=settings.sparql_timeout,
        source_timeout=settings.node_timeout,
        limits=Limits(
            max_fetched_bytes=settings.sparql_memory * _MEBIBYTE // _PARTS,
            max_result_bytes=settings.sparql_result_max_bytes,
        ),
        workers=settings.sparql_workers,
        worker_memory=settings.sparql_memory * _MEBIBYTE,
        cache_ttl=seconds if seconds is not None else _CACHE_TTL if has_topics else 0.0,
        store=Cache(
            host,
            settings.redis_port,
            settings.redis_db,
            logger,
            capacity=_CACHED_RESULTS,
            security=settings.redis_security,
        ),
        services=frozenset(settings.sparql_services),
        access=access,
        on_node_failure=log_failure,
        contents=contents,
        view_bytes=settings.gateway_view_bytes,
        view_directory=settings.gateway_view_directory,
        view_overflow=overflow,
        on_view_off=log_view_off,
        on_view_overflow=log_view_overflow,
    )


def _overflow_directory() -> str:
    """Name a directory of this user's for what can be made again; empty where there is none.

    See https://specifications.freedesktop.org/basedir-spec/latest/.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return ""
    return str(cache / "catena" / "view") if cache.is_absolute() else ""
