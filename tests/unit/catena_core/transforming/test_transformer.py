"""The path of an electron through a lane: what is sent of it, and when it is left or set aside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from catena_core import DeadLetterLimits, Electron, Link
from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.delivery.exactly_once import HeldOutputs
from catena_core.errors import CatenaError, DeliveryError, RejectedError, StoppedError
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

    def __init__(self, delivery: Any, kind: type[Sorter] = Sorter) -> None:
        self.link = kind(input_topics="in", output_topics="out", consumer_group="sorters")
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
    lane.assignment.revoke()
    assert lane.process("a") == 0
    assert (lane.sent(), lane.failed) == ([], [])


def test_a_stop_ends_retries_without_a_dead_letter(lane: Lane) -> None:
    lane.stop.set()
    assert lane.process("a", "fail", "b") == 1
    assert [message.value for message in lane.delivery.sent] == [b"a"]
    assert lane.failed == []


class Misled(Sorter):
    def transform(self, electron: Electron) -> Any:
        raise StoppedError  # of another link, for instance


class MisledLater(Sorter):
    async def transform(self, electron: Electron) -> Any:
        raise StoppedError


def test_a_transform_that_raises_stopped_error_for_no_reason_ends_the_link_and_does_not_stand_still() -> None:
    lane = Lane(Delivery(), Misled)
    assert lane.process("a") == 0
    assert "not stopping" in str(lane.failed[0])

    later = Lane(Delivery(), MisledLater)
    message: Any = Received(offset=0, value=b"a", topic="in")
    with pytest.raises(CatenaError, match="not stopping"):
        asyncio.run(later.transformer.process_async(Batch(later.assignment, [message], [0]), message, 0))
    later.stop.set()
    with pytest.raises(StoppedError):
        asyncio.run(later.transformer.process_async(Batch(later.assignment, [message], [0]), message, 0))


def test_a_delivery_at_its_end_ends_the_link(lane: Lane) -> None:
    lane.delivery.error = DeliveryError("no more")
    assert lane.process("a") == 0
    assert lane.failed == [lane.delivery.error]


class Aggregating(Sorter):
    """Sends outputs in every way, with the time of the electron."""

    keep_timestamps = True

    def transform(self, electron: Electron) -> Any:
        yield "a value"
        yield [Electron("k", "new"), Electron("k", "own time", timestamp=5)]
        yield electron
        if electron.value == "once" and not self.tried:
            self.tried += 1
            raise ValueError("not yet")


class Asynchronous(Sorter):
    keep_timestamps = True

    async def transform(self, electron: Electron) -> Any:
        return Electron("k", "new")


class TestEventTime:
    def test_outputs_have_the_time_of_their_electron_on_demand(self) -> None:
        lane = Lane(Delivery(), Aggregating)
        lane.process("a")

        times = {message.value: message.timestamp for message in lane.delivery.sent}
        came = 1_700_000_000_500
        assert times == {b"a value": came, b"new": came, b"own time": 5, b"a": came}

    def test_outputs_of_another_attempt_have_it_too(self) -> None:
        lane = Lane(Delivery(), Aggregating)
        lane.process("once")

        assert {message.timestamp for message in lane.delivery.sent} == {1_700_000_000_500, 5}

    def test_outputs_of_an_async_transform_have_it_too(self) -> None:
        lane = Lane(Delivery(), Asynchronous)
        message: Any = Received(offset=0, value=b"a", topic="in")
        asyncio.run(lane.transformer.process_async(Batch(lane.assignment, [message], [0]), message, 0))

        assert [message.timestamp for message in lane.delivery.sent] == [1_700_000_000_500]

    def test_outputs_have_the_time_of_sending_otherwise(self) -> None:
        lane = Lane(Delivery())
        lane.process("a")

        assert [message.timestamp for message in lane.delivery.sent] == [None]


class Preparing(Sorter):
    """Notes the batches that it prepares for."""

    batches: list[list[Any]]

    def prepare_batch(self, electrons: Any) -> None:
        self.batches = [*getattr(self, "batches", []), [electron.value for electron in electrons]]
        if "stop" in self.batches[-1]:
            raise StoppedError
        if "trip" in self.batches[-1]:
            raise ValueError("it cannot be prepared")


class TestPreparation:
    def lane(self) -> Lane:
        return Lane(Delivery(), Preparing)

    def test_prepare_batch_gets_all_electrons_before_the_first_transform(self) -> None:
        lane = self.lane()
        lane.process("a", "b")

        assert lane.link.batches == [["a", "b"]]  # type: ignore[attr-defined]
        assert [message.value for message in lane.delivery.sent] == [b"a", b"b"]

    def test_prepare_batch_that_fails_loses_nothing(self) -> None:
        lane = self.lane()
        lane.process("trip", "b")

        assert [message.value for message in lane.delivery.sent] == [b"trip", b"b"]

    def test_prepare_batch_that_stops_leaves_the_batch_to_the_next(self) -> None:
        lane = self.lane()
        lane.process("stop", "b")

        assert lane.delivery.sent == []


def test_much_that_waits_for_its_transaction_is_handed_over_before_the_batch_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("catena_core.transforming.transformer._HAND_OVER_ABOVE", 3000)

    class Held(Delivery):
        def sink(self, batch: Batch | None) -> Any:
            assert batch is not None
            batch.hand_over = parts.append
            self.batch = batch
            return HeldOutputs(batch, lambda _batch, _size: None)

    parts: list[Batch] = []
    delivery = Held()
    lane = Lane(delivery)
    values = [f"{number:01000}" for number in range(10)]
    done = lane.process(*values[:5], "fail", *values[5:])
    parts.append(delivery.batch)
    assert len(parts) == 4
    assert [offset for part in parts for offset in part.offsets] == list(range(11))
    assert all(part.done == len(part.messages) for part in parts) and done == parts[-1].done
    sent = [output.value for part in parts for _, output in part.outputs if output.topic == "out"]  # type: ignore[union-attr]
    assert sent == [value.encode() for value in values]
    assert [{offset for offset, _ in part.outputs} for part in parts] == [set(part.offsets) for part in parts]
    assert sum(part.bytes for part in parts) == 10_004
    assert lane.count("consumed") == 11


def test_a_value_of_which_json_would_lack_something_is_a_dead_letter_and_null_is_not() -> None:
    class Numbers(Sorter):
        output_format = "json"

        def transform(self, electron: Electron) -> Any:
            values = {"nan": [float("nan")], "twins": {1: "a", "1": "b"}, "none": [None], "nested": {"a": {"1": 2}}}
            return Electron("k", values[electron.value])

    lane = Lane(Delivery(), Numbers)
    assert lane.process("nan", "none", "twins", "nested") == 4
    assert lane.sent() == [b"[null]", b'{"a":{"1":2}}']
    assert lane.sent("sorters.dead-letters") == [b"nan", b"twins"]
