"""The methods of an object that can be called from outside."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from catena_core.errors import (
    InternalError,
    InvalidParamsError,
    MethodNotFoundError,
    UsageError,
    described,
    message_of,
)
from catena_core.mistakes import check_plain
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc.record import Record

_MARK = "__catena_rpc__"
_CONTEXT = "context"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Context(Record):
    """The caller of a method; its fields can be read as items, too.

    Attributes:
        uid: The calling instance; ``"http"`` for a call over HTTP.
        group: Its consumer group; ``"http"`` for a call over HTTP.
        address: The address of the caller's host, where the call came over HTTP.
    """

    uid: str
    group: str
    address: str | None = None


def rpc(function: Function) -> Function:
    """Let other links and HTTP clients call a method.

    A method whose first parameter after ``self`` is named ``context`` is given the caller's :class:`Context` there. It runs
    in a thread for remote calls, beside transform and generator: data that they share need a lock. Its result must be a value
    that can be sent (:mod:`catena_core.wire.codec`).

    An error that it raises fails that call alone, also a :class:`~catena_core.errors.DeliveryError`, which ends the link in a
    loop: here the caller learns of it, and decides. That of a call by ``rpc_notify`` is in the log only.

    A method that overrides one so marked can be called only if it is marked itself.

    Raises:
        UsageError: It is no plain method.
    """
    if not inspect.isfunction(function):
        raise UsageError(f"@rpc marks plain methods; define {function} with def name(self, …)")
    check_plain(function, "@rpc")
    setattr(function, _MARK, True)
    return function


@dataclass(frozen=True)
class Method:
    """One method that can be called.

    Attributes:
        function: The method, bound to its object.
        signature: Its parameters as callers see them: without ``self`` and ``context``.
        wants_context: Whether it is given the caller's context.
    """

    function: Callable[..., Any]
    signature: inspect.Signature
    wants_context: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Method:
        """Look at a bound method."""
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        wants_context = bool(parameters) and parameters[0].name == _CONTEXT
        if wants_context:
            signature = signature.replace(parameters=parameters[1:])
        return cls(function, signature, wants_context)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], context: Context) -> Callable[[], Any]:
        """Bind it to its arguments, into a call without any.

        Raises:
            InvalidParamsError: They do not fit.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidParamsError(f"{self.function.__name__}{self.signature}: {error}") from error
        before = (context,) if self.wants_context else ()
        return partial(self.function, *before, *bound.args, **bound.kwargs)


class Methods(Mapping[str, Method]):
    """The methods of an object that can be called, by name.

    Args:
        target: The object; usually a link.
        logger: The log of errors that methods raise.
        end: Called with the ``SystemExit`` of a method.
    """

    def __init__(
        self, target: object, logger: LinkLogger, end: Callable[[BaseException], None] = lambda _error: None
    ) -> None:
        self._logger = logger
        self._end = end
        self._owner = type(target).__name__
        kind = type(target)
        self._methods = {
            name: Method.of(getattr(target, name))
            for name in dir(kind)
            if hasattr(inspect.getattr_static(kind, name), _MARK)
        }

    def run(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], context: Context) -> Any:
        """Run a method for a caller.

        Args:
            name: Its name.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            context: Who calls.

        Raises:
            MethodNotFoundError: There is none of that name, or it is not marked with ``@rpc``.
            InvalidParamsError: The arguments do not fit it.
            InternalError: It raised an error, which has been logged.
        """
        method = self._methods.get(name)
        if method is None:
            known = ", ".join(self._methods) or "none at all"
            raise MethodNotFoundError(f"{self._owner} has no method {name[:100]} marked with @rpc; it has {known}")
        bound = method.bind(args, kwargs, context)
        try:
            return bound()
        except BaseException as error:  # no error of a method may take the thread for calls with it
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._logger.log(
                f"method {name}, called by {context.uid}, failed at {place.filename}:{place.lineno}: {described(error)}",
                level="error",
            )
            if isinstance(error, SystemExit):
                self._end(error)
            raise InternalError(f"{type(error).__name__}: {message_of(error)}") from error

    def __getitem__(self, name: str) -> Method:
        return self._methods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)
