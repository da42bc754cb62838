"""The files that the settings name: read before anything starts, since a link reads its own late, or again and again."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from topology.access import LinkAccess
from topology.fetching.reader import read_contexts
from topology.gateway.guarding.guard_factory import make_guard
from topology.settings import Settings


def check_files(chosen: Settings) -> None:
    """Refuse files that a link would refuse; the list of nodes is read by those who need the nodes.

    Args:
        chosen: The settings.

    Raises:
        UsageError: A file is missing or wrong; the message names it and its setting.
    """
    LinkAccess(chosen)
    read_contexts(chosen.jsonld_contexts)
    make_guard(chosen, LinkLogger("settings"))
    if chosen.gateway_view and chosen.gateway_view_directory:
        check_view_directory(chosen.gateway_view_directory)
    if chosen.redis_host:
        _ = chosen.redis_security
    if chosen.redis_host and chosen.redis_ca_file:
        try:
            ssl.create_default_context(cafile=chosen.redis_ca_file)
        except OSError as error:  # a file without certificates, too
            raise UsageError(
                f"REDIS_CA_FILE={chosen.redis_ca_file} should be a file of certificates: {error}"
            ) from error


def check_view_directory(directory: str) -> None:
    """Make the directory of the gateway's view, unless it is there.

    Args:
        directory: The directory.

    Raises:
        UsageError: It cannot be used.
    """
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(directory, os.W_OK | os.X_OK) else "this user may not write there"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise UsageError(
            f"GATEWAY_VIEW_DIRECTORY={directory} cannot be used: {reason}; name another directory, or none for a view in memory"
        )
