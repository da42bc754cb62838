"""Offsets: when a link commits them, and how they come through a rebalance."""

import ctypes
import threading

import pytest

from tests.helpers.consumer_loop import committed, record
from tests.helpers.links import Counting, Memory, Supply, link, quick
from tests.helpers.waiting import eventually

OFFSET_COMMIT, TXN_OFFSET_COMMIT = 8, 28
ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS = 22, 25, 27


def inject(embedded, request, *errors):
    """Have the embedded broker answer the next requests of a kind with these errors of Kafka's protocol."""
    library = embedded._library
    library.rd_kafka_mock_push_request_errors_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int16,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_int),
    ]
    library.rd_kafka_mock_push_request_errors_array(
        embedded._cluster, request, len(errors), (ctypes.c_int * len(errors))(*errors)
    )


@pytest.mark.parametrize(
    ("delivery", "request_kind"), [("at_least_once", OFFSET_COMMIT), ("exactly_once", TXN_OFFSET_COMMIT)]
)
@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_commit_that_fails_in_a_rebalance_is_made_up_for(broker, run, embedded, delivery, request_kind):
    """Errors that only say that the group is changing must not end the link; the offsets are committed later."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Copy(Counting):
        pass

    copy = run(quick(Copy, broker, source, target, delivery=delivery))
    eventually(lambda: copy.own)
    for number, error in enumerate((ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS)):
        inject(embedded, request_kind, error, error)
        broker.produce(source, ((None, f"{number}.{n}") for n in range(50)))
        eventually(lambda number=number: len(Copy.counts) == 50 * number + 50)
        if delivery == "at_least_once":  # the stand-in does not keep the offsets of transactions
            eventually(lambda number=number: committed(broker, broker.group(), source) == [50 * number + 50])
    assert len({message.value() for message in broker.read(target, 150, distinct=True)}) == 150
    run.stop(copy)
    assert copy.status == 0


# The offsets of transactions can be seen on Apache Kafka only: the embedded broker does not keep them.
either_delivery = pytest.mark.parametrize(
    ("broker", "delivery"),
    [
        ("embedded", "at_least_once"),
        pytest.param("apache", "at_least_once", marks=pytest.mark.kafka),
        pytest.param("apache", "exactly_once", marks=pytest.mark.kafka),
    ],
    indirect=["broker"],
)


@either_delivery
def test_nothing_is_committed_beyond_an_electron_that_is_not_finished(broker, run, delivery):
    """Lanes finish in any order; what is committed is the run without a gap, so that a crash loses nothing."""
    source = broker.topic("in", partitions=2)

    class Held(Counting):
        lanes = 4
        drain_timeout = 0.3
        end = threading.Event()

        def transform(self, electron):
            super().transform(electron)
            if electron.value == "v10":
                self.end.wait(300)

    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(40)), partition=0)
    held = run(quick(Held, broker, source, delivery=delivery))
    lane = hash(b"k10") % 4
    others = [n for n in range(40) if hash(f"k{n}".encode()) % 4 != lane or n <= 10]
    eventually(lambda: set(Held.counts) == {f"v{n}" for n in others})
    free = next(n for n in others if hash(f"k{n}".encode()) % 4 != lane)
    broker.produce(source, [(f"k{free}", "later")], partition=1)
    eventually(lambda: committed(broker, broker.group(), source, 2)[1] == 1)  # so what may be committed is
    assert committed(broker, broker.group(), source)[0] <= 10
    run.stop(held)
    assert committed(broker, broker.group(), source)[0] <= 10
    Held.end.set()
    run(quick(Held, broker, source, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [40])
    assert Held.counts["v10"] == 2


@either_delivery
def test_a_stop_does_not_commit_what_failed(broker, run, delivery):
    """Whoever stops while an electron is tried again leaves it, and all after it, to the next."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Failing(Counting):
        backoff = (30, 30)
        bad = True

        def transform(self, electron):
            copied = super().transform(electron)
            if electron.value == "v5" and self.bad:
                raise ValueError("not now")
            return copied

    broker.produce(source, ((None, f"v{n}") for n in range(10)))
    failing = run(quick(Failing, broker, source, target, delivery=delivery))
    eventually(lambda: Failing.counts["v5"])
    run.stop(failing)
    assert failing.status == 0
    assert committed(broker, broker.group(), source) == [5]
    Failing.bad = False
    run(quick(Failing, broker, source, target, delivery=delivery))
    values = [message.value() for message in broker.read(target, 10, settle=0.3)]
    assert sorted(values) == sorted(f"v{n}".encode() for n in range(10))


