"""The reading and the calls of a link by its runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from prometheus_client import CollectorRegistry

from catena_core import Electron, Link
from catena_core.consuming import loop
from catena_core.consuming.assignment import Assignment
from catena_core.dead_letters import letter
from catena_core.delivery import producer
from catena_core.errors import DeliveryError, ReadingError, StoppedError, UsageError
from catena_core.monitoring.monitoring import Monitoring
from catena_core.runtime import KafkaRuntime, NoRuntime
from catena_core.wire.message import Message
from tests.helpers.kafka_clients import ConsumerClient, ProducerClient
from tests.helpers.messages import Message as Received
from tests.helpers.topic_ids import KnownTopicIds
from tests.helpers.waiting import eventually

IN = ("in", 0)


class Copy(Link):
    """Copies electrons, and notes its calls."""

    drain_timeout = 120.0

    def __init__(self, **given: Any) -> None:
        super().__init__(input_topics="in", output_topics="out", kafka_endpoint="broker:1", **given)
        self.told: list[Any] = []

    def transform(self, electron: Electron) -> Any:
        self.told.append(electron.value)
        return electron

    def assigned(self, partitions: Any) -> None:
        self.told.append(("assigned", *partitions))

    def revoked(self, partitions: Any) -> None:
        self.told.append(("revoked", *partitions))

    def replayed(self, partition: Any) -> None:
        self.told.append(("replayed", partition))


class Ground:
    """A runtime on clients of Kafka that do as a test says, with how it failed."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.failures: list[BaseException] = []
        self.stop, self.ready, self.running = threading.Event(), threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._has_ended = False
        definition = link._catena.definition
        self.monitoring = Monitoring("Copy", link.uid, "copies", link.options, link.logger, CollectorRegistry())
        self.runtime = KafkaRuntime(
            definition, link.options, self.stop, self.ready, self.failures.append, self.monitoring
        )
        link._catena.attach(self.runtime)
        self.sender: ProducerClient = self.runtime._producer.client  # type: ignore[assignment]

    @property
    def consumer(self) -> ConsumerClient:
        assert self.runtime._loop is not None
        consumer: Any = self.runtime._loop._consumer
        return consumer  # type: ignore[no-any-return]

    def start(self) -> None:
        def run() -> None:
            try:
                self.runtime.run(self.running.set)
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert self.running.wait(120)

    def end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self.stop.set()
        if self._thread is not None:
            self._thread.join(120)
        self.runtime.close()
        self.monitoring.close()

    def arrive(self) -> list[bytes | None]:
        """Wait until all that was sent has arrived, and return it."""
        assert self.runtime._producer.arrival().done.wait(120)
        return self.sender.taken


@pytest.fixture(autouse=True)
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Consumer", ConsumerClient)
    monkeypatch.setattr(loop, "TopicIds", lambda _properties: KnownTopicIds())
    monkeypatch.setattr(producer, "Producer", ProducerClient)


@pytest.fixture
def on() -> Iterator[Any]:
    grounds: list[Ground] = []

    def make(link: Link) -> Ground:
        grounds.append(Ground(link))
        return grounds[-1]

    yield make
    for ground in grounds:
        ground.end()


def electron(offset: int, value: bytes) -> Received:
    return Received(topic="in", partition=0, offset=offset, value=value, key=b"k")


def test_a_link_hears_of_a_partition_before_its_first_electron(on: Any) -> None:
    link = Copy()
    ground = on(link)
    ground.start()
    assert not ground.monitoring.health.ready
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"a"), electron(1, b"b"))
    eventually(lambda: link.told == [("assigned", IN), "a", "b"])
    assert ground.ready.is_set() and ground.monitoring.health.ready
    eventually(lambda: ground.sender.taken == [b"a", b"b"])


def test_a_link_without_partitions_is_ready_and_not_told(on: Any) -> None:
    link = Copy()
    ground = on(link)
    ground.start()
    ground.consumer.give()
    assert ground.ready.wait(120)
    assert link.told == []


