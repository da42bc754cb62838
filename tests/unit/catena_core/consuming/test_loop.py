"""The consumer loop, on a consumer that does as a test says."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError

from catena_core.consuming import backpressure, loop
from catena_core.consuming.lanes import Batch
from catena_core.consuming.loop import ConsumerLoop
from catena_core.consuming.subscription import Subscription
from catena_core.delivery import at_least_once, producer
from catena_core.delivery.at_least_once import AtLeastOnce
from catena_core.errors import ReadingError
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from tests.helpers.kafka_clients import ConsumerClient, ProducerClient
from tests.helpers.messages import Message
from tests.helpers.topic_ids import KnownTopicIds
from tests.helpers.waiting import eventually

IN, OTHER = ("in", 0), ("in", 1)


def message(offset: int, partition: int = 0, value: bytes | None = None) -> Message:
    return Message(topic="in", partition=partition, offset=offset, value=value or f"{partition}.{offset}".encode())


def event(code: int, offset: int = -1, topic: str = "in") -> Message:
    return Message(topic=topic, partition=0, offset=offset, value=b"", error=KafkaError(code))


class Reader:
    """A loop in a thread, with what becomes of its electrons and of its partitions.

    Attributes:
        told: In their order: values that were transformed, news of partitions, and calls.
        gate: Cleared, it holds each transform up.
        begun: The values whose transform has begun.
    """

    def __init__(self, **settings: Any) -> None:
        self.told: list[Any] = []
        self.begun: list[bytes] = []
        self.batches: list[list[bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._gates: dict[bytes, threading.Event] = {}
        self.error: BaseException | None = None
        self.metrics = Metrics()
        self.stop = threading.Event()
        self.subscription = Subscription()
        self.subscription.add("in")
        self.replay = settings.get("replay", False)
        self.sender = producer.MessageProducer("broker:1", LinkLogger("Reader"), {}, self._unexpected, self._unexpected)
        self.delivery = AtLeastOnce(
            self.sender, self._unexpected, self._unexpected, LinkLogger("Reader"), Metrics(), interval=0.01
        )
        given: dict[str, Any] = {
            "endpoint": "broker:1",
            "group": "readers",
            "instance_id": None,
            "subscription": self.subscription,
            "process": self._process,
            "idle": lambda: None,
            "listener": self,
            "delivery": self.delivery,
            "lanes": 1,
            "replay": False,
            "batch_size": 10,
            "batch_linger": 0,
            "one_by_one": False,
            "input_mode": "parity",
            "window": 900,
            "drain_timeout": 120.0,
            "properties": {},
            "left_out": (),
            "logger": LinkLogger("Reader"),
            "metrics": self.metrics,
        }
        self.loop = ConsumerLoop(**given | settings)
        self.consumer: ConsumerClient = self.loop._consumer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.stop.set()
        for gate in (self.gate, *self._gates.values()):
            gate.set()
        self.consumer.answers.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the loop did not end"
        self.sender.close(120)

    def hold(self, value: bytes) -> threading.Event:
        """Hold up the transform of one value until the event is set."""
        return self._gates.setdefault(value, threading.Event())

    def has_told(self, *told: Any) -> None:
        eventually(lambda: [one for one in self.told if one in told] == list(told), message=lambda: str(self.told))

    def assigned(self, partitions: Any) -> None:
        self.told.append(("assigned", *partitions))

    def revoked(self, partitions: Any, deadline: float) -> None:
        self.told.append(("revoked", *partitions, self.consumer.commits[-1:]))

    def replayed(self, assignment: Any) -> None:
        self.loop.submit(self.told.append, ("replayed", assignment.partition))

    def _process(self, batch: Batch) -> None:
        self.batches.append([each.value() for each in batch.messages])
        for each in batch.messages:
            if batch.assignment.interrupts and not batch.may_go_on():
                return
            if each.value() == b"fatal":
                raise ZeroDivisionError
            self.begun.append(each.value())
            self._gates.get(each.value(), self.gate).wait(300)
            self.told.append(each.value())
            batch.done += 1

    def _run(self) -> None:
        try:
            self.loop.run(self.stop)
        except BaseException as error:
            self.error = error

    @staticmethod
    def _unexpected(*_arguments: Any) -> Any:
        raise AssertionError


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(loop, "Consumer", ConsumerClient)
    monkeypatch.setattr(loop, "TopicIds", lambda _properties: KnownTopicIds())
    monkeypatch.setattr(producer, "Producer", ProducerClient)
    readers: list[Reader] = []

    def start(*partitions: tuple[str, int], **settings: Any) -> Reader:
        readers.append(Reader(**settings))
        if partitions:
            readers[-1].consumer.give(*partitions)
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


def test_finished_electrons_are_committed_up_to_the_last_one(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(*map(message, range(25)))
    eventually(lambda: reader.consumer.commits[-1:] == [{IN: 25}])
    assert reader.told == [("assigned", IN), *(b"0.%d" % n for n in range(25))]


def test_failures_of_assigned_topics_are_counted_from_zero(read: Any) -> None:
    reader = read(IN)
    reader.has_told(("assigned", IN))
    value = reader.metrics.registry.get_sample_value
    for name in ("failed", "retried", "dead_letters"):
        assert value(f"catena_{name}_total", {"topic": IN[0]}) == 0


def test_a_batch_holds_electrons_of_one_partition(read: Any) -> None:
    reader = read(IN, OTHER)
    reader.consumer.bring(message(0), message(1), message(0, 1), message(2), message(1, 1))
    eventually(lambda: len(reader.told) == 6)
    assert all(len({value[:1] for value in batch}) == 1 for batch in reader.batches)


def test_a_member_without_partitions_is_told_so(read: Any) -> None:
    reader = read()
    reader.consumer.give()
    reader.has_told(("assigned",))


@pytest.mark.parametrize("properties", [{}, {"group.protocol": "consumer"}], ids=["classic", "KIP-848"])
def test_a_replaying_link_reads_new_partitions_from_their_beginning(read: Any, properties: dict[str, str]) -> None:
    reader = read(IN, replay=True, properties=properties)
    reader.consumer.give(OTHER) if properties else None
    reader.has_told(("assigned", IN))
    expected = {IN: OFFSET_BEGINNING} | ({OTHER: OFFSET_BEGINNING} if properties else {})
    eventually(lambda: reader.consumer.owned == expected)


def test_the_end_of_a_replay_is_told_once_and_after_the_electrons_before_it(read: Any) -> None:
    reader = read(IN, replay=True)
    end = event(KafkaError._PARTITION_EOF, 2)
    reader.consumer.bring(message(0), message(1), end, message(2), event(KafkaError._PARTITION_EOF, 3), message(3))
    reader.has_told(b"0.0", b"0.1", ("replayed", IN), b"0.2", b"0.3")


def test_marks_of_transactions_before_the_end_are_committed_too(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(message(0), event(KafkaError._PARTITION_EOF, 3))
    eventually(lambda: reader.consumer.commits[-1:] == [{IN: 3}])


def test_a_refusal_for_good_ends_the_loop_which_leaves_the_group(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(message(0))
    reader.has_told(b"0.0")
    reader.consumer.bring(event(KafkaError.GROUP_AUTHORIZATION_FAILED))
    eventually(lambda: reader.error)
    assert isinstance(reader.error, ReadingError)
    assert reader.consumer.closed and reader.consumer.commits == [{IN: 1}]


def test_a_passing_error_does_not_stop_the_reading(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(event(KafkaError._TRANSPORT), message(0))
    reader.has_told(b"0.0")


def test_an_error_in_a_lane_ends_the_loop(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(message(0, value=b"fatal"))
    eventually(lambda: reader.error)
    assert isinstance(reader.error, ZeroDivisionError)
    assert reader.consumer.closed and not reader.consumer.commits


def test_revoked_partitions_commit_what_was_under_way_and_leave_the_rest(read: Any) -> None:
    reader = read(IN, OTHER)
    reader.gate.clear()
    reader.consumer.bring(message(0), message(1), message(2))
    eventually(lambda: reader.begun == [b"0.0"])
    reader.consumer.take(IN)
    eventually(lambda: reader.loop._assignments[IN].revoked)
    reader.gate.set()
    reader.has_told(b"0.0", ("revoked", IN, [{IN: 1}]))
    assert reader.begun == [b"0.0"]


def test_lost_partitions_are_not_committed(read: Any) -> None:
    reader = read(IN)
    reader.gate.clear()
    reader.consumer.bring(message(0))
    eventually(lambda: reader.begun)
    reader.consumer.lose(IN)
    eventually(lambda: reader.loop._assignments[IN].revoked)
    reader.gate.set()
    reader.has_told(b"0.0", ("revoked", IN, []))
    reader.close()
    assert not reader.consumer.commits


def test_messages_of_a_partition_that_is_gone_are_left_to_its_new_owner(read: Any) -> None:
    reader = read(IN, OTHER)
    reader.consumer.take(IN)
    reader.consumer.bring(message(0), message(0, 1))
    reader.has_told(b"1.0")
    assert b"0.0" not in reader.begun


def test_messages_read_before_a_seek_do_not_overtake_those_that_it_leads_to(read: Any) -> None:
    reader = read()
    consumer = reader.consumer
    consumer.unknown.append(KafkaError.NOT_COORDINATOR)  # so that the first electrons are to come again
    end_of_other = Message(topic="in", partition=1, offset=5, value=b"", error=KafkaError(KafkaError._PARTITION_EOF))
    end = event(KafkaError._PARTITION_EOF, 4)
    # In one read, which the end of the other partition divides.
    consumer.bring(lambda: consumer._assign((IN,)), message(0), message(1), end_of_other, message(2), message(3), end)
    eventually(lambda: consumer.sought == [("in", 0, 0)])
    consumer.bring(*map(message, range(4)))
    eventually(lambda: consumer.commits[-1:] == [{IN: 4}])
    assert reader.told == [("assigned", IN), *(b"0.%d" % number for number in range(4))]


def test_a_topic_that_was_made_again_is_committed_from_its_beginning(read: Any) -> None:
    reader = read(IN)
    reader.consumer.bring(message(98), message(99))
    eventually(lambda: reader.consumer.commits[-1:] == [{IN: 100}])
    reader.consumer.bring(message(0), message(1))
    eventually(lambda: reader.consumer.commits[-1:] == [{IN: 2}])


def test_electrons_of_a_log_that_is_gone_do_not_count_in_the_new_one(read: Any) -> None:
    reader = read(IN, batch_size=1)
    old, new = reader.hold(b"old"), reader.hold(b"0.1")
    reader.consumer.bring(message(1, value=b"old"))
    eventually(lambda: reader.begun)
    reader.consumer.bring(message(0), message(1))
    eventually(lambda: reader.loop._assignments[IN].waiting == 3)
    old.set()
    eventually(lambda: reader.consumer.commits)
    assert reader.consumer.commits == [{IN: 1}] and not new.is_set()


def test_one_by_one_the_next_electron_waits_for_the_commit_of_the_one_before(read: Any) -> None:
    reader = read(IN, one_by_one=True)
    reader.consumer.bring(*map(message, range(3)))
    eventually(lambda: len(reader.consumer.commits) == 3)
    assert reader.consumer.commits == [{IN: 1}, {IN: 2}, {IN: 3}]


def test_a_partition_of_which_too_much_waits_is_paused_until_little_does(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "_BACK_OFF", 0)
    reader = read(IN, OTHER, lanes="partition")
    most = backpressure.PAUSE_ABOVE * 50
    reader.gate.clear()
    reader.consumer.bring(*(message(n) for n in range(most + 20)))
    eventually(lambda: reader.consumer.paused == {IN})
    reader.consumer.bring(message(0, 1))
    eventually(lambda: b"1.0" in reader.begun)
    reader.gate.set()
    eventually(lambda: reader.consumer.commits and reader.consumer.commits[-1].get(IN) == most + 20)
    assert not reader.consumer.paused


def test_a_lane_that_stays_behind_has_its_partition_paused_and_others_read(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "_BACK_OFF", 0.01)
    reader = read(IN, OTHER, batch_size=100)
    reader.gate.clear()
    reader.consumer.bring(*(message(n) for n in range(backpressure.PAUSE_ABOVE * 100 + 20)))
    eventually(lambda: reader.consumer.paused == {IN})
    reader.consumer.bring(message(0, 1))
    eventually(lambda: reader.loop._assignments[OTHER].waiting == 1)


def test_a_partition_is_read_on_when_a_commit_has_made_room(read: Any) -> None:
    reader = read(IN, lanes="partition")
    reader.has_told(("assigned", IN))
    assignment = reader.loop._assignments[IN]
    assignment.output_bytes = backpressure.PAUSE_ABOVE_BYTES + 1
    reader.consumer.bring(message(0))
    eventually(lambda: reader.consumer.paused == {IN} and not assignment.waiting)
    assignment.output_bytes = 0
    eventually(lambda: not reader.consumer.paused)


def test_offsets_whose_commit_failed_are_committed_with_the_next_ones(read: Any) -> None:
    reader = read(IN)
    reader.consumer.refusals = [KafkaError.REBALANCE_IN_PROGRESS]
    reader.consumer.bring(message(0))
    eventually(lambda: reader.consumer.commits == [{IN: 1}])


def test_the_last_commit_is_tried_again_until_a_rebalance_is_over(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_least_once, "_REBALANCE_TIMEOUT", 0.01)
    reader = read(IN)
    reader.gate.clear()
    reader.consumer.bring(message(0))
    eventually(lambda: reader.begun)
    reader.consumer.tells_assignment_while_closing = True  # too late for a commit then
    reader.consumer.refusals = [KafkaError.REBALANCE_IN_PROGRESS] * 30
    reader.consumer.bring(lambda: reader.told.append("rebalance"))
    reader.stop.set()
    reader.close()
    assert reader.consumer.commits == [{IN: 1}]
    assert reader.error is None and reader.consumer.closed and "rebalance" in reader.told


def test_the_loop_ends_though_kafka_does_not_answer(
    read: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "LEAVE_TIMEOUT", 0.01)
    reader = read(IN)
    monkeypatch.setattr(reader.delivery, "abandon", lambda: reader.told.append("abandoned"))
    reader.has_told(("assigned", IN))
    reader.consumer.answers.clear()
    reader.stop.set()
    reader.has_told(("revoked", IN, []))
    reader._thread.join(120)
    assert not reader.consumer.closed and reader.error is None
    assert "abandoned" in reader.told  # a client that closes within a transaction waits for Kafka
    assert "ending without leaving the consumer group" in caplog.text


def test_nothing_is_committed_once_the_client_has_ended_its_assignment(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = read(IN)
    reader.has_told(("assigned", IN))
    reader.consumer.tells_assignment_while_closing = True
    commit = reader.consumer.commit
    monkeypatch.setattr(reader.delivery, "flush_and_commit", lambda *_: commit([], asynchronous=False) is None)
    reader.close()
    assert reader.error is None and reader.consumer.closed


def test_an_urgent_call_comes_before_the_next_electron_and_others_after_those_that_wait(read: Any) -> None:
    reader = read(IN)
    reader.gate.clear()
    reader.consumer.bring(message(0), message(1), message(2))
    eventually(lambda: reader.begun == [b"0.0"])
    eventually(lambda: reader.loop._assignments[IN].waiting == 3)
    reader.loop.submit(reader.told.append, "call", soon=True)
    reader.loop.submit_urgent(lambda: reader.told.append("urgent"))
    reader.gate.set()
    reader.has_told(b"0.0", "urgent", b"0.1", b"0.2", "call")


def test_the_subscription_is_followed_while_it_changes(read: Any) -> None:
    reader = read()
    reader.subscription.add("more")
    eventually(lambda: reader.consumer.subscribed[-1:] == [["in", "more"]])
    reader.subscription.remove("in")
    reader.subscription.remove("more")
    eventually(lambda: reader.consumer.subscribed[-1:] == [[]])


def test_progress_tells_positions_and_what_is_under_way(read: Any) -> None:
    reader = read(IN)
    reader.gate.clear()
    reader.consumer.bring(message(7))
    eventually(lambda: reader.loop.progress() == {IN: (7, True)})
    reader.gate.set()
    eventually(lambda: reader.loop.progress() == {IN: (8, False)})
