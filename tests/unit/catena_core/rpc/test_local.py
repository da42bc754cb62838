"""Calls among objects of one process: addressing, values, limits; what Kafka carries works the same."""

import dataclasses
import datetime
import threading

import pytest

from catena_core import errors
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import LocalRpc, rpc
from catena_core.rpc import messages as messages_module


@dataclasses.dataclass(frozen=True)
class Reading:
    at: datetime.datetime
    values: tuple


class Sensor:
    def __init__(self):
        self.heard = []

    @rpc
    def echo(self, value):
        return value

    @rpc
    def hear(self, context, word, *more, **others):
        self.heard.append((context.uid, word, *more, *sorted(others.items())))

    @rpc
    def whole(self):
        return object()

    @rpc
    def large(self, size):
        return "x" * size


class Display(Sensor):
    pass


def logger(name):
    return LinkLogger(name)


@pytest.fixture
def parties():
    """Two sensors of one group, and a display."""
    hub = LocalRpc()
    objects = {"s1": Sensor(), "s2": Sensor(), "d1": Display()}
    return {
        uid: (target, hub.join(target, uid=uid, group="field" if uid[0] == "s" else "desk", logger=logger(uid)))
        for uid, target in objects.items()
    }


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text",
        b"",
        b"\xff\x00",
        7,
        [1, {"a": None}],
        (1, (2,)),
        {"s", "t"},
        datetime.date(2024, 2, 29),
        Reading(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), (1.5, 2)),
    ],
)
def test_arguments_and_results_come_back_as_they_were_sent(parties, value):
    result = parties["d1"][1].call("s1", "echo", [value])
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("args", "heard"), [("word", ("word",)), (["a", "b"], ("a", "b")), (("a",), ("a",)), (7, (7,))]
)
def test_arguments_are_a_list_or_a_single_value(parties, args, heard):
    target, _ = parties["s1"]
    parties["d1"][1].notify("hear", args, {"loud": True}, to="s1")
    assert target.heard == [("d1", *heard, ("loud", True))]


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ("s1", {"s1"}),
        ("sensor", {"s1", "s2"}),
        ("SENSOR", {"s1", "s2"}),
        ("field", {"s1", "s2"}),
        ("desk", {"d1"}),
        ("broadcast", {"s1", "s2", "d1"}),
        ("nobody", set()),
    ],
)
def test_a_notification_reaches_everybody_who_is_meant(parties, to, reached):
    parties["d1"][1].notify("hear", "word", to=to)
    assert {uid for uid, (target, _) in parties.items() if target.heard} == reached


def test_a_call_to_a_class_or_group_is_run_by_one_instance_and_by_another_than_the_caller(parties):
    for to in ("sensor", "field"):
        for _ in range(20):
            parties["s1"][1].call(to, "hear", "word")
    assert len(parties["s2"][0].heard) == 40 and not parties["s1"][0].heard


def test_an_instance_can_call_itself(parties):
    _, display = parties["d1"]
    assert display.call("d1", "echo", 1) == display.call("display", "echo", 1) == 1


def test_a_call_to_everybody_is_refused(parties):
    with pytest.raises(errors.InvalidRequestError, match="rpc_notify"):
        parties["d1"][1].call("broadcast", "echo", 1)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e300, None, "5"])
def test_a_call_needs_a_timeout_that_ends(parties, timeout):
    with pytest.raises(errors.InvalidRequestError, match="positive number of seconds"):
        parties["d1"][1].call("s1", "echo", 1, timeout=timeout)


@pytest.mark.parametrize(
    ("method", "to", "reason"),
    [
        (None, "s1", "the method of a call is a name, not None"),
        ("", "s1", "the method of a call is a name, not ''"),
        (Sensor.echo, "s1", "is a name, not <function .*; write 'echo'"),
        ("echo", None, "the receiver of a call is a name, not None"),
        ("echo", 7, "the receiver of a call is a name, not 7"),
    ],
)
def test_names_that_are_none_are_refused_and_not_sent(parties, caplog, method, to, reason):
    _, display = parties["d1"]
    with pytest.raises(errors.InvalidRequestError, match=reason):
        display.call(to, method, 1)
    with pytest.raises(errors.InvalidRequestError, match=reason):
        display.notify(method, 1, to=to)
    assert not caplog.text, "other links get no message that they cannot read"


def test_keyword_arguments_that_are_none_and_names_that_are_no_unicode_are_refused(parties):
    _, display = parties["d1"]
    with pytest.raises(errors.InvalidParamsError, match="a dictionary, not"):
        display.call("s1", "echo", kwargs=["value"])
    with pytest.raises(errors.InvalidParamsError, match="no Unicode"):
        display.call("s1", "\ud800", 1)


def test_a_call_to_nobody_says_whom_it_waited_for_and_is_a_timeout_of_python_too(parties):
    with pytest.raises(
        TimeoutError, match=r"no instance, class or group heater appeared.*alive: Display, Sensor"
    ) as caught:
        parties["d1"][1].call("heater", "echo", 1, timeout=0.05)
    assert isinstance(caught.value, errors.TimeoutError)


def test_a_call_waits_for_somebody_to_appear():
    hub = LocalRpc()
    early = hub.join(Display(), uid="early", group="g", logger=logger("early"))
    late = threading.Timer(0.2, lambda: hub.join(Sensor(), uid="late", group="h", logger=logger("late")))
    late.start()
    assert early.call("sensor", "echo", 5, timeout=120) == 5


def test_what_cannot_be_sent_is_refused_where_it_arises(parties):
    _, display = parties["d1"]
    with pytest.raises(errors.InvalidParamsError, match="object cannot be sent"):
        display.call("s1", "echo", object())
    with pytest.raises(errors.InvalidParamsError, match="too many for a remote call"):
        display.notify("echo", "x" * (messages_module.MAX_VALUE_BYTES + 1))
    with pytest.raises(errors.InternalError, match="the result of whole cannot be sent"):
        display.call("s1", "whole")
    with pytest.raises(errors.InternalError, match="too many for a remote call"):
        display.call("s1", "large", messages_module.MAX_VALUE_BYTES + 1)


def test_instances_are_known_by_uid_and_by_group_and_forgotten_when_they_leave(parties):
    instances = parties["d1"][1].instances
    by_group = instances["by_group"]
    assert by_group["field"][0] == "s1" and instances.by_group == {"field": ["s1", "s2"], "desk": ["d1"]}
    assert instances["by_uid"]["s2"]["kind"] == instances.by_uid["s2"].kind == "Sensor"
    parties["s1"][1].close()
    assert by_group["field"] == ["s2"] and set(instances.by_uid) == {"s2", "d1"}


def test_one_who_has_left_can_neither_call_nor_be_called(parties):
    _, gone = parties["s1"]
    gone.close()
    with pytest.raises(errors.StoppedError):
        gone.call("d1", "echo", 1)
    with pytest.raises(errors.TimeoutError):
        parties["d1"][1].call("s1", "echo", 1, timeout=0.05)
