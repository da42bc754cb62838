"""Errors of user code that are no `Exception`, or cannot be printed: each is its electron's failure, or the link's end."""

import asyncio
import sys

import pytest

from catena_core import Link
from tests.helpers.consumer_loop import committed
from tests.helpers.links import link
from tests.helpers.waiting import eventually


class Panic(BaseException):
    """A native extension's, which is no Exception either."""


class UnprintableError(Exception):
    """Its text cannot be had."""

    def __str__(self):
        return self.args[1]

    __repr__ = __str__


KINDS = [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, Panic, UnprintableError]


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("kind", KINDS)
def test_electron_that_raises_any_error_is_one_dead_letter(embedded_broker, run, kind, delivery):
    broker = embedded_broker
    source, target, dead = broker.topic("in", 1), broker.topic("out", 1), broker.topic("dead", 1)

    class Copy(Link):
        attempts, backoff, dead_letter_topic = 2, (0.01, 0.01), dead

        def transform(self, electron):
            if electron.value == "5":
                raise kind("a bad day")
            return electron.value

    broker.produce(source, [(None, str(number)) for number in range(20)])
    copying = run(link(Copy, broker, source, target, delivery=delivery, num_rpc_threads=0))
    values = [message.value() for message in broker.read(target, 19)]
    assert sorted(values) == sorted(str(number).encode() for number in range(20) if number != 5)
    (letter,) = broker.read(dead, 1)
    assert letter.value() == b"5"
    assert copying.failure is None


@pytest.mark.parametrize(("code", "status"), [(None, 0), (4, 4), ("no credentials", 1)])
def test_sys_exit_in_transform_ends_the_link_with_its_status(embedded_broker, run, code, status):
    broker = embedded_broker
    source = broker.topic("in", 1)

    class Exits(Link):
        def transform(self, electron):
            sys.exit(code)

    broker.produce(source, [(None, "first")])
    exits = run(link(Exits, broker, source, num_rpc_threads=0))
    assert exits.join(120)
    eventually(lambda: exits.status == status, message=lambda: f"status {exits.status}")
    assert committed(broker, broker.group(), source)[0] < 1


@pytest.mark.parametrize("argument", ["decode", "on_change"])
def test_sys_exit_in_a_function_of_a_table_ends_the_link_with_its_status(embedded_broker, run, argument):
    broker = embedded_broker
    rows = broker.topic("rows", 1)

    class Exits(Link):
        def setup(self):
            self.rows = self.table(rows, **{argument: lambda *_: sys.exit(4)})

        def generator(self):
            self.wait(600)

    broker.produce(rows, [("key", "first")])
    exits = run(link(Exits, broker, num_rpc_threads=0))
    assert exits.join(120)
    eventually(lambda: exits.status == 4, message=lambda: f"status {exits.status}")