class Held(Copy):
    """Is held up in its transform, or in its hook, until a test lets it go on."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.entered, self.goes_on = threading.Event(), threading.Event()

    def transform(self, electron: Electron) -> Any:
        if electron.value == "hold":
            self.hold()
        return super().transform(electron)

    def revoked(self, partitions: Any) -> None:
        self.hold()
        super().revoked(partitions)

    def hold(self) -> None:
        self.entered.set()
        assert self.goes_on.wait(120)


def test_a_partition_leaves_once_the_link_has_done_with_it(on: Any) -> None:
    link = Held()
    ground = on(link)
    ground.start()
    ground.runtime.submit(lambda: None)  # from now on the lane does not poll
    ground.consumer.give(IN)
    ground.consumer.take(IN)
    ground.consumer.bring(lambda: link.told.append("left"))
    assert link.entered.wait(120)
    link.goes_on.set()
    eventually(lambda: link.told == [("assigned", IN), ("revoked", IN), "left"])


def test_news_of_partitions_come_before_electrons_that_wait(on: Any) -> None:
    link = Held()
    ground = on(link)
    ground.start()
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"hold"), electron(1, b"next"))
    assert link.entered.wait(120)
    ground.runtime.assigned([("in", 1)])
    link.goes_on.set()
    eventually(lambda: link.told == [("assigned", IN), "hold", ("assigned", ("in", 1)), "next"])


def test_a_partition_leaves_at_its_deadline_though_the_link_goes_on(on: Any) -> None:
    class Slow(Copy):
        done = threading.Event()

        def revoked(self, partitions: Any) -> None:
            self.done.wait(300)

    link = Slow()
    ground = on(link)
    ground.start()
    ground.consumer.give(IN)
    assert ground.ready.wait(120)
    ground.runtime.revoked([IN], time.monotonic())
    assert not link.done.is_set()
    link.done.set()


def test_the_end_of_a_replay_is_told_of_partitions_that_are_still_there(on: Any) -> None:
    link = Copy()
    ground = on(link)
    gone, here = Assignment(IN, replaying=True), Assignment(("in", 1), replaying=True)
    gone.revoke()
    ground.runtime.replayed(gone)
    ground.runtime.replayed(here)
    assert link.told == [("replayed", ("in", 1))]


def test_a_hook_that_fails_ends_the_link_and_is_named(on: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Copy):
        def assigned(self, partitions: Any) -> None:
            raise KeyError("row")

    ground = on(Fails())
    ground.start()
    ground.consumer.give(IN)
    eventually(lambda: ground.failures)
    assert isinstance(ground.failures[0], KeyError)
    assert "assigned failed: KeyError('row')" in caplog.text


def test_a_hook_that_is_told_of_the_end_does_not_fail(on: Any) -> None:
    class Waits(Copy):
        def replayed(self, partition: Any) -> None:
            raise StoppedError

    ground = on(Waits())
    ground.runtime.replayed(Assignment(IN, replaying=True))
    assert ground.failures == []


def test_submitted_calls_run_between_electrons_of_a_single_lane(on: Any) -> None:
    link = Copy()
    ground = on(link)
    ground.start()
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"a"))
    eventually(lambda: "a" in link.told)
    ground.runtime.submit(link.told.append, "call")
    eventually(lambda: link.told[-1] == "call")


def test_calls_that_are_submitted_before_there_is_a_lane_come_before_the_first_electron(on: Any) -> None:
    class Submits(Copy):
        def setup(self) -> None:
            self.submit(self.told.append, "call")

    link = Submits()
    ground = on(link)
    ground.start()
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"a"))
    eventually(lambda: link.told == ["call", ("assigned", IN), "a"])


def test_a_link_that_reads_nothing_makes_submitted_calls_at_once(on: Any) -> None:
    class Generates(Link):
        def generator(self) -> None:
            self.wait(600)

    link, told = Generates(kafka_endpoint="broker:1"), []
    on(link)
    link.submit(told.append, "call")
    assert told == ["call"]


def test_calls_between_electrons_are_refused_of_a_link_with_several_lanes(on: Any) -> None:
    class Lanes(Copy):
        lanes = 2

    link = Lanes()
    on(link)
    with pytest.raises(UsageError, match="only a link with a single lane"):
        link.submit(lambda: None)


@pytest.mark.parametrize(("delivery", "may_wait"), [("at_least_once", True), ("exactly_once", False)])
def test_a_transform_may_wait_for_its_outputs_unless_they_go_out_with_its_offset(
    on: Any, delivery: str, may_wait: bool
) -> None:
    class Sends(Copy):
        waited: bool | None = None

        def transform(self, electron: Electron) -> None:
            self.waited = ground.runtime.send([Electron("k", "within", topic="out")])

    link = Sends(delivery=delivery)
    ground = on(link)
    ground.start()
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"a"))
    eventually(lambda: link.waited is not None)
    assert link.waited is may_wait
    assert ground.runtime.send([Electron("k", "outside", topic="out")])


def test_a_link_that_replays_makes_no_transactions(on: Any) -> None:
    class Replays(Copy):
        replay = True

    ground = on(Replays(delivery="exactly_once"))
    assert ground.runtime._producer.transactional_id is None
    ground.start()
    ground.consumer.give(IN)
    ground.consumer.bring(electron(0, b"a"))
    eventually(lambda: ground.sender.taken == [b"a"])
    consumer = ground.consumer
    ground.end()
    assert consumer.closed and consumer.commits == []


def test_callbacks_have_run_when_the_link_has_ended(on: Any) -> None:
    ground = on(Copy())
    called: list[Any] = []

    def callback() -> None:
        eventually(lambda: ground.sender.closed)
        called.append("late")

    ground.runtime.send([Electron("k", "v", topic="out")], lambda error: ground.runtime.callback(callback))
    ground.end()
    assert called == ["late"]


def test_messages_that_kafka_did_not_acknowledge_are_counted_at_the_end(
    on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    link = Copy()
    link.drain_timeout = 0.01
    ground = on(link)
    ground.sender.acknowledges = False
    ground.runtime.send([Electron("k", n, topic="out") for n in range(3)])
    ground.end()
    assert "3 messages were not acknowledged" in caplog.text


def test_a_dead_letter_that_a_link_sends_itself_counts_as_one(on: Any) -> None:
    link = Copy()
    ground = on(link)
    origin = {letter.PREFIX + letter.ORIGINAL_TOPIC: "earlier"}
    ground.runtime.send([Electron("k", "v", topic=link.dead_letters, headers=origin), Electron("k", "v", topic="out")])
    assert ground.arrive() == [b"v", b"v"]
    letters = [
        metric for metric in ground.monitoring.metrics.registry.collect() if metric.name == "catena_dead_letters"
    ]
    counted = [sample for sample in letters[0].samples if sample.name.endswith("_total")]
    assert [(sample.labels, sample.value) for sample in counted] == [({"topic": "earlier"}, 1)]


def test_an_output_that_kafka_refuses_becomes_a_dead_letter_and_that_one_loses_its_value_if_need_be(on: Any) -> None:
    link = Copy()
    ground = on(link)
    output = Message("out", b"bad", b"k")
    dead = ground.runtime._dead_output(output, "too large")
    assert (dead.topic, dead.key, dead.value) == (link.dead_letters, b"k", b"bad")
    assert "Kafka refuses it for out: too large" in str(dict(dead.headers or []))
    bare = ground.runtime._dead_output(dead, "too large")
    assert (bare.topic, bare.key, bare.value) == (link.dead_letters, b"k", None)
    with pytest.raises(DeliveryError, match=r"max\.message\.bytes"):
        ground.runtime._dead_output(bare, "too large")


class Counts:
    """Answers how many partitions a topic has, or does not answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.count: int | None = 3

    def __call__(self, topic: str, timeout: float) -> Any:
        self.asked += 1
        if self.count is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=range(self.count))})


