"""The engine as the settings say."""

from __future__ import annotations

from catena_core.monitoring.logs import LinkLogger
from federation.budget import Limits
from federation.engine import Engine
from topology.clients.redis_cache import Cache
from topology.settings import Settings

_MEBIBYTE = 1024 * 1024
# The part of an evaluator's memory that one query's answers from the nodes may take here, before they are sifted.
_PARTS = 8
# How long answers are kept unless the settings say it.
_SECONDS_KEPT = 60.0
# Answers kept in the process's own memory where there is no Redis; each has at most 256 KiB.
_ANSWERS_KEPT = 256


def make_engine(settings: Settings, logger: LinkLogger, is_told: bool) -> Engine:
    """An engine for a gateway.

    Args:
        settings: How much a query may take, and how long answers are kept.
        logger: Told when Redis goes, and when it is back.
        is_told: Whether topics tell what changes; if not, answers are kept only if the settings say so, and in this process
            alone.
    """
    host = settings.redis_host if is_told else ""
    seconds = settings.sparql_cache_ttl
    return Engine(
        timeout=settings.sparql_timeout,
        source_timeout=settings.node_timeout,
        limits=Limits(
            most_pulled_bytes=settings.sparql_memory * _MEBIBYTE // _PARTS,
            most_result_bytes=settings.sparql_result_max_bytes,
        ),
        workers=settings.sparql_workers,
        worker_memory=settings.sparql_memory * _MEBIBYTE,
        cache_ttl=seconds if seconds is not None else _SECONDS_KEPT if is_told else 0.0,
        store=Cache(host, settings.redis_port, settings.redis_db, logger, capacity=_ANSWERS_KEPT),
        services=frozenset(settings.sparql_services),
    )
