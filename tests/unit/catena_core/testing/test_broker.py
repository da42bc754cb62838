"""The broker for tests of links, and links that run on it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from catena_core import Electron, Link
from catena_core.errors import CatenaError, DeliveryError, UsageError
from catena_core.testing import broker as module
from catena_core.testing.broker import RunLink, TestBroker, open_broker
from tests.helpers.waiting import eventually


@pytest.fixture(scope="module")
def broker() -> Iterator[TestBroker]:
    with open_broker(None) as broker:
        yield broker


@pytest.fixture
def run_link(broker: TestBroker) -> Iterator[RunLink]:
    run = RunLink(broker)
    yield run
    run.close()


class Idle(Link):
    """Does nothing, or fails."""

    error: Exception | None = None

    def generator(self) -> None:
        self.wait(600)

    def finish(self) -> None:
        if self.error is not None:
            raise self.error


def test_each_topic_is_another_one(broker: TestBroker) -> None:
    assert broker.topic("lines") != broker.topic("lines")


def test_items_are_values_pairs_and_electrons(broker: TestBroker) -> None:
    topic = broker.topic("items", partitions=2)
    broker.produce(topic, ["value", ("key", "value"), ("a", "b", "c"), Electron("key", 7, partition=1, timestamp=5)])
    found = broker.consume(topic, 4, timeout=120)
    assert {(electron.key, str(electron.value)) for electron in found} == {
        (None, "value"),
        ("key", "value"),
        (None, "('a', 'b', 'c')"),
        ("key", "7"),
    }
    assert [(e.partition, e.timestamp) for e in found if e.value == 7] == [(1, 5)]


@pytest.mark.parametrize("item", ["hello", b"hello", {"a": 1}, Electron("k", "v")])
def test_a_single_item_is_not_taken_for_a_list(broker: TestBroker, item: Any) -> None:
    with pytest.raises(UsageError, match="takes a list"):
        broker.produce("any", item)


def test_items_that_kafka_does_not_take_are_no_success(broker: TestBroker) -> None:
    topic = broker.topic("small", partitions=1)
    with pytest.raises(DeliveryError, match=rf"1 electrons for {topic} did not arrive: .*too large"):
        broker.produce(topic, ["first", "x" * 2_000_000])
    with pytest.raises(DeliveryError, match=rf"1 electrons for {topic} did not arrive: .*[Uu]nknown partition"):
        broker.produce(topic, [Electron("k", "v", partition=9)])


def test_more_items_than_the_client_has_room_for_arrive(broker: TestBroker) -> None:
    topic = broker.topic("many", partitions=1)
    few = TestBroker(broker.endpoint, {**broker.properties, "queue.buffering.max.messages": "10"})
    few.produce(topic, range(100))
    assert [electron.value for electron in few.consume(topic, 100, timeout=120)] == list(range(100))


def test_a_failure_of_a_link_is_raised_once(broker: TestBroker) -> None:
    topic = broker.topic("out", partitions=1)
    broker.produce(topic, ["a"])
    link: Any = SimpleNamespace(failure=ZeroDivisionError())
    broker.watch(link)
    with pytest.raises(ZeroDivisionError):
        broker.consume(topic, 1, timeout=120)
    broker.forget(link)
    broker.consume(topic, 0)


def test_electrons_in_place_of_those_expected_are_listed_and_counted() -> None:
    shown = module._listed(
        [Electron("k", 1), Electron("k", 1), *(Electron("k", f"v{n}") for n in range(module._SHOWN))]
    )
    assert "'k': 1 (2 times)" in shown and shown.endswith("\n  … and 1 more")


def test_a_link_gets_the_broker_and_a_group_and_keeps_its_own(broker: TestBroker, run_link: RunLink) -> None:
    given, other = run_link(Idle(consumer_group="own", properties={"session.timeout.ms": "5000"})), run_link(Idle())
    assert given.kafka_endpoint == other.kafka_endpoint == broker.endpoint
    assert given.options.properties == {**broker.properties, "session.timeout.ms": "5000"}
    assert given.consumer_group == "own" and other.consumer_group.startswith("Idle-")


def test_links_of_one_class_share_a_group_in_a_test_and_with_no_other_test(broker: TestBroker) -> None:
    groups = []
    for run in (RunLink(broker), RunLink(broker)):
        groups.append({run(Idle()).consumer_group for _ in range(2)})
        run.close()
    assert [len(group) for group in groups] == [1, 1] and groups[0] != groups[1]


def test_all_links_stop_although_one_fails_and_the_first_failure_is_raised(broker: TestBroker) -> None:
    run = RunLink(broker)
    links = [run(Idle()) for _ in range(3)]
    links[0].error, links[1].error = ZeroDivisionError("first"), ValueError("second")  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        run.close()
    assert all(link.join(0) for link in links)
    topic = broker.topic("out")
    broker.produce(topic, ["a"])
    broker.consume(topic, 1, timeout=120)  # the second failure is no later test's


def test_a_link_that_goes_on_cannot_be_waited_for(run_link: RunLink) -> None:
    link = run_link(Idle())
    with pytest.raises(CatenaError, match="Idle has not ended within 0 s"):
        run_link.wait(link, timeout=0)
    link.stop()
    eventually(lambda: link.join(0))
    run_link.wait(link, timeout=120)
