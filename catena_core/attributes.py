"""The values of a link's class attributes: its start refuses those with which it would stand still, or fail much later."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catena_core.dead_letters.policy import DeadLetterLimits
from catena_core.errors import UsageError
from catena_core.mistakes import suggestion
from catena_core.topics import is_topic
from catena_core.wire.message import FORMATS

if TYPE_CHECKING:
    from catena_core.link import Link

# The values that each attribute takes, in words, and the check of one.
_Rule = tuple[str, Callable[[Any], bool]]


def _is_count(value: Any) -> bool:
    try:
        return operator.index(value) >= 1
    except TypeError:
        return False


def _is_seconds(value: Any) -> bool:
    return isinstance(value, numbers.Real) and float(value) >= 0


def _is_backoff(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_seconds, value))


_COUNT: _Rule = ("a whole number, at least 1", _is_count)
_SECONDS: _Rule = ("a number of seconds, at least 0", _is_seconds)
_FORMAT: _Rule = (f"one of {', '.join(FORMATS)}", lambda value: value in FORMATS)
_RULES: dict[str, _Rule] = {
    "lanes": ('a whole number, at least 1, or "partition"', lambda value: value == "partition" or _is_count(value)),
    "concurrency": _COUNT,
    "batch_size": _COUNT,
    "attempts": _COUNT,
    "batch_linger": _SECONDS,
    "drain_timeout": _SECONDS,
    "backoff": ("two numbers of seconds, the first and the longest wait", _is_backoff),
    "input_format": _FORMAT,
    "output_format": _FORMAT,
    "dead_letter_topic": (
        "the name of a topic, or None",
        lambda value: value is None or (isinstance(value, str) and is_topic(value)),
    ),
    "dead_letter_limits": (
        "DeadLetterLimits(…), or None",
        lambda value: value is None or isinstance(value, DeadLetterLimits),
    ),
}


def check_attributes(link: Link) -> None:
    """Refuse values that an attribute cannot have.

    Args:
        link: The link; its own attributes count before those of its class.

    Raises:
        UsageError: There is such a value; the message names the attribute, and the values that it takes.
    """
    for name, (expected, is_right) in _RULES.items():
        value = getattr(link, name)
        if not is_right(value):
            hint = suggestion(value.lower(), [*FORMATS, "partition"]) if isinstance(value, str) else ""
            raise UsageError(f"{type(link).__name__}.{name} is {expected}, not {value!r}{hint}")
