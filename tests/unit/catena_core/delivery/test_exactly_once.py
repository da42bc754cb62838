"""Transactions: what is in one, and what becomes of one that fails."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException

from catena_core.consuming.assignment import Assignment
from catena_core.consuming.lanes import Batch
from catena_core.consuming.starting_points import StartingPoints
from catena_core.delivery.exactly_once import ExactlyOnce
from catena_core.errors import CodecError, DeliveryError, StoppedError
from catena_core.monitoring.logs import LinkLogger
from catena_core.monitoring.metrics import Metrics
from catena_core.wire.message import Message
from tests.helpers.messages import Message as Received
from tests.helpers.topic_ids import KnownTopicIds
from tests.helpers.waiting import eventually

ABORTED = KafkaError(KafkaError._FAIL, "aborted")
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)


class Kafka:
    """A producer and a consumer whose transactions can be seen; requests fail as they are told to."""

    def __init__(self) -> None:
        self.client = self
        self.failures = 0
        self.transactional_id = "shop.host"
        self.transaction_timeout = 60.0
        self.member = "member"
        self.errors: dict[str, list[KafkaError]] = {}
        self.open: list[Any] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.committed: list[tuple[list[Any], dict[tuple[str, int], int]]] = []
        self.aborted = self.replaced = self.abandoned = 0
        self.metadata: str | None = None

    def _request(self, name: str) -> None:
        if self.errors.get(name):
            raise KafkaException(self.errors[name].pop(0))

    def begin_transaction(self) -> None:
        self.open, self.offsets = [], {}

    def send_now(self, message: Message) -> None:
        self.open.append(message.value)

    def send_offsets_to_transaction(self, places: list[Any], metadata: Any, timeout: float) -> None:
        self._request("offsets")
        self.offsets = {(place.topic, place.partition): place.offset for place in places}
        self.metadata = places[0].metadata

    def flush(self, timeout: float) -> bool:
        return True

    def report_refused(self) -> bool:
        return False

    def commit_transaction(self, timeout: float) -> None:
        self._request("commit")
        self.committed.append((self.open, self.offsets))

    def abort_transaction(self, timeout: float) -> None:
        self._request("abort")
        self.aborted += 1

    def replace_client(self) -> None:
        self.replaced += 1

    def abandon_client(self) -> None:
        self.abandoned += 1

    def init_transactions(self, timeout: float) -> None:
        self._request("init")

    def consumer_group_metadata(self) -> str:
        return "metadata"

    def memberid(self) -> str:
        return self.member


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def ids() -> KnownTopicIds:
    return KnownTopicIds()


@pytest.fixture
def starts(kafka: Any, ids: KnownTopicIds) -> StartingPoints:
    return StartingPoints(kafka, ids, LinkLogger("Sorter"), True, 30)


@pytest.fixture
def failed() -> list[Exception]:
    return []


@pytest.fixture
def delivery(kafka: Any, starts: StartingPoints, failed: list[Exception]) -> ExactlyOnce:
    delivery = ExactlyOnce(
        kafka, lambda message, reason: message, failed.append, LinkLogger("Sorter"), Metrics(), threading.Event()
    )
    delivery.attach(kafka, starts)
    return delivery


def finished(delivery: ExactlyOnce, partition: int, count: int, done: list[int]) -> Assignment:
    """Give a partition with so many electrons, of which these are done, each with one output."""
    assignment = Assignment(("in", partition), replaying=False)
    assignment.tracker.dispatched(list(range(count)))
    assignment.committed = 0  # where it was read from
    for offset in done:
        message: Any = Received(offset=offset)
        batch = Batch(assignment, [message], [offset])
        delivery.sink(batch).send(Message("out", f"{partition}.{offset}".encode()))
        assignment.outputs += batch.outputs
        assignment.tracker.finished([offset])
    return assignment


def commit(delivery: ExactlyOnce, *assignments: Assignment) -> None:
    delivery.flush_and_commit(assignments, time.monotonic() + 20)


def test_the_finished_run_of_each_partition_goes_out_in_order_with_its_offset(
    delivery: ExactlyOnce, kafka: Kafka
) -> None:
    commit(delivery, finished(delivery, 0, 5, [1, 0, 3]), finished(delivery, 1, 2, [0]))
    assert kafka.committed == [([b"0.0", b"0.1", b"1.0"], {("in", 0): 2, ("in", 1): 1})]


def test_outputs_behind_an_unfinished_electron_wait_for_it(delivery: ExactlyOnce, kafka: Kafka) -> None:
    assignment = finished(delivery, 0, 3, [1, 2])
    commit(delivery, assignment)
    assert kafka.committed == []
    message: Any = Received(offset=0)
    delivery.sink(Batch(assignment, [message], [0]))
    assignment.tracker.finished([0])
    commit(delivery, assignment)
    assert kafka.committed == [([b"0.1", b"0.2"], {("in", 0): 3})]
    assert assignment.committed == 3


def test_an_aborted_transaction_is_tried_again_with_the_same_outputs(delivery: ExactlyOnce, kafka: Kafka) -> None:
    kafka.errors = {"offsets": [ABORTED, ABORTED]}
    assignment = finished(delivery, 0, 2, [0, 1])
    commit(delivery, assignment)
    assert kafka.aborted == 2
    assert kafka.committed == [([b"0.0", b"0.1"], {("in", 0): 2})]
    commit(delivery, assignment)
    assert len(kafka.committed) == 1


def test_a_fenced_producer_ends_the_link(delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception]) -> None:
    kafka.errors = {"commit": [FENCED]}
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert kafka.committed == []
    (error,) = failed
    assert isinstance(error, DeliveryError)
    assert "shop.host" in str(error) and "--instance-id" in str(error)


def test_a_producer_that_kafka_fences_since_its_transaction_took_too_long_is_replaced(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception]
) -> None:
    kafka.errors = {"offsets": [ABORTED], "abort": [FENCED]}
    kafka.transaction_timeout = 0.0
    commit(delivery, finished(delivery, 0, 2, [0, 1]))
    assert (kafka.replaced, failed) == (1, [])
    assert kafka.committed == [([b"0.0", b"0.1"], {("in", 0): 2})]


def test_transactions_that_all_take_too_long_end_the_link(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception]
) -> None:
    kafka.errors = {"commit": [FENCED] * 1000}
    kafka.transaction_timeout = 0.0
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert "took longer than Kafka allows" in str(failed[0]) and "transaction.timeout.ms" in str(failed[0])
    assert kafka.replaced < 100


AT_ITS_END = KafkaError(KafkaError.INVALID_TXN_STATE, "an invalid state", fatal=True)


@pytest.mark.parametrize("errors", [{"commit": [AT_ITS_END]}, {"offsets": [ABORTED], "abort": [AT_ITS_END]}])
def test_a_client_at_its_end_is_replaced(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception], errors: dict[str, list[KafkaError]]
) -> None:
    kafka.errors = errors
    commit(delivery, finished(delivery, 0, 2, [0, 1]))
    assert (kafka.replaced, failed) == (1, [])
    assert kafka.committed == [([b"0.0", b"0.1"], {("in", 0): 2})]


def test_clients_that_all_come_to_their_end_end_the_link(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception]
) -> None:
    kafka.errors = {"commit": [AT_ITS_END] * 1000}
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert "at an end: an invalid state" in str(failed[0])
    assert kafka.replaced < 100


def test_one_who_is_no_member_commits_no_offsets(delivery: ExactlyOnce, kafka: Kafka) -> None:
    kafka.member = ""
    delivery.flush_and_commit([finished(delivery, 0, 1, [0])], time.monotonic())
    assert kafka.committed == []


def test_outputs_of_no_electron_go_into_the_next_transaction_once(delivery: ExactlyOnce, kafka: Kafka) -> None:
    arrived: list[Exception | None] = []
    delivery.sink(None).send(Message("out", b"generated"))
    delivery.sink(None).then(arrived.append)
    kafka.errors = {"commit": [ABORTED]}
    commit(delivery)
    assert kafka.committed == [([b"generated"], {})]
    assert arrived == [None]
    commit(delivery)
    assert len(kafka.committed) == 1


def test_what_is_sent_after_the_end_is_refused_and_what_came_before_goes_out(
    delivery: ExactlyOnce, kafka: Kafka
) -> None:
    delivery.sink(None).send(Message("out", b"before"))
    delivery.close()
    with pytest.raises(StoppedError, match="the link has ended"):
        delivery.sink(None).send(Message("out", b"after"))
    commit(delivery)
    assert kafka.committed == [([b"before"], {})]


def test_an_output_that_is_too_large_fails_with_its_electron(delivery: ExactlyOnce) -> None:
    message: Any = Received(offset=0)
    batch = Batch(Assignment(("in", 0), False), [message], [0])
    with pytest.raises(CodecError, match="too many"):
        delivery.sink(batch).send(Message("out", bytes(16 * 1024 * 1024)))
    assert batch.outputs == []


@pytest.mark.parametrize("error", [KafkaError.INVALID_TXN_STATE, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_transaction_that_fails_for_ever_ends_the_link(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception], error: int
) -> None:
    kafka.errors = {"commit": [KafkaError(error) for _ in range(1000)]}
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert "times in a row" in str(failed[0])
    assert kafka.aborted < 100


def test_what_no_electron_caused_waits_while_much_is_held(
    delivery: ExactlyOnce, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catena_core.delivery.exactly_once._MOST_HELD", 10_000)
    sent: list[int] = []

    def generate() -> None:
        for number in range(40):
            delivery.send(Message("out", bytes(1000)))
            sent.append(number)

    generator = threading.Thread(target=generate, daemon=True)
    generator.start()
    eventually(lambda: len(sent) > 5)
    assert len(sent) < 15
    while generator.is_alive():
        commit(delivery)
        generator.join(0.02)
    commit(delivery)
    assert sum(len(messages) for messages, _ in kafka.committed) == 40


def test_a_lane_waits_while_a_transaction_hangs(delivery: ExactlyOnce, monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = Assignment(("in", 0), replaying=False)
    message: Any = Received(offset=0)
    batch = Batch(assignment, [message], [0])
    sink = delivery.sink(batch)
    delivery._unfinished_since = time.monotonic() - 60
    lane = threading.Thread(target=sink.send, args=(Message("out", b"v"),), daemon=True)
    lane.start()
    lane.join(0.1)
    assert lane.is_alive() and not batch.outputs
    delivery._unfinished_since = None
    lane.join(120)
    assert len(batch.outputs) == 1
    delivery._unfinished_since = time.monotonic() - 60
    assignment.revoke()
    with pytest.raises(StoppedError):
        sink.send(Message("out", b"v"))


def test_a_lane_waits_for_a_large_transaction_and_not_for_a_small_one(
    delivery: ExactlyOnce, kafka: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catena_core.delivery.exactly_once._MOST_HELD", 10_000)
    message: Any = Received(offset=0)
    batch = Batch(Assignment(("in", 1), replaying=False), [message], [0])
    lane = threading.Thread(target=delivery.sink(batch).send, args=(Message("out", b"v"),), daemon=True)
    seen: list[int] = []

    def flush(_timeout: float) -> bool:
        if kafka.committed and not seen:
            lane.start()
            lane.join(0.1)
            seen.append(len(batch.outputs))
        return True

    monkeypatch.setattr(kafka, "flush", flush)
    for size in (9_000, 11_000):
        delivery.send(Message("out", bytes(size)))
        commit(delivery)
    assert seen == [0]
    lane.join(120)
    assert len(batch.outputs) == 1


def test_one_electron_has_no_more_outputs_than_a_transaction_can_hold(
    delivery: ExactlyOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catena_core.delivery.exactly_once._MOST_OF_ONE", 10_000)
    messages: list[Any] = [Received(offset=0), Received(offset=1)]
    batch = Batch(Assignment(("in", 0), False), messages, [0, 1])
    with pytest.raises(CodecError, match="outputs of one electron"):
        for _ in range(20):
            delivery.sink(batch).send(Message("out", bytes(1000)))
    assert 5 < len(batch.outputs) < 15
    batch.discard_outputs(0)
    batch.done = 1
    delivery.sink(batch).send(Message("out", bytes(1000)))


def test_an_output_that_the_client_does_not_take_becomes_its_dead_letter(
    kafka: Any, starts: StartingPoints, failed: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = ExactlyOnce(
        kafka,
        lambda message, reason: message.replace(topic="dead", value=reason.encode()),
        failed.append,
        LinkLogger("Sorter"),
        Metrics(),
        threading.Event(),
    )
    delivery.attach(kafka, starts)
    send_now = kafka.send_now

    def picky(message: Message) -> None:
        if message.topic == "out":
            raise CodecError("out has no partition 99")
        send_now(message)

    monkeypatch.setattr(kafka, "send_now", picky)
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert kafka.committed == [([b"out has no partition 99"], {("in", 0): 1})]
    assert not failed


def test_an_output_to_a_topic_of_kafkas_own_becomes_its_dead_letter(
    kafka: Any, starts: StartingPoints, failed: list[Exception]
) -> None:
    delivery = ExactlyOnce(
        kafka,
        lambda message, reason: message.replace(topic="dead", value=reason.encode()),
        failed.append,
        LinkLogger("Sorter"),
        Metrics(),
        threading.Event(),
    )
    delivery.attach(kafka, starts)
    assignment = finished(delivery, 0, 2, [0, 1])
    assignment.outputs[0] = (0, Message("__consumer_offsets", b"not there"))
    commit(delivery, assignment)
    assert kafka.committed == [([b"clients may not write to a topic of Kafka's own", b"0.1"], {("in", 0): 2})]
    assert not failed


def test_a_transaction_that_kafka_forbids_ends_the_link_at_once(
    delivery: ExactlyOnce, kafka: Kafka, failed: list[Exception]
) -> None:
    kafka.errors["offsets"] = [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert len(failed) == 1
    assert "not write to all of out" in str(failed[0])


def test_a_topic_made_again_since_the_last_look_is_read_from_its_beginning_and_nothing_of_it_is_committed(
    delivery: ExactlyOnce, kafka: Kafka, ids: KnownTopicIds, failed: list[Exception]
) -> None:
    ids.ids["in"] = "old"
    assignment = finished(delivery, 0, 3, done=[0])
    commit(delivery, assignment)
    assert kafka.metadata == "topic-id=old"
    assignment.tracker.finished([1, 2])
    assignment.outputs = [(1, Message("out", b"sure to be old")), (3, Message("out", b"maybe new"))]
    ids.ids["in"] = "new"
    commit(delivery, assignment)
    assert (kafka.aborted, assignment.seek_to) == (1, OFFSET_BEGINNING)
    assert kafka.committed[1:] == []
    assignment.seek_to = None
    assignment.tracker.dispatched([0])
    assignment.committed = 0
    assignment.tracker.finished([0])
    commit(delivery, assignment)
    assert kafka.committed[1:] == [([b"sure to be old"], {("in", 0): 1})]
    assert kafka.metadata == "topic-id=new"
    assert not failed


def test_a_transaction_that_is_not_over_yet_counts_as_silence(delivery: ExactlyOnce, kafka: Kafka) -> None:
    kafka.errors["offsets"] = [KafkaError(KafkaError._TIMED_OUT)] * 2
    assignment = finished(delivery, 0, 1, done=[0])
    delivery.maybe_commit([assignment])
    first = delivery.silent_for
    assert first > 0
    eventually(lambda: delivery.silent_for > first)
    commit(delivery, assignment)
    assert delivery.silent_for == 0


def test_who_gives_up_waiting_for_kafka_leaves_the_client_and_its_transaction(
    delivery: ExactlyOnce, kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop gives up while a thread of its own is within a transaction: that thread may find out later."""
    delivery.abandon()
    delivery.abandon()
    commit(delivery, finished(delivery, 0, 1, [0]))
    assert kafka.abandoned == 1
    assert not kafka.committed
    assert caplog.text.count("the last transaction is left open") == 1


