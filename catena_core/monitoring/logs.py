"""Log lines of links: on standard error, one line each, so that any runner or container can collect them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import datetime, timezone

import msgspec

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")

# Under each name that a link may use.
_NUMBERS = {
    **{name: getattr(logging, name.upper()) for name in LEVELS},
    "warn": logging.WARNING,
    "exception": logging.ERROR,
    "fatal": logging.CRITICAL,
}


class LinkLogger:
    """A link's own log.

    Args:
        name: The mark of its lines: the name of the link's class.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def log(self, message: object, level: str = "info") -> None:
        """Write one line.

        Args:
            message: The text.
            level: One of :data:`LEVELS`, in lower or upper case, or ``"exception"``: an error, with the traceback of the
                exception being handled. A level that does not exist counts as a warning.
        """
        name = level.lower()
        number = _NUMBERS.get(name, logging.WARNING)
        self._logger.log(number, "%s", message, exc_info=name == "exception" and sys.exc_info()[0] is not None)


def configure(level: str, log_format: str = "text", fields: Mapping[str, str] | None = None) -> None:
    """Send log lines of this level and above to standard error, those of other libraries as well.

    Args:
        level: One of :data:`LEVELS`.
        log_format: ``"text"`` for people, or ``"json"`` for machines: one object a line, with ``time`` (RFC 3339, UTC),
            ``level``, ``logger``, ``message``, and ``exception`` where there is one.
        fields: Further fields of every JSON object, for instance the link's uid.
    """
    number = _NUMBERS[level.lower()]
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_JsonFormatter(fields or {}))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=number, handlers=[handler], force=True)
    # Python's own warnings are bare text on standard error, which would break a stream of JSON.
    logging.captureWarnings(log_format == "json")
    logging.getLogger("urllib3").setLevel(max(logging.INFO, number))


class _JsonFormatter(logging.Formatter):
    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = dict(fields)

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {
            **self._fields,
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _encodable(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = _encodable(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _encodable(record.stack_info)
        return msgspec.json.encode(line).decode()


def _encodable(text: str) -> str:
    """Replace lone surrogates, which undecodable file names and the like bring in."""
    return text.encode("utf-8", "backslashreplace").decode()
