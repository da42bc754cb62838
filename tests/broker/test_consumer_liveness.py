"""A link that makes no progress is seen from outside, and rebalances come to their end."""

import threading
import time
from collections import Counter
from importlib.metadata import requires, version

import pytest

from catena_core import Link
from catena_core.consuming.loop import ConsumerLoop
from catena_core.delivery.at_least_once import AtLeastOnce
from tests.helpers.consumer_loop import health, metric, record
from tests.helpers.links import Counting, Held, link, patient, quick
from tests.helpers.waiting import eventually
from tests.servers.process import free_port


def test_a_stuck_link_is_unhealthy_and_says_where_it_stands(broker, run, capfd):
    """A link that makes no progress must be seen from outside, with the place where its threads wait."""
    source, port = broker.topic("in", partitions=1), free_port()

    class Stuck(Link):
        release = threading.Event()

        def transform(self, electron):
            if electron.value == "stuck":
                self.wait_for_ever()

        def wait_for_ever(self):
            self.release.wait(60)

    broker.produce(source, [(None, "well")])
    run(link(Stuck, broker, source, metrics_port=port, consumer_timeout=1))
    eventually(lambda: metric(port, "catena_consumed_total").get((source, "0")) == 1)
    assert health(port)[0] == 200
    broker.produce(source, [(None, "stuck")])
    eventually(lambda: health(port)[0] == 503)
    assert f"progress {source}/0" in health(port)[1]["problems"]
    said = ""

    def told():
        nonlocal said
        said += capfd.readouterr().err
        return "in wait_for_ever" in said

    eventually(told)
    Stuck.release.set()
    eventually(lambda: health(port)[0] == 200)


def test_paused_partitions_that_come_back_after_a_rebalance_are_read_on(broker, run):
    """Who owns a partition again must not find it paused from before; lag, for each partition, tells."""
    source, target, port = broker.topic("in", partitions=2), broker.topic("out"), free_port()

    class Gated(Counting):
        lanes = "partition"
        batch_size = 10
        gate = threading.Event()

        def transform(self, electron):
            while not self.gate.is_set():
                self.wait(0.02)
            return super().transform(electron)

    for partition in range(2):
        broker.produce(source, ((None, f"{partition}.{n}") for n in range(1200)), partition=partition)
    first = run(quick(Gated, broker, source, target, metrics_port=port))
    eventually(lambda: metric(port, "catena_paused_partitions").get(()) == 2)
    second = run(quick(Gated, broker, source, target))
    eventually(lambda: len(first.own) == len(second.own) == 1)
    run.stop(second)
    eventually(lambda: len(first.own) == 2)
    eventually(lambda: metric(port, "catena_paused_partitions").get(()) == 2)
    assert {lag > 0 for lag in metric(port, "catena_lag").values()} == {True}
    Gated.gate.set()
    lags = eventually(lambda: (found := metric(port, "catena_lag")) and not any(found.values()) and found)
    assert set(lags) == {(source, "0"), (source, "1")}
    assert metric(port, "catena_paused_partitions")[()] == 0
    assert len({message.value() for message in broker.read(target, 2400)}) == 2400


def test_a_link_that_has_nothing_left_to_do_has_no_lag_after_a_restart(broker, run):
    """Lag counts from what is committed, also before the first electron since the start."""
    source, target, port = broker.topic("in", partitions=2), broker.topic("out"), free_port()

    class Copy(Counting):
        pass

    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(100)))
    first = run(quick(Copy, broker, source, target))
    eventually(lambda: len(Copy.counts) == 100)
    run.stop(first)
    second = run(quick(Copy, broker, source, target, metrics_port=port))
    eventually(lambda: len(second.own) == 2)
    eventually(lambda: (found := metric(port, "catena_lag")) and len(found) == 2 and not any(found.values()))


@pytest.mark.parametrize("lanes", [1, "partition"])
def test_a_revoke_ends_at_its_one_deadline_however_long_a_transform_takes(broker, run, monkeypatch, lanes):
    """What is still under way when a partition leaves is given one deadline in all, or the group never settles."""
    source = broker.topic("in", partitions=2)
    durations = []
    release = ConsumerLoop._release

    def measured(self, partitions, commit):
        began = time.monotonic()
        release(self, partitions, commit)
        durations.append(time.monotonic() - began)

    class Stuck(Held):
        drain_timeout = 1.0

    Stuck.lanes = lanes
    monkeypatch.setattr(ConsumerLoop, "_release", measured)
    for partition in range(2):
        broker.produce(source, ((None, f"{partition}.{n}") for n in range(50)), partition=partition)
    run(quick(Stuck, broker, source))
    eventually(lambda: len(Stuck.counts) == (2 if lanes == "partition" else 1))
    second = run(quick(Stuck, broker, source))
    eventually(lambda: durations)
    eventually(lambda: second.own)
    Stuck.gate.set()
    assert 0.8 < durations[0] < 1.7


def test_a_transform_that_waits_is_told_that_its_partition_is_gone(broker, run):
    """Waiting for what does not come any more must hold up neither the rebalance nor the lane."""
    source = broker.topic("in", partitions=2)

    class Waiting(Counting):
        lanes = "partition"
        drain_timeout = 30.0

        def transform(self, electron):
            self.counts[electron.value] += 1
            self.wait(60)

    for partition in range(2):
        broker.produce(source, [(None, str(partition))], partition=partition)
    first = run(quick(Waiting, broker, source))
    eventually(lambda: len(Waiting.counts) == 2)
    second = run(quick(Waiting, broker, source))
    eventually(lambda: len(second.own) == 1, 10)
    eventually(lambda: sum(Waiting.counts.values()) == 3, 10)
    assert len(first.own) == 1