def test_a_message_that_is_like_a_refused_one_but_for_its_time_arrives(failed: list[Exception]) -> None:
    class Refusing(Kafka):
        """Refuses what is of the time 1."""

        def send_now(self, message: Message) -> None:
            self.open.append(message)

        def report_refused(self) -> bool:
            refused = [message for message in self.open if message.timestamp == 1]
            self.open = [message for message in self.open if message.timestamp != 1]
            for message in refused:
                sending.refused("too old", message)
            return bool(refused)

    def letter(message: Message, _reason: str) -> Message:
        return message.replace(topic="dead", timestamp=None)

    kafka: Any = Refusing()
    sending: ExactlyOnce = ExactlyOnce(kafka, letter, failed.append, LinkLogger("Sorter"), Metrics(), threading.Event())
    for number in (1, 2):
        sending.send(Message("out", b"same", b"key", timestamp=number))
    commit(sending)
    ((outputs, _),) = kafka.committed
    assert [(message.topic, message.timestamp) for message in outputs] == [("dead", None), ("out", 2)]
    assert not failed


@pytest.mark.parametrize("are_bad", ["some", "all", "none but a batch of several"])
def test_any_number_of_refused_outputs_become_dead_letters_though_letters_are_refused_too(
    failed: list[Exception], are_bad: str
) -> None:
    class Refusing(Kafka):
        """Refuses a batch, which is all between two flushes, for one bad message in it, and tells not which one."""

        def begin_transaction(self) -> None:
            super().begin_transaction()
            self.batch: list[Message] = []
            self.refused: list[Message] = []

        def send_now(self, message: Message) -> None:
            self.batch.append(message)

        def flush(self, timeout: float) -> bool:
            is_large = are_bad.startswith("none") and len(self.batch) > 1
            takes = not is_large and all(message.value in (b"good", None) for message in self.batch)
            (self.open if takes else self.refused).extend(self.batch)
            self.batch = []
            return True

        def report_refused(self) -> bool:
            for message in self.refused:
                sending.refused("bad", message)
            return bool(self.refused)

    def letter(message: Message, reason: str) -> Message:
        letters.append(message)
        at = [("failed-at", str(len(letters)).encode())]
        return message.replace(topic="dead", headers=at, value=None if message.topic == "dead" else message.value)

    letters: list[Message] = []
    kafka: Any = Refusing()
    sending: ExactlyOnce = ExactlyOnce(kafka, letter, failed.append, LinkLogger("Sorter"), Metrics(), threading.Event())
    bad = {"some": 30, "all": 60}.get(are_bad, 0)
    for number in range(60):
        sending.send(Message("out", b"bad" if number < bad else b"good", b"%d" % number))
    commit(sending)
    ((outputs, _),) = kafka.committed
    assert [message.key for message in outputs] == [b"%d" % number for number in range(60)], "in their order"
    assert [message.topic for message in outputs] == ["dead"] * bad + ["out"] * (60 - bad)
    assert not failed
    assert len(letters) == 2 * bad, "each letter is made once, and once more without its value"