def test_partitions_are_counted_once_in_a_while_and_the_count_outlives_a_silent_broker(
    on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, kafka = on(Copy(consumer_timeout=1)), Counts()
    monkeypatch.setattr(ground.sender, "list_topics", kafka, raising=False)
    assert [ground.runtime.partition_count("in") for _ in range(3)] == [3, 3, 3]
    assert kafka.asked == 1
    kafka.count = 5
    monkeypatch.setattr("catena_core.runtime._COUNTED_FOR", 0)
    assert ground.runtime.partition_count("in") == 5
    kafka.count = None
    assert ground.runtime.partition_count("in") == 5
    with pytest.raises(UsageError, match="other cannot be looked up"):
        ground.runtime.partition_count("other")


def test_a_broker_that_restarts_is_asked_again_for_the_partitions(on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ground, kafka = on(Copy()), Counts()
    kafka.count = None
    monkeypatch.setattr(ground.sender, "list_topics", kafka, raising=False)
    threading.Thread(target=lambda: (eventually(lambda: kafka.asked > 1), setattr(kafka, "count", 4))).start()
    assert ground.runtime.partition_count("in") == 4


def refusing(code: int, method: str = "__init__") -> type[Any]:
    """Make a client of Kafka that refuses one of its calls."""

    def refuse(*_arguments: Any, **_further: Any) -> None:
        raise KafkaException(KafkaError(code))

    return type("Refusing", (ProducerClient if method == "init_transactions" else ConsumerClient,), {method: refuse})


def test_properties_that_the_client_does_not_take_are_a_mistake_of_the_user(
    on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = on(Copy())
    monkeypatch.setattr(loop, "Consumer", refusing(KafkaError._INVALID_ARG))
    with pytest.raises(UsageError, match="does not take these properties"):
        ground.runtime.run(ground.running.set)
    monkeypatch.setattr(producer, "Producer", refusing(KafkaError._INVALID_ARG))
    with pytest.raises(UsageError, match="does not take these properties"):
        Ground(Copy())


def test_a_transactional_id_that_kafka_does_not_give_ends_the_link_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        producer, "Producer", refusing(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "init_transactions")
    )
    with pytest.raises(DeliveryError, match=r"transactions under the id copies\.one"):
        Ground(Copy(delivery="exactly_once", consumer_group="copies", instance_id="one"))


def test_a_client_that_cannot_subscribe_ends_the_link(on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Consumer", refusing(KafkaError._INVALID_ARG, "subscribe"))
    ground = on(Copy())
    ground.start()
    eventually(lambda: ground.error)
    assert isinstance(ground.error, ReadingError)


@pytest.mark.parametrize("service", ["send", "table", "partition_count", "rpc"])
def test_a_link_without_kafka_says_how_to_name_one(service: str) -> None:
    arguments = {"send": [[Electron("k", "v")]], "rpc": []}.get(service, ["in"])
    with pytest.raises(UsageError, match="-k HOST:PORT or KAFKA_ENDPOINT"):
        getattr(NoRuntime(), service)(*arguments)


def test_a_link_without_kafka_makes_its_calls_at_once() -> None:
    called: list[Any] = []
    NoRuntime().submit(called.append, 1)
    NoRuntime().callback(lambda: called.append(2))
    assert called == [1, 2] and NoRuntime().current_assignment() is None