def test_a_link_ends_within_one_deadline_however_long_a_transform_takes(broker, run):
    source = broker.topic("in", partitions=1)

    class Stuck(Held):
        drain_timeout = 2.0

    broker.produce(source, [(None, "value")])
    stuck = run(quick(Stuck, broker, source))
    eventually(lambda: Stuck.counts)
    began = time.monotonic()
    run.stop(stuck)
    assert time.monotonic() - began < 1.7 * Stuck.drain_timeout
    Stuck.gate.set()


def test_a_link_that_ends_amid_a_rebalance_commits_no_more_once_it_was_given_partitions(broker, run, monkeypatch):
    """That commit can end the whole process, by an assertion in Kafka's client."""
    source, settled = broker.topic("in", partitions=2), Counter()
    settle = AtLeastOnce.flush_and_commit

    class Waiting(Held):
        drain_timeout = 30.0

    def noted(delivery, assignments, deadline):
        settled[delivery] += bool(assignments)
        settle(delivery, assignments, deadline)

    monkeypatch.setattr(AtLeastOnce, "flush_and_commit", noted)
    first, second = (run(quick(Waiting, broker, source)) for _ in range(2))
    eventually(lambda: len(first.own) == len(second.own) == 1)
    for topic, partition in set(first.own):
        broker.produce(topic, [(None, "value")], partition=partition)
    eventually(lambda: Waiting.counts)
    settled.clear()
    first.stop()  # it waits for its transform, and does not hear meanwhile that the other partition is its own as well
    run.stop(second)
    runtime = first._catena.runtime
    client = runtime._loop._consumer
    generation = client.consumer_group_metadata()
    eventually(lambda: client.consumer_group_metadata() != generation)
    time.sleep(0.5)  # from the generation to what is assigned in it
    Waiting.gate.set()
    run.stop(first)
    assert settled[runtime._delivery] == 1  # before it closes; else once more while it does


def test_members_beyond_the_partitions_stand_by_and_step_in(broker, run):
    """Idle members must not wedge the group: when the busy one leaves, another goes on where it stood."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Copy(Counting):
        pause = 0.002

    members = [run(quick(Copy, broker, source, target, more=patient(broker))) for _ in range(3)]
    broker.produce(source, ((None, f"v{n}") for n in range(1500)))
    for _ in range(2):
        before = len(Copy.counts)
        eventually(lambda before=before: len(Copy.counts) > before + 100)
        (busy,) = [member for member in members if member.own]
        run.stop(busy)
        members.remove(busy)
    eventually(lambda: len(Copy.counts) == 1500)
    messages = broker.read(target, 1500, settle=0.3)
    assert len({message.value() for message in messages}) == 1500
    if not broker.properties:  # the embedded broker refuses the last commit of one who leaves amid a rebalance
        assert len(messages) == 1500


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_rebalance_in_the_middle_of_a_batch_neither_loses_nor_repeats(broker, run, lanes):
    """A batch is left where it stands, committed up to there, and goes on from there elsewhere.

    Of two lanes, one may have done what comes after the other's; only that may be repeated.
    """
    source, target = broker.topic("in"), broker.topic("out")

    class Copy(Counting):
        pause = 0.002

    Copy.lanes = lanes
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(3000)))
    first = run(quick(Copy, broker, source, target, more=patient(broker)))
    eventually(lambda: len(Copy.counts) > 100)
    second = run(quick(Copy, broker, source, target, more=patient(broker)))
    eventually(lambda: len(first.own) == len(second.own) == 2)
    assert len(Copy.counts) < 3000, "too late for a batch to be in the middle"
    run.stop(first)
    eventually(lambda: len(Copy.counts) == 3000)
    messages = broker.read(target, 3000, settle=0.3)
    assert len({message.value() for message in messages}) == 3000
    if not broker.properties and lanes == 1:
        assert len(messages) == 3000


def test_a_transform_may_take_longer_than_the_poll_interval(broker, run):
    """Kafka throws out who does not poll; so the consumer polls on, whatever the lanes do."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Slow(Counting):
        batch_size = 5

        def transform(self, electron):
            if electron.value == "v0":
                time.sleep(3.5)  # beyond the poll interval and the second after which it is looked at
            return super().transform(electron)

    broker.produce(source, ((None, f"v{n}") for n in range(1000)))
    slow = run(quick(Slow, broker, source, target, more={"max.poll.interval.ms": "1600"}))
    assert len(broker.read(target, 1000, settle=0.2)) == 1000
    assert slow.rebalances == 1
    assert set(Slow.counts.values()) == {1}


def test_one_thread_owns_the_consumer_and_closes_it(broker, run, monkeypatch):
    """Kafka's client is not to be used by threads at will: whoever reads it also commits, pauses and closes it."""
    calls = record(monkeypatch)
    source, target, port = broker.topic("in"), broker.topic("out"), free_port()

    class Copy(Counting):
        lanes = 3
        batch_size = 5

    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(3000)))
    copy = run(link(Copy, broker, source, target, metrics_port=port))
    while len(Copy.counts) < 3000:
        metric(port, "catena_lag")  # asked for while it is busy, from a thread of the port
    run.stop(copy)
    assert {name for name, _ in calls} >= {"poll", "consume", "subscribe", "commit", "close"}
    assert len({thread for _, thread in calls}) == 1
    assert sum(count for (name, _), count in calls.items() if name == "close") == 1


def test_the_client_is_one_without_the_crashes_of_former_ones():
    """Threads and closing crashed the interpreter before confluent-kafka 2.13."""
    (wanted,) = [one for one in requires("catena-links") or () if one.startswith("confluent-kafka")]
    assert ">=2.13" in wanted
    assert tuple(map(int, version("confluent-kafka").split(".")[:2])) >= (2, 13)
