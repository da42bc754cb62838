"""The test driver: what a link's tests can rely on."""

import asyncio
import dataclasses
import datetime

import pytest

from catena_core import Electron, Link, rpc
from catena_core.errors import CodecError, InternalError, MethodNotFoundError, StoppedError, UsageError
from catena_core.rpc import LocalRpc
from catena_core.testing import LinkDriver

NOON = 1_800_000_000.0


class Echo(Link):
    inputs, outputs = ("in",), ("out",)

    def transform(self, electron):
        self.last = electron
        return Electron(electron.key, electron.value)


class Ticker(Link):
    """Ticks every ten seconds, and every minute."""

    outputs = ("ticks",)

    def setup(self, name="tick"):
        self.loop(lambda: self.send(name), interval=10)
        self.loop(lambda: self.send("minute"), interval=60, wait=True)


class Counter(Link):
    outputs = ("out",)

    def setup(self):
        self.total = 0

    @rpc
    def add(self, context, number):
        self.total += number
        return {"total": self.total, "by": context.group}

    @rpc
    def fail(self):
        raise ValueError("no")

    def hidden(self):
        return "secret"

    def finish(self):
        self.send(self.total)


class Caller(Link):
    inputs, outputs = ("in",), ("out",)

    def transform(self, electron):
        return self.rpc_call("counter", "add", [electron.value])


# Electrons


def test_an_electron_says_where_and_when_it_was_read():
    link = Echo()
    driver = LinkDriver(link, now=NOON)
    driver.transform(Electron("k", 1, topic="other", partition=3, headers={"who": "me"}))
    driver.transform(Electron("k", 2, topic="other", partition=3, timestamp=5))
    last = link.last
    assert (last.previous_topic, last.topic, last.partition, last.offset, last.timestamp) == ("other", None, 3, 1, 5)
    driver.transform("a value alone")
    last = link.last
    assert (last.previous_topic, last.key, last.value, last.offset) == ("in", None, "a value alone", 0)
    assert last.timestamp == int(NOON * 1000)


def test_outputs_have_the_time_of_their_electron_on_demand():
    link = Echo()
    link.keep_timestamps = True
    driver = LinkDriver(link, now=NOON)
    assert [electron.timestamp for electron in driver.transform(Electron("k", 1, timestamp=5))] == [5]
    link.send("from elsewhere")
    assert driver.sent[-1].timestamp is None


def test_outputs_are_in_the_trace_of_their_electron():
    driver = LinkDriver(Echo())
    trace = "0af7651916cd43dd8448eb211c80319c"
    (sent,) = driver.transform(Electron("k", 1, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}))
    assert trace in sent.headers["traceparent"]
    assert "b7ad6b7169203331" not in sent.headers["traceparent"]


def test_outputs_without_a_key_have_that_of_a_link_that_keeps_the_order():
    link = Echo(sequential=True)
    assert [electron.key for electron in LinkDriver(link).transform("v")] == [link.uid]


def test_of_a_result_that_cannot_be_sent_whole_nothing_is_sent():
    class Half(Echo):
        def transform(self, electron):
            return ["good", object()]

    driver = LinkDriver(Half())
    with pytest.raises(CodecError):
        driver.transform("v")
    assert driver.sent == []


def test_an_async_transform_has_one_event_loop_for_all_electrons():
    class Loops(Echo):
        async def transform(self, electron):
            self.loops = [*getattr(self, "loops", []), asyncio.get_running_loop()]

    link = Loops()
    LinkDriver(link).transform_batch([1, 2])
    assert link.loops[0] is link.loops[1]


@dataclasses.dataclass(frozen=True)
class Reading:
    at: datetime.date
    values: tuple


@pytest.mark.parametrize(
    "value", [None, "text", b"\xff", 1.5, {"a": [1, None]}, (1, 2), {1, 2}, Reading(datetime.date(2026, 1, 2), (1,))]
)
def test_values_pass_through_the_wire_format(value):
    driver = LinkDriver(Echo())
    (sent,) = driver.transform(Electron("k", value))
    assert sent == Electron("k", value, topic="out")
    assert type(sent.value) is type(value)


