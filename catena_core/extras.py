"""Names what to install when a package of an extra is missing."""

from __future__ import annotations

import importlib
from typing import Any

from catena_core.errors import UsageError

DISTRIBUTION = "catena-links"


def not_installed(error: ImportError, subject: str, extra: str) -> UsageError:
    """Make the error that says how to install an extra.

    Args:
        error: The import that failed.
        subject: The missing package, or the part that needs it.
        extra: The extra of this distribution that installs it.
    """
    return UsageError(f"{subject} is not installed ({error}): pip install '{DISTRIBUTION}[{extra}]'")


def import_client(module: str, package: str, extra: str) -> Any:
    """Import a module that needs the client of a server.

    Args:
        module: The module's dotted name.
        package: The client that it needs.
        extra: The extra of this distribution that installs the client.

    Raises:
        UsageError: The client is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise not_installed(error, package, extra) from error