@either_delivery
def test_a_restart_goes_on_at_exactly_the_next_electron(broker, run, delivery):
    """What is committed is the offset of the next electron, not of the last one: none twice, none left out."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Copy(Counting):
        pass

    for number in range(3):
        broker.produce(source, ((None, f"v{7 * number + n}") for n in range(7)))
        copy = run(quick(Copy, broker, source, target, delivery=delivery))
        eventually(lambda number=number: len(Copy.counts) == 7 * number + 7)
        run.stop(copy)
        assert committed(broker, broker.group(), source) == [7 * number + 7]
    assert list(Copy.counts) == [f"v{n}" for n in range(21)]
    assert set(Copy.counts.values()) == {1}
    assert len(broker.read(target, 21, settle=0.3)) == 21


KIP_848 = {"group.protocol": "consumer"}


@pytest.mark.parametrize("protocol", [{}, KIP_848], ids=["classic", "kip-848"])
@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
def test_members_come_and_go_without_a_seek_or_a_repetition(broker, run, monkeypatch, protocol):
    """Where to read is part of an assignment, in cooperative rebalances and in those of KIP-848."""
    calls = record(monkeypatch)
    source, target = broker.topic("in"), broker.topic("out")

    class Copy(Counting):
        pause = 0.001

    supply = Supply(broker, source, Copy.counts)
    first = run(quick(Copy, broker, source, target, more=protocol))
    supply.until(lambda: len(Copy.counts) > 200)
    second = run(quick(Copy, broker, source, target, more=protocol))
    supply.until(lambda: second.own)
    run.stop(first)
    eventually(lambda: len(Copy.counts) == supply.sent)
    assert set(Copy.counts.values()) == {1}
    assert len(broker.read(target, supply.sent, settle=0.3)) == supply.sent
    assert not {name for name, _ in calls} & {"seek", "store_offsets"}


@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
def test_a_replaying_link_begins_each_partition_anew_also_with_kip_848(broker, run):
    """The first offset is folded into the assignment, so that no rebalance loses it."""
    source = broker.topic("in")
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(400)))
    first = run(quick(Memory, broker, source, more=KIP_848))
    eventually(lambda: len(first.complete) == 4)
    second = run(quick(Memory, broker, source, more=KIP_848))
    eventually(lambda: len(first.complete) == len(second.complete) == 2)
    assert sum(len(values) for member in (first, second) for values in member.seen.values()) == 400
    run.stop(second)
    eventually(lambda: len(first.complete) == 4)
    assert sum(len(values) for values in first.seen.values()) == 400


def test_offsets_are_not_stored_at_poll_but_committed_when_done(broker, run):
    """An electron that is read and not transformed yet is not committed, however long that takes."""
    source = broker.topic("in", partitions=2)

    class Held(Counting):
        lanes = "partition"
        end = threading.Event()

        def transform(self, electron):
            super().transform(electron)
            if electron.partition == 0:
                self.end.wait(300)

    broker.produce(source, ((None, f"v{n}") for n in range(20)), partition=0)
    run(link(Held, broker, source))
    eventually(lambda: Held.counts)
    broker.produce(source, [(None, "other")], partition=1)
    eventually(lambda: committed(broker, broker.group(), source, 2) == [-1001, 1])
    Held.end.set()
    eventually(lambda: committed(broker, broker.group(), source, 2) == [20, 1])
