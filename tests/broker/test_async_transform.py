"""`async def transform` runs many awaits at once, those of one key in order; `yield` sends each value as it comes."""

import asyncio
import sys
from collections import defaultdict

import pytest

from catena_core import Electron, Link
from catena_core.errors import RejectedError
from tests.helpers.consumer_loop import committed
from tests.helpers.links import link
from tests.helpers.waiting import eventually

both_deliveries = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])


class Slow(Link):
    """Awaits, and notes how many do so at once, and in which order those of a key end."""

    attempts, backoff = 2, (0.01, 0.01)
    meet = 0  # so many are under way at once before the first ends

    def __init__(self, **given):
        super().__init__(**given)
        self.under_way, self.most, self.ended = 0, 0, defaultdict(list)

    async def transform(self, electron):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        while self.most < self.meet:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05 if int(electron.value) % 3 else 0.1)
        self.under_way -= 1
        self.ended[electron.key].append(int(electron.value))
        if electron.value == "7":
            raise RejectedError("never")
        self.send(Electron(electron.key, f"sent {electron.value}"))
        return Electron(electron.key, electron.value)


@both_deliveries
def test_awaits_run_at_once_and_in_order_by_key(embedded_broker, run, delivery):
    broker = embedded_broker
    source, target = broker.topic("in", 2), broker.topic("out", 2)
    broker.produce(source, [(f"k{number % 20}", str(number)) for number in range(100)])
    slow = link(Slow, broker, source, target, delivery=delivery, num_rpc_threads=0)
    slow.meet = 11
    run(slow)
    messages = broker.read(target, 198)
    assert {message.value() for message in messages} == {
        f"{sent}{number}".encode() for sent in ("", "sent ") for number in range(100) if number != 7
    }
    assert all(values == sorted(values) for values in slow.ended.values())
    (letter,) = broker.read(f"{broker.group()}.dead-letters", 1)
    assert letter.value() == b"7"
    if delivery == "at_least_once":
        eventually(lambda: sum(committed(broker, broker.group(), source, 2)) == 100)
    assert slow.failure is None


def test_an_async_transform_that_keeps_the_order_has_one_electron_under_way(embedded_broker, run):
    broker = embedded_broker
    source, target = broker.topic("in", 1), broker.topic("out", 1)
    broker.produce(source, [(f"k{number}", str(number)) for number in range(8, 16)])
    slow = run(link(Slow, broker, source, target, sequential=True, num_rpc_threads=0))
    broker.read(target, 16)
    assert slow.most == 1


def test_an_async_transform_is_tried_again_and_may_end_the_link(embedded_broker, run):
    broker = embedded_broker
    source, target = broker.topic("in", 1), broker.topic("out", 1)

    class Shaky(Link):
        attempts, backoff, tried = 3, (0.01, 0.01), 0

        async def transform(self, electron):
            self.tried += 1
            if self.tried == 1:
                raise asyncio.CancelledError
            if electron.value == "exit":
                sys.exit(5)
            yield electron.value
            yield self.tried

    broker.produce(source, [(None, "first")])
    shaky = run(link(Shaky, broker, source, target, num_rpc_threads=0))
    assert [message.value() for message in broker.read(target, 2)] == [b"first", b"2"]
    broker.produce(source, [(None, "exit")])
    assert shaky.join(120)
    eventually(lambda: shaky.status == 5)


@both_deliveries
def test_yield_sends_each_value_as_it_comes(embedded_broker, run, delivery):
    broker = embedded_broker
    source, target = broker.topic("in", 1), broker.topic("out", 1)
    seen = []

    class Several(Link):
        def transform(self, electron):
            yield electron.value
            if delivery == "at_least_once":
                seen.append(len(broker.read(target, 1)))
            yield [Electron("k", "two"), Electron("k", "three")]
            yield None
            yield "four", seen.append, ("arrived",)

    broker.produce(source, [(None, "one")])
    run(link(Several, broker, source, target, delivery=delivery, num_rpc_threads=0))
    assert [message.value() for message in broker.read(target, 4)] == [b"one", b"two", b"three", b"four"]
    eventually(lambda: seen[-1:] == ["arrived"])
    assert seen[0] == (1 if delivery == "at_least_once" else "arrived")


def test_a_decorated_async_transform_works(embedded_broker, run):
    broker = embedded_broker
    source, target = broker.topic("in", 1), broker.topic("out", 1)

    class Decorated(Link):
        async def _later(self, electron):
            await asyncio.sleep(0)
            return electron.value

        def transform(self, electron):
            return self._later(electron)

    broker.produce(source, [(None, "one")])
    run(link(Decorated, broker, source, target, num_rpc_threads=0))
    assert broker.read(target, 1)[0].value() == b"one"
