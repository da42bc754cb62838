"""The results of transforms: the forms in which a transform may return its outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from catena_core.electron import Electron


@dataclass(frozen=True, slots=True)
class Result:
    """The outputs of one transform.

    Attributes:
        electrons: The electrons to send.
        callback: A call to make once all of them are acknowledged.
    """

    electrons: list[Electron] = field(default_factory=list)
    callback: Callable[[], Any] | None = None


def read_result(returned: Any) -> Result:
    """Read the outputs from the value that a transform returned.

    Args:
        returned: ``None`` (nothing), a value, an :class:`Electron`, a list of either, or a tuple
            ``(any of these, callback)``, ``(…, callback, args)`` or ``(…, callback, kwargs)``. Any other tuple is a value.
    """
    if isinstance(returned, tuple) and 2 <= len(returned) <= 3 and callable(returned[1]):
        callback, given = returned[1], returned[2] if len(returned) == 3 else ()
        bound = functools.partial(callback, **given) if isinstance(given, dict) else functools.partial(callback, *given)
        return Result(to_electrons(returned[0]), bound)
    return Result(to_electrons(returned))


def to_electrons(content: Any) -> list[Electron]:
    """Wrap a value, an electron or a list of either into a list of electrons; ``None`` gives an empty one."""
    if content is None:
        return []
    items = content if isinstance(content, list) else [content]
    return [item if isinstance(item, Electron) else Electron(value=item) for item in items]
