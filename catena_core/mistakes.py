"""Mistakes in the class of a link with which it would run and do nothing: its start refuses them, and says what was meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Sequence

from catena_core.errors import UsageError

HOOKS = ("transform", "generator", "setup", "finish", "assigned", "revoked", "replayed", "prepare_batch")

# The similarity (0 to 1) from which on a name counts as a hook's, misspelt.
_CLOSE = 0.8

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
        UsageError: A hook is misspelt, or is no plain method.
    """
    for name, hook in _misspelt(kind, base, sure=reads or generates):
        raise UsageError(f"{kind.__name__} has {name}(), which the library never calls; did you mean {hook}()?")
    for hook in HOOKS:
        function = inspect.unwrap(getattr(kind, hook))
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


def check_plain(function: object, caller: str) -> None:
    """Refuse a function that would be called and not run.

    Args:
        function: Given by the link's author, to be called in a thread.
        caller: The method that it was given to.

    Raises:
        UsageError: It is a coroutine function, or contains ``yield``.
    """
    name = getattr(function, "__name__", function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{caller} takes plain functions, and {name} is async; give it lambda: asyncio.run({name}())")
    if inspect.isgeneratorfunction(function):
        raise UsageError(f"{caller} takes plain functions, and {name} contains yield: calling it runs nothing")


def _misspelt(kind: type, base: type, sure: bool) -> Iterator[tuple[str, str]]:
    """Find methods whose names are close to a hook that the class lacks: each with that hook.

    Args:
        kind: The class of the link.
        base: The class that holds the hooks which do nothing.
        sure: Whether to leave out names that contain the hook's, or are a part of it.
    """
    missing = [hook for hook in HOOKS if getattr(kind, hook) is getattr(base, hook)]
    for ancestor in kind.__mro__:
        if ancestor is base:
            return
        for name, member in vars(ancestor).items():
            if name.startswith("_") or hasattr(base, name) or name in _OTHER_WORDS or hasattr(member, "__catena_rpc__"):
                continue
            if not inspect.isfunction(member):
                continue
            plain = name.lower().replace("_", "")
            for hook in difflib.get_close_matches(plain, missing, n=1, cutoff=_CLOSE):
                if plain == hook or not (sure and (plain in hook or hook in plain)):
                    yield name, hook
