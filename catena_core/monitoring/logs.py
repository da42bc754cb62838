"""Log lines of links: on standard error, one line each, so that any runner or container can collect them.

What strangers wrote is in many of them. So the formatters mask passwords, escape control characters and cut long lines.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec

from catena_core.text import bounded, redacted

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("text", "json")

# Under each name that a link may use.
_NUMBERS = {
    **{name: getattr(logging, name.upper()) for name in LEVELS},
    "warn": logging.WARNING,
    "exception": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_LONGEST_LINE = 10_000
_LIKE_A_LINE = re.compile(r"\d{4}-\d\d")


class LinkLogger:
    """A link's own log.

    Args:
        name: The mark of its lines: the name of the link's class.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def log(self, message: object = "", level: str = "info", *, several_lines: bool = False) -> None:
        """Write one line.

        Args:
            message: The text.
            level: One of :data:`LEVELS`, in lower or upper case, or ``"exception"``: an error, with the traceback of the
                exception being handled. A level that does not exist counts as a warning.
            several_lines: Whether ends of lines in the text are meant; if not, they are escaped.
        """
        name = level.lower()
        number = _NUMBERS.get(name, logging.WARNING)
        with_trace = name == "exception" and sys.exc_info()[0] is not None
        extra = {"several_lines": True} if several_lines else None
        self._logger.log(number, "%s", message, exc_info=with_trace, extra=extra)


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
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=number, handlers=[handler], force=True)
    # Python's own warnings are bare text on standard error, which would break a stream of JSON.
    logging.captureWarnings(log_format == "json")
    logging.getLogger("urllib3").setLevel(max(logging.INFO, number))


class _TextFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        if getattr(record, "several_lines", False):
            record.message = _lines(record.message)
        else:
            record.message = bounded(redacted(record.message), _LONGEST_LINE)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return _lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _lines(stack_info)


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
            "message": _encodable(_cut(record)),
        }
        if record.exc_info:
            line["exception"] = _encodable(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _encodable(record.stack_info)
        text = msgspec.json.encode(line).decode()
        return text if text.isprintable() else "".join(c if c.isprintable() else _as_json(c) for c in text)


def _encodable(text: str) -> str:
    """Replace lone surrogates, which undecodable file names and the like bring in, and mask passwords."""
    return redacted(text.encode("utf-8", "backslashreplace").decode())


def _cut(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return text if getattr(record, "several_lines", False) else text[:_LONGEST_LINE]


def _as_json(character: str) -> str:
    """Escape a character as JSON does, in two parts where it needs them."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def _lines(text: str) -> str:
    """Make a text of several lines safe; none of them looks like the beginning of a log line."""
    lines = (bounded(line, _LONGEST_LINE) for line in redacted(text).split("\n"))
    return "\n".join(f"  {line}" if _LIKE_A_LINE.match(line) else line for line in lines)