def test_what_no_receiver_could_read_is_refused_in_and_out():
    class Bad(Echo):
        def transform(self, electron):
            return object()

    with pytest.raises(CodecError, match=r"send text, bytes, numbers"):
        LinkDriver(Bad()).transform("x")
    with pytest.raises(CodecError):
        LinkDriver(Echo()).transform(object())


def test_the_formats_of_a_link_hold():
    class Plain(Echo):
        input_format, output_format = "json", "text"

        def transform(self, electron):
            return electron.value["word"]

    driver = LinkDriver(Plain())
    assert driver.transform({"word": "hey"}) == [Electron(None, "hey", topic="out")]
    with pytest.raises(CodecError, match="a int cannot be sent as text"):
        driver.transform({"word": 1})


def test_errors_of_a_transform_reach_the_test():
    class Wrong(Echo):
        def transform(self, electron):
            self.send("before")
            raise KeyError("missing")

    driver = LinkDriver(Wrong())
    with pytest.raises(KeyError, match="missing"):
        driver.transform("x")
    assert [electron.value for electron in driver.sent] == ["before"]


def test_a_link_without_input_topics_says_what_to_do():
    class Anywhere(Link):
        def transform(self, electron):
            return None

    with pytest.raises(UsageError, match="give the electron one"):
        LinkDriver(Anywhere()).transform("x")
    assert LinkDriver(Anywhere()).transform(Electron(value="x", topic="here")) == []


# Time


def test_loops_run_when_time_passes():
    driver = LinkDriver(Ticker(), now=NOON)
    assert [electron.value for electron in driver.advance(25)] == ["tick", "tick", "tick"]
    assert [electron.value for electron in driver.advance(35)] == ["tick", "tick", "tick", "minute", "tick"]
    assert driver.advance(5) == []


def test_a_loop_that_fails_goes_on(caplog):
    class Shaky(Link):
        def setup(self):
            self.calls = 0
            self.loop(self.call, interval=1, wait=True)

        def call(self):
            self.calls += 1
            raise ValueError("not now")

    link = Shaky()
    LinkDriver(link, now=NOON).advance(3)
    assert link.calls == 3
    assert "call failed: ValueError('not now')" in caplog.text


def test_the_time_stands_still_but_for_waits():
    class Patient(Echo):
        def transform(self, electron):
            began = self.now()
            self.wait(3600)
            return [began, self.now()]

    driver = LinkDriver(Patient(), now=NOON)
    assert [electron.value for electron in driver.transform("x")] == [NOON, NOON + 3600]


def test_time_that_is_not_in_hand_cannot_be_moved():
    driver = LinkDriver(Link(output_topics="ticks"))
    with pytest.raises(UsageError, match=r"make the driver with now="):
        driver.advance(1)
    with pytest.raises(UsageError, match=r"make the driver with now="):
        driver.generate(seconds=1)


def test_a_generator_that_goes_on_is_ended_by_its_next_wait():
    class Endless(Link):
        outputs = ("out",)

        def generator(self):
            while not self.stopping:
                self.send(self.now() - NOON)
                self.wait(10)

    link = Endless()
    driver = LinkDriver(link, now=NOON)
    assert [electron.value for electron in driver.generate(seconds=25)] == [0, 10, 20]
    assert link.now() == NOON + 25
    assert [electron.value for electron in driver.generate(seconds=5)] == [25]
    assert not link.stopping


def test_a_generator_that_returns_is_called_once():
    class Once(Link):
        outputs = ("out",)

        def generator(self):
            self.send(1)

    assert [electron.value for electron in LinkDriver(Once()).generate()] == [1]


# Partitions, tables, the end


def test_partitions_are_given_replayed_and_taken():
    class Memory(Link):
        inputs, outputs = ("in",), ("out",)
        replay = True

        def setup(self):
            self.have = set()

        def assigned(self, partitions):
            self.have |= set(partitions)

        def replayed(self, partition):
            self.send(f"replayed {partition[1]}")

        def revoked(self, partitions):
            self.have -= set(partitions)
            self.send(f"{len(self.have)} left")

        def transform(self, electron):
            return None

    driver = LinkDriver(Memory())
    assert [electron.value for electron in driver.assign(("in", 0), ("in", 2))] == ["replayed 0", "replayed 2"]
    assert [electron.value for electron in driver.revoke(("in", 0))] == ["1 left"]


