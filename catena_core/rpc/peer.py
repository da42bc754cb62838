"""A link's part in remote calls, over any carrier of messages."""

from __future__ import annotations

import contextlib
import numbers
import queue
import random
import socket
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

from catena_core.errors import (
    CodecError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    RPCError,
    RPCTimeoutError,
    StoppedError,
    described,
)
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc.instances import HEARTBEAT, Instances, is_meant
from catena_core.rpc.messages import (
    BROADCAST,
    Alive,
    Envelope,
    Failure,
    Gone,
    Reply,
    Request,
    Wire,
    read_envelope,
    to_wire,
)
from catena_core.rpc.methods import Context, Methods
from catena_core.rpc.request_queue import RequestQueue

DEFAULT_TIMEOUT = 10.0

_MOST_CALLS_UNDER_WAY = 10_000
_REMEMBERED_REQUESTS = 10_000
_CLOSING_TIMEOUT = 2.0

# Seconds for which an answer may come after its instance is gone.
_LAST_ANSWERS = _CLOSING_TIMEOUT + 1

# Called with the reason when a message turns out to be undeliverable.
OnFailure = Callable[[str], None]
Send = Callable[[Wire, OnFailure], None]


@dataclass
class _Call:
    """A call that waits for its answer.

    Attributes:
        to: The uid of the instance that is to answer.
        method: The method's name.
        future: Gets the answer.
        gone_since: When that instance was found gone, by the monotonic clock; ``None``: it is alive.
    """

    to: str
    method: str
    future: Future[tuple[Reply, Wire]] = field(default_factory=Future)
    gone_since: float | None = None


