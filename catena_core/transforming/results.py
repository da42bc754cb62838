"""The results of transforms: the forms in which a transform may return its outputs."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
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
            ``(any of these, callback)``, ``(…, callback, args)`` or ``(…, callback, kwargs)``. Any other tuple is a value,
            unless it begins with electrons, where the callback may be ``None`` or missing, as in Catenae.
            Arguments are a list, a tuple, or a single one that is neither, nor a dictionary.
    """
    if isinstance(returned, tuple) and 1 <= len(returned) <= 3:
        content, callback, given = (*returned, None, None)[:3]
        if callable(callback):
            bound = (
                functools.partial(callback, **given)
                if isinstance(given, dict)
                else functools.partial(callback, *positional(given))
            )
            return Result(to_electrons(content), bound)
        if callback is None and _are_electrons(content):
            return Result(to_electrons(content))
    return Result(to_electrons(returned))


def _are_electrons(content: Any) -> bool:
    return isinstance(content, Electron) or (
        isinstance(content, list) and any(isinstance(e, Electron) for e in content)
    )


def read_results(returned: Any) -> Iterator[Result]:
    """Read what a transform returned, or each value that it yields, as it comes.

    Args:
        returned: As for :func:`read_result`; or a generator, or any other iterator, of such values. A generator may return one
            more at its end.
    """
    while hasattr(type(returned), "__next__"):
        try:
            value = next(returned)
        except StopIteration as end:
            returned = end.value
        else:
            yield read_result(value)
    yield read_result(returned)


async def read_results_async(returned: Any) -> AsyncIterator[Result]:
    """Read what an ``async`` transform returned, or each value that it yields, as it comes.

    Args:
        returned: As for :func:`read_results`; or a coroutine or an asynchronous generator of such values.
    """
    if isinstance(returned, AsyncIterator):
        async for value in returned:
            yield read_result(value)
        return
    for result in read_results(await returned if inspect.isawaitable(returned) else returned):
        yield result


def is_async(returned: Any) -> bool:
    """Tell whether a transform returned something that an event loop must run."""
    return inspect.isawaitable(returned) or isinstance(returned, AsyncIterator)


def run_async(returned: Any, run: Callable[[Any], list[Result]] = asyncio.run) -> list[Result]:
    """Run what an ``async`` transform returned, in the calling thread, and read all its results.

    Args:
        returned: As for :func:`read_results_async`.
        run: Runs a coroutine.
    """

    async def collect() -> list[Result]:
        return [result async for result in read_results_async(returned)]

    return run(collect())


def positional(args: Any) -> tuple[Any, ...]:
    """Read the positional arguments of a call: a list or a tuple of them, or a single one; ``None`` gives none."""
    if args is None:
        return ()
    return tuple(args) if isinstance(args, list | tuple) else (args,)


def to_electrons(content: Any) -> list[Electron]:
    """Wrap a value, an electron or a list of either into a list of electrons; ``None`` gives an empty one."""
    if content is None:
        return []
    items = content if isinstance(content, list) else [content]
    return [item if isinstance(item, Electron) else Electron(value=item) for item in items]
