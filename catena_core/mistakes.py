"""Mistakes in the class of a link with which it would run and do nothing: its start refuses them, and says what was meant."""

from __future__ import annotations

import difflib
import inspect
import numbers
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from typing import Any

from catena_core.errors import UsageError

HOOKS = ("transform", "generator", "setup", "finish", "assigned", "revoked", "replayed", "prepare_batch")

# The similarity (0 to 1) from which on a name counts as a hook's, misspelt.
_CLOSE = 0.8

# The same for class attributes: an author has more of his own than methods that sound like hooks.
_VERY_CLOSE = 0.85

# Words that are close to a hook's name and mean something else.
_OTHER_WORDS = frozenset(
    {"generate", "generates", "generated", "generation", "replaced", "relayed", "invoked", "evoked", "transport"}
)


def check_hooks(kind: type, base: type, reads: bool, generates: bool) -> None:
    """Refuse hooks that the library would never call, or call and not run.

    Args:
        kind: The class of the link.
        base: The class that holds the hooks which do nothing.
        reads: Whether it has its own transform.
        generates: Whether it has its own generator.

    Raises:
        UsageError: A hook or a class attribute is misspelt, or a hook is no plain method.
    """
    for name, hook in _misspelt(kind, base, sure=reads or generates):
        raise UsageError(f"{kind.__name__} has {name}(), which the library never calls; did you mean {hook}()?")
    for name, attribute in _misspelt_attributes(kind, base):
        raise UsageError(f"{kind.__name__} has {name}, which the library never reads; did you mean {attribute}?")
    for hook in HOOKS:
        function = inspect.unwrap(getattr(kind, hook))
        if not callable(function):
            raise UsageError(f"{kind.__name__}.{hook} is {function!r}, and no method; leave it out, or define it")
        if hook == "transform":
            continue  # it may be any kind of function
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(f"{kind.__name__}.{hook} is an async method; define it with def {hook}(self, …)")
        if inspect.isgeneratorfunction(function) and hook != "generator":
            raise UsageError(
                f"{kind.__name__}.{hook} contains yield, so calling it runs nothing; send with self.send()"
            )


def check_inputs(kind: type, base: type, topics: Sequence[str]) -> None:
    """Refuse topics for a link without a transform.

    Args:
        kind: The class of the link.
        base: The class that holds the hooks which do nothing.
        topics: Its input topics.

    Raises:
        UsageError: There are topics.
    """
    if topics:
        near = [name for name, hook in _misspelt(kind, base, sure=False) if hook == "transform"]
        hint = f"did you mean transform by {near[0]}?" if near else "define it, or name no topics"
        raise UsageError(
            f"{kind.__name__} is to read {', '.join(topics)}, but has no transform(self, electron): {hint}"
        )


def check_seconds(name: str, value: object) -> None:
    """Refuse a value that is no time to wait: a timer would run without a pause, or not at all.

    Args:
        name: What it is the value of.
        value: The value.

    Raises:
        UsageError: It is no number, or negative, or longer than any timer runs.
    """
    if not isinstance(value, numbers.Real) or not 0 <= float(value) <= threading.TIMEOUT_MAX:
        raise UsageError(f"{name} is a number of seconds, at least 0, not {value!r}")


def check_plain(function: object, caller: str) -> None:
    """Refuse a function that would be called and not run.

    Args:
        function: Given by the link's author, to be called in a thread.
        caller: The method that it was given to.

    Raises:
        UsageError: It is no function, but maybe the result of one; or it is a coroutine function, or contains ``yield``.
    """
    if not callable(function):
        raise UsageError(
            f"{caller} takes a function, not {function!r}; give it without brackets, as self.work, not self.work()"
        )
    name = getattr(function, "__name__", function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{caller} takes plain functions, and {name} is async; give it lambda: asyncio.run({name}())")
    if inspect.isgeneratorfunction(function):
        raise UsageError(f"{caller} takes plain functions, and {name} contains yield: calling it runs nothing")


def run_plain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a hook, or a function of the link's author, and return its result: see :func:`check_has_run`."""
    returned = function(*args, **kwargs)
    check_has_run(function, returned)
    return returned


def check_has_run(function: object, returned: object) -> None:
    """Refuse the result of a call that has not run what was called.

    It finds what :func:`check_plain` cannot see: a lambda, a decorated function or an object that gives a coroutine.

    Raises:
        UsageError: The result is a coroutine or a generator.
    """
    if isinstance(returned, Coroutine | Generator | AsyncGenerator):
        if not isinstance(returned, AsyncGenerator):
            returned.close()  # or Python would warn that nothing has awaited it
        name = getattr(function, "__qualname__", function)
        raise UsageError(
            f"{name} gave a {type(returned).__name__}, so it has not run; let it be a plain function, such as lambda: "
            "asyncio.run(…)"
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give a half sentence that names what was meant by an unknown name; an empty text if nothing is close."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _misspelt_attributes(kind: type, base: type) -> Iterator[tuple[str, str]]:
    """Find class attributes whose names are close to one of Link's that the class lacks: each with that one."""
    known = [name for name in base.__annotations__ if not name.startswith("_") and hasattr(base, name)]
    own = {name: member for ancestor in _authors(kind, base) for name, member in vars(ancestor).items()}
    missing = [name for name in known if name not in own]
    for name, member in own.items():
        if name.startswith("_") or hasattr(base, name) or callable(_function(member)) or isinstance(member, property):
            continue
        for attribute in difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_VERY_CLOSE):
            if name not in attribute and attribute not in name:
                yield name, attribute


def _authors(kind: type, base: type) -> list[type]:
    """Give the classes that the link's author wrote, mixins included."""
    return [ancestor for ancestor in kind.__mro__ if ancestor not in base.__mro__]


def _function(member: object) -> object:
    """Give the function of a static or class method; anything else as it is."""
    return getattr(member, "__func__", member)


def _misspelt(kind: type, base: type, sure: bool) -> Iterator[tuple[str, str]]:
    """Find methods whose names are close to a hook that the class lacks: each with that hook.

    Args:
        kind: The class of the link.
        base: The class that holds the hooks which do nothing.
        sure: Whether to leave out names that contain the hook's, or are a part of it.
    """
    missing = [hook for hook in HOOKS if getattr(kind, hook) is getattr(base, hook)]
    for ancestor in _authors(kind, base):
        for name, member in vars(ancestor).items():
            if name.startswith("_") or hasattr(base, name) or name in _OTHER_WORDS or hasattr(member, "__catena_rpc__"):
                continue
            if not inspect.isfunction(_function(member)):
                continue
            plain = name.lower().replace("_", "")
            for hook in difflib.get_close_matches(plain, missing, n=1, cutoff=_CLOSE):
                if plain == hook or not (sure and (plain in hook or hook in plain)):
                    yield name, hook