class Peer:
    """Calls methods of other instances, and runs methods for them.

    Args:
        target: The object whose methods can be called; usually a link.
        uid: Tells this instance from all others.
        group: Its consumer group.
        kind: The name by which all of its class are called; the name of the target's class unless given.
        logger: The link's log.
        send: Sends a message to all instances, this one included; raises :class:`RPCError` when it cannot.
        threads: How many requests are run side by side; 0 runs each in the thread that brings it.
        heartbeat: Seconds between two signs of life.
        end: Called with the ``SystemExit`` of a method.
    """

    def __init__(
        self,
        target: object,
        *,
        uid: str,
        group: str,
        kind: str | None = None,
        logger: LinkLogger,
        send: Send,
        threads: int = 1,
        heartbeat: float = HEARTBEAT,
        end: Callable[[BaseException], None] = lambda _error: None,
    ) -> None:
        self.uid = uid
        self.group = group
        self.kind = kind or type(target).__name__
        self.methods = Methods(target, logger, end)
        self.instances = Instances(uid, heartbeat)
        self._logger = logger
        self._send_wire = send
        self._since = time.time()
        self._closing = False
        self._logged_namesake = False
        self._calls: dict[str, _Call] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._requests = RequestQueue()
        self._workers = [
            threading.Thread(target=self._work, name=f"rpc {number}", daemon=True) for number in range(threads)
        ]
        for worker in self._workers:
            worker.start()

    # For callers

    def call(
        self,
        to: str,
        method: str,
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Any:
        """Have one instance run a method, and wait for its result.

        Of several instances it picks one at random, another one than the caller if possible. A method that runs in the only
        thread for remote calls, and calls its own instance, waits for itself until the timeout.

        Args:
            to: An instance's uid, the name of a class in any case of letters, or a consumer group.
            method: The name of a method marked with ``@rpc``.
            args: A list or tuple of positional arguments, or a single argument that is neither.
            kwargs: Keyword arguments.
            timeout: Seconds to wait, both for an instance to appear and for its answer.

        Returns:
            The result of the method.

        Raises:
            RPCTimeoutError: No instance answered in time, or the one that was called has ended.
            MethodNotFoundError: The callee has no such method.
            InvalidParamsError: The arguments do not fit the method, or cannot be sent.
            InternalError: The method raised an error, the callee has too much to do, or the result cannot be sent.
            InvalidRequestError: It is addressed to all instances, or its receiver, method or timeout is none.
            RPCError: Remote calls do not work here; the reason is in the text.
            StoppedError: This instance stops meanwhile.
        """
        _check_names(method, to)
        if to == BROADCAST:
            raise InvalidRequestError("a call has one result, so it cannot go to everybody; use rpc_notify for that")
        if not (isinstance(timeout, numbers.Real) and 0 < timeout <= threading.TIMEOUT_MAX):
            raise InvalidRequestError(f"a call needs a positive number of seconds as its timeout, not {timeout!r}")
        self._check_usable()
        content = _content(args, kwargs)
        expires = time.time() + timeout
        deadline = time.monotonic() + timeout
        uid = self._pick(to, timeout)
        request = Request(uuid.uuid4().hex, uid, method, self.uid, self.group, expires)
        reply, wire = self._ask(request, content, deadline, to if to == uid else f"{uid} of {to}", timeout)
        if reply.failure is not None:
            raise reply.failure.error()
        try:
            return wire.content()
        except CodecError as error:
            raise InternalError(f"the result of {method} by {to} cannot be read here: {error}") from error

    def notify(
        self, method: str, args: Any = None, kwargs: Mapping[str, Any] | None = None, to: str = BROADCAST
    ) -> None:
        """Have all instances that are meant run a method, and wait for none of them.

        Args:
            method: The name of a method marked with ``@rpc``; instances without it say so in their logs.
            args: A list or tuple of positional arguments, or a single argument that is neither.
            kwargs: Keyword arguments.
            to: An instance's uid, the name of a class in any case of letters, a consumer group, or ``"broadcast"`` for
                every instance, the caller included.

        Raises:
            InvalidParamsError: The arguments cannot be sent.
            InvalidRequestError: The receiver or the method is no name.
            RPCError: Remote calls do not work here; the reason is in the text.
        """
        _check_names(method, to)
        content = _content(args, kwargs)
        self._check_usable()
        self._send_request(
            Request(uuid.uuid4().hex, to, method, self.uid, self.group),
            content,
            lambda reason: self._logger.log(f"the notification {method} to {to} was lost: {reason}", level="warning"),
        )

    # For the carrier of messages

    def announce(self, asks: bool = False) -> None:
        """Send a sign of life.

        Args:
            asks: Whether all others are to send theirs, too.
        """
        if not self._closing:
            self._tell(Alive(self.uid, self.group, self.kind, socket.gethostname(), self._since, asks))

    def take(self, wire: Wire) -> None:
        """Process one message; drop those for others and those that cannot be read."""
        try:
            envelope = read_envelope(wire)
        except CodecError as error:
            self._logger.log(f"a message among links is left out: {error}", level="warning")
            return
        if isinstance(envelope, Request):
            if envelope.to == BROADCAST or is_meant(envelope.to, self.uid, self.group, self.kind):
                self._take_request(envelope, wire)
        elif isinstance(envelope, Reply):
            call = self._calls.pop(envelope.id, None) if envelope.to == self.uid else None
            if call is not None:
                call.future.set_result((envelope, wire))
        elif isinstance(envelope, Alive):
            self.instances.saw(envelope)
            if envelope.uid == self.uid:
                self._end_calls_to_the_gone()
            self._compare_names(envelope)
            if envelope.asks and envelope.uid != self.uid:
                self.announce()
        else:
            self.instances.ended(envelope)

    def close(self) -> None:
        """Say farewell, let methods under way finish, refuse the others, and end calls that still wait."""
        if self._closing:
            return
        self._closing = True
        self._tell(Gone(self.uid, self._since))
        self.instances.wake()
        for call_id in list(self._calls):
            call = self._calls.pop(call_id, None)
            if call is not None:
                call.future.set_exception(StoppedError("the link is stopping"))
        self._refuse_waiting_requests()
        for _worker in self._workers:
            self._requests.put(None)
        deadline = time.monotonic() + _CLOSING_TIMEOUT
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _end_calls_to_the_gone(self) -> None:
        """End calls whose instance has been gone for a while, so that its last answers would have come."""
        now, alive = time.monotonic(), self.instances.by_uid
        for call_id, call in list(self._calls.items()):
            call.gone_since = None if call.to in alive else call.gone_since or now
            if call.gone_since is None or now - call.gone_since < _LAST_ANSWERS:
                continue
            if self._calls.pop(call_id, None) is not None:
                call.future.set_exception(RPCTimeoutError(f"{call.to} has ended without an answer to {call.method}"))

    def _compare_names(self, alive: Alive) -> None:
        if alive.uid == self.uid and alive.since != self._since and not self._logged_namesake:
            self._logged_namesake = True
            self._logger.log(
                f"a {alive.kind} on {alive.host} is named {self.uid}, too; "
                "remote calls to that name reach both, and either may answer",
                level="warning",
            )

    # A call's way out

    def _pick(self, to: str, timeout: float) -> str:
        found = self.instances.wait_for(to, timeout, given_up=lambda: self._closing)
        self._check_usable()
        if not found:
            alive = ", ".join(sorted({instance.kind for instance in self.instances.by_uid.values()})) or "nobody"
            raise RPCTimeoutError(f"no instance, class or group {to} appeared within {timeout:g} s; alive: {alive}")
        return random.choice([uid for uid in found if uid != self.uid] or found)

    def _ask(self, request: Request, content: Any, deadline: float, whom: str, timeout: float) -> tuple[Reply, Wire]:
        if len(self._calls) >= _MOST_CALLS_UNDER_WAY:
            raise InternalError(f"{len(self._calls)} calls wait for an answer already; call less at a time")
        call = self._calls[request.id] = _Call(request.to, request.method)

        def undeliverable(reason: str) -> None:
            if self._calls.pop(request.id, None) is not None:
                call.future.set_exception(
                    RPCError(f"the call of {request.method} to {whom} was not delivered: {reason}")
                )

        try:
            self._check_usable()  # after the call is in the table that close() goes through
            self._send_request(request, content, undeliverable)
            return call.future.result(max(0.0, deadline - time.monotonic()))
        except RPCTimeoutError:
            raise  # it is a timeout of Python, too
        except FutureTimeoutError:
            raise RPCTimeoutError(f"{whom} did not answer {request.method} within {timeout:g} s") from None
        finally:
            self._calls.pop(request.id, None)

    def _send_request(self, request: Request, content: Any, on_failure: OnFailure) -> None:
        try:
            self._send(request, content, on_failure)
        except CodecError as error:
            raise InvalidParamsError(f"the arguments of {request.method} cannot be sent: {error}") from error

    def _send(self, envelope: Envelope, content: Any, on_failure: OnFailure) -> None:
        self._send_wire(to_wire(envelope, content), on_failure)

    def _tell(self, presence: Alive | Gone) -> None:
        """Send a sign of life or the farewell; where that fails, the next sign, or the lack of one, does as well."""
        with contextlib.suppress(RPCError):
            self._send(presence, None, lambda _reason: None)

    def _answer(self, request: Request, result: Any, failure: Failure | None = None) -> None:
        def lost(reason: str) -> None:
            self._logger.log(
                f"the answer to {request.method}, called by {request.sender}, was lost: {reason}", "warning"
            )
            # The reason may be the result, too large for this broker: so the caller need not wait for it.
            if failure is None:
                self._answer_failure(request, InternalError(f"the result of {request.method} was lost: {reason}"))

        try:
            self._send(Reply(request.id, request.sender, failure), result, lost)
        except RPCError as error:
            lost(str(error))

    def _check_usable(self) -> None:
        """Refuse to call where that cannot work.

        Raises:
            StoppedError: This instance stops.
            RPCError: Messages cannot be carried; the reason is in the text.
        """
        if self._closing:
            raise StoppedError("the link is stopping")

    # A request's way in

    def _take_request(self, request: Request, wire: Wire) -> None:
        if request.id in self._seen:
            return
        self._seen[request.id] = None
        if len(self._seen) > _REMEMBERED_REQUESTS:
            self._seen.popitem(last=False)
        if self._closing:
            self._refuse(request, f"{self.uid} is stopping")
        elif not self._workers:
            self._run(request, wire)
        else:
            try:
                self._requests.put_nowait((request, wire))
            except queue.Full:
                self._refuse(request, f"{self.uid} is busy, with too many requests waiting already; try again later")

    def _work(self) -> None:
        while (item := self._requests.get()) is not None:
            try:
                self._run(*item)
            except BaseException as error:  # the thread serves many requests, and must outlive each of them
                self._logger.log(f"the request {item[0].method} was not answered: {described(error)}", level="error")

    def _run(self, request: Request, wire: Wire) -> None:
        if request.expires is not None and time.time() > request.expires:
            late = time.time() - request.expires
            self._answer_failure(
                request,
                RPCTimeoutError(
                    f"{self.uid} took up {request.method} {late:.1f} s after its time had passed, and did not run it; "
                    "if that is always so, the two hosts' clocks differ"
                ),
            )
            return
        try:
            args, kwargs = self._arguments(request, wire)
            result = self.methods.run(request.method, args, kwargs, Context(request.sender, request.group))
        except RPCError as error:
            self._answer_failure(request, error)
            return
        if request.expires is None:
            return
        try:
            self._answer(request, result)
        except CodecError as error:
            self._answer_failure(request, InternalError(f"the result of {request.method} cannot be sent: {error}"))

    @staticmethod
    def _arguments(request: Request, wire: Wire) -> tuple[list[Any], dict[str, Any]]:
        try:
            content = wire.content()
        except CodecError as error:
            raise InvalidParamsError(f"the arguments of {request.method} cannot be read: {error}") from error
        if not (type(content) is list and len(content) == 2 and type(content[0]) is list and type(content[1]) is dict):
            raise InvalidParamsError("the arguments must be a list and a dictionary")
        return content[0], content[1]

    def _answer_failure(self, request: Request, error: RPCError) -> None:
        if request.expires is not None:
            self._answer(request, None, Failure.of(error))
        if request.expires is None or isinstance(error, RPCTimeoutError):
            self._logger.log(f"{request.method}, called by {request.sender}: {error}", level="warning")

    def _refuse(self, request: Request, reason: str) -> None:
        self._answer_failure(request, InternalError(reason))

    def _refuse_waiting_requests(self) -> None:
        while True:
            try:
                item = self._requests.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                self._refuse(item[0], f"{self.uid} is stopping")


def _content(args: Any, kwargs: Mapping[str, Any] | None) -> list[Any]:
    """Make the value of a request: a list of positional arguments and a dictionary of the others."""
    if args is None:
        args = []
    elif isinstance(args, list | tuple):
        args = list(args)
    else:
        args = [args]
    if not isinstance(kwargs, Mapping | None):
        raise InvalidParamsError(f"the keyword arguments of a call are a dictionary, not {kwargs!r}")
    return [args, dict(kwargs or {})]


def _check_names(method: object, to: object) -> None:
    for role, name in (("method", method), ("receiver", to)):
        if not (isinstance(name, str) and name):
            hint = f"; write {name.__name__!r}" if callable(name) and hasattr(name, "__name__") else ""
            raise InvalidRequestError(f"the {role} of a call is a name, not {name!r}{hint}")
