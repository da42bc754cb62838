"""Log lines of links: on standard error, one line each, so that any runner or container can collect them."""

from __future__ import annotations

import logging
import sys

LEVELS = ("debug", "info", "warning", "error", "critical")


class LinkLogger:
    """A link's own log.

    Args:
        name: What its lines are marked with: the name of the link's class.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def log(self, message: object, level: str = "info") -> None:
        """Write one line.

        Args:
            message: What to say.
            level: One of :data:`LEVELS`.
        """
        self._logger.log(logging.getLevelName(level.upper()), "%s", message)


def configure(level: str) -> None:
    """Send log lines of this level and above to standard error.

    Args:
        level: One of :data:`LEVELS`.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    logging.getLogger("urllib3").setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