def test_a_change_of_a_table_is_told_and_what_is_sent_because_of_it_returned():
    class Watching(Link):
        outputs = ("out",)

        def setup(self):
            self.rows = self.table(
                "rows",
                decode=lambda key, value: value.upper(),
                on_change=lambda key, old, new: self.send([key, old, new]),
            )

    link = Watching()
    driver = LinkDriver(link, tables={"rows": {"a": "x"}})
    assert dict(link.rows) == {"a": "X"}
    driver.sent.clear()
    driver.put("rows", "a", "y")
    assert [electron.value for electron in driver.sent] == ["a", "X", "Y"]
    assert driver.put("elsewhere", "a", "y") == []


def test_the_setup_gets_its_arguments_and_the_end_may_send():
    driver = LinkDriver(Ticker(), now=NOON, setup_kwargs={"name": "tock"})
    assert driver.advance(1)[0].value == "tock"
    link = Counter()
    ending = LinkDriver(link)
    ending.call("add", [2])
    assert [electron.value for electron in ending.finish()] == [2]
    assert link.stopping
    with pytest.raises(StoppedError):
        link.wait(0.01)


# Calls


def test_links_of_one_test_call_each_other():
    calls = LocalRpc()
    counter, caller = Counter(), Caller(consumer_group="callers")
    counting, calling = LinkDriver(counter, rpc=calls), LinkDriver(caller, rpc=calls)
    assert calling.transform(3)[0].value == {"total": 3, "by": "callers"}
    caller.rpc_notify("add", 4, to=counter.uid)
    assert counter.total == 7
    assert caller.instances.by_group == {"callers": [caller.uid], "Counter": [counter.uid]}
    counting.finish()
    assert caller.instances.by_group == {"callers": [caller.uid]}


def test_the_test_calls_as_another_link_would():
    driver = LinkDriver(Counter())
    assert driver.call("add", kwargs={"number": 5})["total"] == 5
    with pytest.raises(MethodNotFoundError, match="it has add, fail"):
        driver.call("hidden")
    with pytest.raises(InternalError, match="ValueError: no"):
        driver.call("fail")


def test_a_value_that_a_generator_returns_is_told(caplog):
    class Returns(Link):
        def generator(self):
            return [1, 2]

    driver = LinkDriver(Returns(output_topics="out"))
    assert driver.generate() == [] == driver.generate()
    assert [record.levelname for record in caplog.records if "which is not sent" in record.getMessage()] == ["WARNING"]


def test_an_output_that_is_too_large_is_refused_as_by_kafka():
    class Fills(Link):
        inputs, outputs = ("in",), ("out",)

        def transform(self, electron):
            return bytes(electron.value)

    driver = LinkDriver(Fills())
    assert len(driver.transform(1_000_000)) == 1
    with pytest.raises(CodecError, match="bytes are too many for one message of Kafka"):
        driver.transform(17 * 1024 * 1024)


def test_topics_have_no_more_partitions_than_the_driver_says():
    class Places(Link):
        inputs, outputs = ("in",), ("out",)

        def transform(self, electron):
            return Electron(value="x", partition=electron.value)

    driver = LinkDriver(Places(), partitions=2)
    assert driver.transform(1)[0].partition == 1
    with pytest.raises(CodecError, match="out has no partition 2"):
        driver.transform(2)
    for drives in (lambda: driver.transform(Electron(value=0, partition=2)), lambda: driver.assign(("in", 2))):
        with pytest.raises(UsageError, match="in has no partition 2; make the driver with partitions="):
            drives()


def test_only_a_link_that_replays_its_topics_hears_of_the_end_of_a_replay():
    class Hears(Echo):
        def replayed(self, partition):
            self.send("replayed")

    assert LinkDriver(Hears()).assign(("in", 0)) == []


def test_calls_between_electrons_need_a_single_lane():
    class Lanes(Echo):
        lanes = 2

    link = Lanes()
    LinkDriver(link)
    with pytest.raises(UsageError, match="only a link with a single lane"):
        link.submit(lambda: None)


def test_a_link_that_has_ended_sends_nothing_more():
    link = Counter()
    LinkDriver(link).finish()
    with pytest.raises(StoppedError, match="the link has ended"):
        link.send(1)
