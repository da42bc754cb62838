"""The producer of a link: what arrives, what is refused, and what is the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.delivery import producer as module
from catena_core.delivery.producer import MessageProducer
from catena_core.errors import CodecError, DeliveryError, StoppedError
from catena_core.monitoring.logs import LinkLogger
from catena_core.wire.message import Message
from tests.helpers.kafka_clients import ProducerClient
from tests.helpers.messages import Message as Received
from tests.helpers.waiting import eventually


class Sender:
    """A producer with what it says of its messages.

    Attributes:
        refused: The reason and the message of each that Kafka will never take.
        failures: The errors that end the link.
    """

    def __init__(self, transactional_id: str | None) -> None:
        self.refused: list[tuple[str, Message]] = []
        self.failures: list[Exception] = []
        self.stop = threading.Event()
        self.on_refused: Callable[[str, Message], None] = lambda reason, message: self.refused.append((reason, message))
        self.producer = MessageProducer(
            "broker:1",
            LinkLogger("Sender"),
            {},
            on_refused=lambda reason, message: self.on_refused(reason, message),
            on_failure=self.failures.append,
            transactional_id=transactional_id,
            stop=self.stop,
        )
        self.client: ProducerClient = self.producer.client  # type: ignore[assignment]

    def send(self, *values: bytes, **further: Any) -> None:
        for value in values:
            self.producer.send(Message("out", value, **further))

    def arrive(self) -> Exception | None:
        """Wait for all that was sent; give the failure, if there was one."""
        arrival = self.producer.arrival()
        assert arrival.done.wait(120)
        return arrival.error


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "Producer", ProducerClient)
    senders: list[Sender] = []

    def make(transactional_id: str | None = None) -> Sender:
        senders.append(Sender(transactional_id))
        return senders[-1]

    yield make
    for sender in senders:
        sender.client.failure = None
        sender.producer.close(1)


@pytest.fixture
def sender(sending: Any) -> Any:
    return sending()


def test_an_arrival_comes_once_all_that_was_sent_before_is_acknowledged(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.send(b"1", b"2")
    seen: list[Any] = []
    arrival = sender.producer.arrival(lambda error: seen.append((error, list(sender.client.taken))))
    sender.producer.send_now(Message("out", b"3"))
    sender.client.acknowledges = True
    assert arrival.done.wait(120)
    assert seen == [(None, [b"1", b"2", b"3"])]


def test_messages_in_the_batch_of_a_refused_one_arrive_and_it_is_told_whole(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.client.refused = {b"bad": KafkaError.INVALID_RECORD}
    sender.send(b"1", b"bad", b"2", headers=[("trace", b"7")], key=b"k")
    arrival = sender.producer.arrival()
    sender.client.acknowledges = True
    assert arrival.done.wait(120) and arrival.error is None
    assert sorted(filter(None, sender.client.taken)) == [b"1", b"2"]
    assert [message for _, message in sender.refused] == [Message("out", b"bad", b"k", [("trace", b"7")])]
    assert not sender.failures


def test_messages_of_which_kafka_tells_that_they_were_not_refused_go_together_once_more(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.client.tells_which = True
    sender.client.refused = {b"bad": KafkaError.INVALID_RECORD, b"worse": KafkaError.INVALID_RECORD}
    sender.send(b"1", b"bad", b"2", b"worse", b"3")
    sender.send(b"4", headers=[("trace", b"7")], key=b"k")
    arrival = sender.producer.arrival()
    sender.client.acknowledges = True
    assert arrival.done.wait(120) and arrival.error is None
    assert sender.client.taken == [b"1", b"2", b"3", b"4"]
    assert [message.value for _, message in sender.refused] == [b"bad", b"worse"]
    assert len(sender.client.placed) == 6 + 4 + 2
    assert [where for where in sender.client.placed if where] == [{"headers": [("trace", b"7")]}] * 2
    assert not sender.failures


def test_a_refused_message_is_replaced_before_the_arrival(sender: Sender) -> None:
    sender.client.refused = {b"bad": KafkaError.MSG_SIZE_TOO_LARGE}
    sender.on_refused = lambda _reason, _message: sender.producer.send_now(Message("letters", b"letter"))
    sender.send(b"bad")
    assert sender.arrive() is None
    assert sender.client.taken == [b"letter"]


def test_a_message_that_the_client_refuses_the_second_time_is_told(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.client.refused = {b"bad": KafkaError.INVALID_RECORD}
    sender.send(b"bad")
    sender.client.rejected = {b"bad": KafkaError.MSG_SIZE_TOO_LARGE}
    sender.client.acknowledges = True
    assert sender.arrive() is None
    assert [message.value for _, message in sender.refused] == [b"bad"]


def test_any_other_failure_is_the_end_and_told_once(sender: Sender) -> None:
    sender.client.refused = {b"1": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    sender.send(b"1", b"2")
    error = sender.arrive()
    assert isinstance(error, DeliveryError) and "out" in str(error)
    assert sender.failures == [error]
    sender.client.acknowledges = False  # what comes later fails at once, and is not waited for
    sender.send(b"3")
    assert sender.arrive() is error


@pytest.mark.parametrize(
    ("code", "failures", "ends"),
    [(KafkaError._PURGE_QUEUE, 1, False), (KafkaError.TOPIC_AUTHORIZATION_FAILED, 0, True)],
)
def test_a_failure_within_a_transaction_is_the_end_only_if_it_would_come_again(
    sending: Any, code: int, failures: int, ends: bool
) -> None:
    sender = sending("shop.host")
    sender.client.refused = {b"1": code}
    sender.send(b"1")
    eventually(lambda: not sender.client.queue)
    sender.producer.flush(120)
    assert (sender.producer.failures, bool(sender.failures)) == (failures, ends)


def test_a_transaction_is_asked_what_to_do_with_a_refused_message(sending: Any) -> None:
    """It is not sent once more by itself: the transaction repeats all of its messages."""
    sender = sending("shop.host")
    sender.client.refused = {b"bad": KafkaError.INVALID_RECORD}
    sender.send(b"bad")
    assert sender.arrive() is None
    assert sender.producer.report_refused() and not sender.producer.report_refused()
    assert [message.value for _, message in sender.refused] == [b"bad"]
    assert len(sender.client.placed) == 1


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, CodecError, "bytes are too many"),
        (KafkaError._UNKNOWN_PARTITION, CodecError, "out has no partition 7"),
        (KafkaError._FATAL, DeliveryError, "a message for out cannot be sent"),
    ],
)
def test_a_message_that_cannot_be_queued_says_why(sender: Sender, code: int, kind: type[Exception], said: str) -> None:
    sender.client.rejected = {b"bad": code}
    with pytest.raises(kind, match=said):
        sender.send(b"bad", partition=7)
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        with pytest.raises(kind, match=said):
            sender.producer.send_plain("out", b"bad", b"key")


def test_a_message_goes_where_and_when_it_says(sender: Sender) -> None:
    sender.send(b"1", partition=0, timestamp=0)
    sender.send(b"2")
    assert sender.client.placed == [{"headers": None, "partition": 0, "timestamp": 0}, {}]


def test_a_sender_waits_while_the_queue_is_full(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.client.room = 1
    sender.send(b"1")
    thread = threading.Thread(target=sender.producer.send_plain, args=("out", b"2", b"key"))
    thread.start()
    sender.client.acknowledges = True
    thread.join(120)
    assert sender.arrive() is None
    assert sender.client.taken == [b"1", b"2"]


def test_a_sender_waits_no_longer_for_a_silent_broker_once_the_link_is_to_stop(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.client.acknowledges = False
    sender.client.room = 1
    sender.send(b"1")
    monkeypatch.setattr(module, "_DOUBTED_AFTER", 0.1)
    sender.stop.set()
    with pytest.raises(StoppedError, match="acknowledges no message"):
        sender.send(b"2")


def test_one_who_outlives_the_producer_is_told_that_it_is_over(sender: Sender) -> None:
    assert sender.producer.close(120) == 0
    assert sender.client.closed
    with pytest.raises(StoppedError):
        sender.send(b"late")
    assert isinstance(sender.arrive(), StoppedError)


def test_the_end_counts_what_was_not_acknowledged_and_leaves_the_client_to_itself(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.send(b"1", b"2")
    arrival = sender.producer.arrival()
    assert sender.producer.close(0.01) == 2
    assert arrival.done.wait(120) and isinstance(arrival.error, DeliveryError)
    assert not sender.client.closed


def test_no_thread_outlives_a_producer_that_failed_with_refused_messages(sender: Sender) -> None:
    sender.client.acknowledges = False
    sender.client.refused = {b"1": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    sender.send(b"1", b"2")
    sender.client.acknowledges = True
    eventually(lambda: sender.failures)
    sender.client.acknowledges = False
    sender.producer._failed(KafkaError(KafkaError.INVALID_RECORD), Received(topic="out", value=b"bad"))
    sender.send(b"3")
    assert sender.producer.close(0.1) == 1
    sender.producer._deliveries.join(120)
    assert not sender.producer._deliveries.is_alive()


def test_a_message_whose_partition_is_gone_is_sent_once_more(sender: Sender) -> None:
    sender.producer._failed(KafkaError(KafkaError._DESTROY), Received(topic="out", value=b"moved"))
    assert sender.arrive() is None
    assert (sender.client.taken, sender.refused, sender.failures) == ([b"moved"], [], [])


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._FATAL)), SystemError("NULL")])
def test_a_client_at_its_end_ends_the_link(sender: Sender, error: Exception) -> None:
    sender.client.failure = error
    eventually(lambda: sender.failures)
    assert "at its end" in str(sender.failures[0])
    sender.send(b"1")
    assert isinstance(sender.arrive(), DeliveryError)


def test_a_thread_of_deliveries_that_ends_holds_nobody_up(sender: Sender) -> None:
    def fail(_reason: str, _message: Message) -> None:
        raise SystemExit

    sender.on_refused = fail
    sender.client.refused = {b"bad": KafkaError.INVALID_RECORD}
    sender.send(b"bad")
    eventually(lambda: sender.failures)
    sender.send(b"1")
    assert "thread of deliveries ended" in str(sender.failures[0])


def test_silence_lasts_from_the_first_message_that_waits_to_the_next_that_arrives(sender: Sender) -> None:
    assert sender.producer.silent_for == 0
    sender.client.acknowledges = False
    sender.send(b"1")
    eventually(lambda: sender.producer.silent_for > 0)
    sender.client.acknowledges = True
    eventually(lambda: sender.producer.silent_for == 0)


def test_time_without_messages_is_no_silence(sender: Sender) -> None:
    sender.producer._moved_at -= 1000  # as if nothing had been sent for so long
    eventually(lambda: sender.producer._moved_at > time.monotonic() - 500)


def test_a_stuck_client_is_replaced_and_keeps_its_messages(sending: Any) -> None:
    sender = sending("shop.host")
    stuck = sender.client
    stuck.acknowledges = False
    sender.send(b"old")
    sender.producer.replace_client()
    sender.send(b"new")
    sender.client = sender.producer.client
    assert sender.producer.flush(120)
    assert len(stuck) == 1 and sender.client.taken == [b"new"]
