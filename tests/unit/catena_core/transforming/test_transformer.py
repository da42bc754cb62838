"""The path of an electron through a lane: what is sent of it, and when it is left or set aside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from catena_core import DeadLetterLimits, Electron, Link
from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.errors import DeliveryError, RejectedError
from catena_core.monitoring.metrics import Metrics
from catena_core.transforming.transformer import Transformer
from catena_core.wire.message import Message
from tests.helpers.messages import Message as Received


class Delivery:
    """Takes outputs at once, until it is told to take none."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.error: Exception | None = None

    def sink(self, batch: Batch | None) -> Delivery:
        return self

    def send(self, message: Message) -> None:
        if self.error:
            raise self.error
        self.sent.append(message)

    def send_plain(self, topic: str, value: bytes, key: bytes) -> None:
        self.send(Message(topic, value, key))

    def then(self, call: Callable[[Exception | None], None]) -> None:
        call(None)


class Sorter(Link):
    """Does with an electron what its value says."""

    attempts = 3
    backoff = (0.0, 0.0)
    dead_letter_limits = DeadLetterLimits(run=2)
    tried = 0

    def transform(self, electron: Electron) -> Any:
        if electron.value == "fail":
            self.tried += 1
            raise ValueError("it cannot be")
        if electron.value == "reject":
            self.tried += 1
            raise RejectedError("never")
        if electron.value == "once" and not self.tried:
            self.tried += 1
            raise ValueError("not yet")
        if electron.value == "unsendable":
            return [Electron("k", "first"), Electron("k", object())]
        return None if electron.value == "nothing" else Electron(electron.key, electron.value)


class Lane:
    """A transformer with all around it."""

    def __init__(self, delivery: Any) -> None:
        self.link = Sorter(input_topics="in", output_topics="out", consumer_group="sorters")
        self.delivery = delivery
        self.failed: list[BaseException] = []
        self.metrics = Metrics()
        self.stop = threading.Event()
        self.assignment = Assignment(("in", 0), replaying=False)
        definition = self.link._catena.definition
        self.transformer = Transformer(
            definition, self.delivery, lambda: None, lambda call: call(), self.failed.append, self.metrics, self.stop
        )

    def process(self, *values: str) -> int:
        """Transform electrons; return how many were done."""
        messages: list[Any] = [
            Received(offset=offset, value=value.encode(), key=b"k", topic="in") for offset, value in enumerate(values)
        ]
        batch = Batch(self.assignment, messages, list(range(len(values))))
        self.transformer.process(batch)
        return batch.done

    def sent(self, topic: str = "out") -> list[bytes | None]:
        return [message.value for message in self.delivery.sent if message.topic == topic]

    def count(self, name: str) -> float:
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"catena_{name}_total"
        )


@pytest.fixture
def lane() -> Lane:
    return Lane(Delivery())


def test_outputs_go_out_in_the_order_of_electrons_and_are_counted(lane: Lane) -> None:
    assert lane.process("a", "nothing", "b") == 3
    assert lane.sent() == [b"a", b"b"]
    assert (lane.count("consumed"), lane.count("produced")) == (3, 2)


def test_an_electron_that_fails_once_is_tried_again_in_its_place(lane: Lane) -> None:
    assert lane.process("a", "once", "b") == 3
    assert lane.sent() == [b"a", b"once", b"b"]
    assert (lane.count("failed"), lane.count("retried")) == (1, 1)


@pytest.mark.parametrize(("value", "tried", "error"), [("fail", 3, "ValueError"), ("reject", 1, "RejectedError")])
def test_an_electron_that_fails_for_good_is_set_aside_and_the_next_goes_on(
    lane: Lane, value: str, tried: int, error: str
) -> None:
    assert lane.process(value, "b") == 2
    assert lane.sent("sorters.dead-letters") == [value.encode()]
    headers = dict(lane.delivery.sent[0].headers)
    assert (headers["error-type"], headers["attempts"]) == (error.encode(), str(tried).encode())
    assert lane.sent() == [b"b"]
    assert lane.link.tried == tried


def test_of_a_result_that_cannot_be_sent_nothing_is(lane: Lane) -> None:
    lane.process("unsendable")
    assert lane.sent() == []
    assert lane.sent("sorters.dead-letters") == [b"unsendable"]


def test_too_many_dead_letters_end_the_link_before_the_one_too_many(lane: Lane) -> None:
    assert lane.process("fail", "reject", "fail", "b") == 2
    assert len(lane.sent("sorters.dead-letters")) == 2
    assert len(lane.failed) == 1
    assert lane.sent() == []


def test_electrons_of_a_revoked_partition_are_left_alone(lane: Lane) -> None:
    lane.assignment.revoked = True
    assert lane.process("a") == 0
    assert (lane.sent(), lane.failed) == ([], [])


def test_a_stop_ends_retries_without_a_dead_letter(lane: Lane) -> None:
    lane.stop.set()
    assert lane.process("a", "fail", "b") == 1
    assert [message.value for message in lane.delivery.sent] == [b"a"]
    assert lane.failed == []


def test_a_delivery_at_its_end_ends_the_link(lane: Lane) -> None:
    lane.delivery.error = DeliveryError("no more")
    assert lane.process("a") == 0
    assert lane.failed == [lane.delivery.error]
