"""Which methods can be called from outside, and what callers learn when that fails."""

import asyncio
from typing import Any

import pytest

from catena_core.errors import (
    DeliveryError,
    InternalError,
    InvalidParamsError,
    MethodNotFoundError,
    RPCError,
    UsageError,
)
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import Context, Methods, rpc

CALLER = Context("uid-7", "counters")


class Base:
    @rpc
    def inherited(self):
        return "inherited"

    @rpc
    def overridden(self):
        return "base"


class Panic(BaseException):
    """Is no Exception, like a panic of a native extension, and cannot be printed."""

    def __str__(self):
        raise KeyError

    __repr__ = __str__


class Counter(Base):
    """Has methods of every kind."""

    def __init__(self):
        self.total = 0

    @rpc
    def add(self, context, number: int, times=1):
        self.total += number * times
        return self.total, context.uid, context["group"]

    @rpc
    def plain(self, number, context="mine"):
        return number, context

    @rpc
    def fails(self):
        return dict[str, int]()["absent"]

    @rpc
    def refuses(self):
        raise InvalidParamsError("of another call")

    @rpc
    def leaves(self):
        raise SystemExit(3)

    @rpc
    def panics(self):
        raise Panic

    @rpc
    def is_cancelled(self):
        raise asyncio.CancelledError

    def overridden(self):
        return "not marked"

    def secret(self):
        return self.total


@pytest.fixture
def methods():
    return Methods(Counter(), LinkLogger("Counter"))


def test_a_method_is_given_its_caller_where_its_first_parameter_is_named_context(methods):
    assert methods.run("add", [3], {"times": 2}, CALLER) == (6, "uid-7", "counters")
    assert methods.run("plain", [3], {}, CALLER) == (3, "mine")


def test_context_can_be_read_by_attribute_and_by_item():
    assert dict(CALLER) == {"uid": "uid-7", "group": "counters", "address": None}
    with pytest.raises(KeyError):
        CALLER["__class__"]


def test_inherited_methods_can_be_called(methods):
    assert methods.run("inherited", [], {}, CALLER) == "inherited"


@pytest.mark.parametrize("name", ["secret", "overridden", "__init__", "__class__", "total", "absent", ""])
def test_only_marked_methods_can_be_called(methods, name):
    with pytest.raises(MethodNotFoundError, match="it has add, fails, inherited, is_cancelled"):
        methods.run(name, [], {}, CALLER)


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ([], {}, "missing a required argument: 'number'"),
        ([1, 2, 3], {}, "too many positional arguments"),
        ([1], {"size": 1}, "unexpected keyword argument 'size'"),
        ([1], {"number": 1}, "multiple values for argument 'number'"),
        ([1], {"context": "forged"}, "unexpected keyword argument 'context'"),
        ([1], {7: 1}, "keywords must be strings"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_reason(methods, args, kwargs, reason):
    with pytest.raises(InvalidParamsError, match=reason):
        methods.run("add", args, kwargs, CALLER)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fails", "KeyError: 'absent'"),
        ("leaves", "SystemExit: 3"),
        ("panics", "Panic: Panic, which cannot be printed"),
        ("is_cancelled", "CancelledError: "),
        ("refuses", "InvalidParamsError: of another call"),
    ],
)
def test_an_error_inside_a_method_reaches_the_caller_and_the_log(methods, name, told, caplog):
    with pytest.raises(InternalError) as caught:
        methods.run(name, [], {}, CALLER)
    assert str(caught.value) == told
    assert f"method {name}, called by uid-7, failed at {__file__}:" in caplog.text


def test_a_method_that_exits_ends_its_link():
    ended = []
    methods = Methods(Counter(), LinkLogger("Counter"), ended.append)
    for name in ("leaves", "panics"):
        with pytest.raises(InternalError):
            methods.run(name, [], {}, CALLER)
    assert [error.code for error in ended] == [3]


def test_what_is_no_plain_method_cannot_be_marked():
    async def later(self):
        pass

    def stepwise(self):
        yield 1

    wrongs: list[Any] = [later, stepwise, staticmethod(len), property(len)]
    for wrong in wrongs:
        with pytest.raises(UsageError, match=r"plain (methods|functions)"):
            rpc(wrong)


def test_errors_have_the_codes_of_json_rpc():
    codes = {kind.__name__: kind.code for kind in RPCError.__subclasses__()}
    assert codes == {
        "ParseError": -32700,
        "InvalidRequestError": -32600,
        "MethodNotFoundError": -32601,
        "InvalidParamsError": -32602,
        "InternalError": -32603,
        "RPCTimeoutError": -32001,
    }


def test_an_output_that_kafka_refuses_fails_the_call_and_not_the_link():
    class Sender:
        @rpc
        def send(self):
            raise DeliveryError("too large")

    ends = []
    with pytest.raises(InternalError, match="DeliveryError: too large"):
        Methods(Sender(), LinkLogger("Sender"), ends.append).run("send", [], {}, CALLER)
    assert ends == []
