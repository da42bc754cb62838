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
from tests.helpers.links import Counting, Held, Supply, link, quick
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
            self.release.wait(300)

    broker.produce(source, [(None, "well")])
    run(link(Stuck, broker, source, metrics_port=port, consumer_timeout=1))
    eventually(lambda: metric(port, "catena_consumed_total").get((source, "0")) == 1)
    eventually(lambda: health(port)[0] == 200)
    broker.produce(source, [(None, "stuck")])
    eventually(lambda: health(port)[0] == 503)
    eventually(lambda: f"progress {source}/0" in health(port)[1].get("problems", ()))
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
    eventually(lambda: {lag > 0 for lag in metric(port, "catena_lag").values()} == {True})
    Gated.gate.set()
    lags = eventually(lambda: (found := metric(port, "catena_lag")) and not any(found.values()) and found)
    assert set(lags) == {(source, "0"), (source, "1")}
    eventually(lambda: metric(port, "catena_paused_partitions").get(()) == 0)
    assert len({message.value() for message in broker.read(target, 2400, distinct=True)}) == 2400


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
    deadlines, released = [], threading.Event()
    drain, release = ConsumerLoop._drain, ConsumerLoop._release

    def noted(self, leaving, deadline):
        deadlines.append(deadline - time.monotonic())
        drain(self, leaving, deadline)

    def watched(self, partitions, commit):
        release(self, partitions, commit)
        released.set()

    class Stuck(Held):
        drain_timeout = 1.0

    Stuck.lanes = lanes
    monkeypatch.setattr(ConsumerLoop, "_drain", noted)
    monkeypatch.setattr(ConsumerLoop, "_release", watched)
    for partition in range(2):
        broker.produce(source, ((None, f"{partition}.{n}") for n in range(50)), partition=partition)
    run(quick(Stuck, broker, source))
    eventually(lambda: len(Stuck.counts) == (2 if lanes == "partition" else 1))
    second = run(quick(Stuck, broker, source))
    eventually(released.is_set)  # though the gate is closed
    eventually(lambda: second.own)
    Stuck.gate.set()
    assert deadlines
    assert max(deadlines) <= Stuck.drain_timeout


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
    eventually(lambda: len(second.own) == 1)
    eventually(lambda: sum(Waiting.counts.values()) == 3)
    assert len(first.own) == 1


def test_a_link_ends_within_one_deadline_however_long_a_transform_takes(broker, run):
    source = broker.topic("in", partitions=1)

    class Stuck(Held):
        drain_timeout = 0.5

    broker.produce(source, [(None, "value")])
    stuck = run(quick(Stuck, broker, source))
    eventually(lambda: Stuck.counts)
    run.stop(stuck)  # though the gate is closed
    Stuck.gate.set()


def test_a_link_that_ends_amid_a_rebalance_commits_no_more_once_it_was_given_partitions(broker, run, monkeypatch):
    """That commit can end the whole process, by an assertion in Kafka's client."""
    source, settled = broker.topic("in", partitions=2), Counter()
    settle = AtLeastOnce.flush_and_commit

    class Waiting(Held):
        drain_timeout = 300.0

    def noted(delivery, assignments, deadline):
        settled[delivery] += bool(assignments) and first._catena.runtime._loop._has_left
        return settle(delivery, assignments, deadline)

    monkeypatch.setattr(AtLeastOnce, "flush_and_commit", noted)
    first, second = (run(quick(Waiting, broker, source)) for _ in range(2))
    eventually(lambda: len(first.own) == len(second.own) == 1)
    for topic, partition in set(first.own):
        broker.produce(topic, [(None, "value")], partition=partition)
    eventually(lambda: Waiting.counts)
    runtime = first._catena.runtime
    client = runtime._loop._consumer
    first.stop()
    # From here on it waits for its transform, and does not hear that the other partition is its own as well. Nor is anything
    # asked of its client before: a thread that polls leaves no turn to others.
    eventually(lambda: runtime._loop._leave_by is not None)
    generation = client.consumer_group_metadata()
    run.stop(second)
    eventually(lambda: client.consumer_group_metadata() != generation)
    time.sleep(0.5)  # from the generation to what is assigned in it
    Waiting.gate.set()
    run.stop(first)
    assert settled[runtime._delivery] == 0


def test_members_beyond_the_partitions_stand_by_and_step_in(broker, run):
    """Idle members must not wedge the group: when the busy one leaves, another goes on where it stood."""
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Copy(Counting):
        pause = 0.002

    members = [run(quick(Copy, broker, source, target)) for _ in range(3)]
    for number in range(3):
        broker.produce(source, ((None, f"v{500 * number + n}") for n in range(500)))
        eventually(lambda number=number: len(Copy.counts) > 500 * number + 100)
        if number < 2:
            (busy,) = eventually(lambda: [member for member in members if member.own])
            run.stop(busy)
            members.remove(busy)
    messages = broker.read(target, 1500, settle=0.3, distinct=True)
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
    supply = Supply(broker, source, Copy.counts)  # so that a batch is under way whenever the rebalance comes
    first = run(quick(Copy, broker, source, target))
    supply.until(lambda: len(Copy.counts) > 100)
    second = run(quick(Copy, broker, source, target))
    supply.until(lambda: len(first.own) == len(second.own) == 2)
    run.stop(first)
    eventually(lambda: len(Copy.counts) == supply.sent)
    messages = broker.read(target, supply.sent, settle=0.3, distinct=True)
    assert len({message.value() for message in messages}) == supply.sent
    if not broker.properties and lanes == 1:
        assert len(messages) == supply.sent


def test_a_transform_may_take_longer_than_the_poll_interval(embedded_broker, run):
    """Kafka throws out who does not poll; so the consumer polls on, whatever the lanes do."""
    broker = embedded_broker  # it is the client that measures
    source, target = broker.topic("in", partitions=1), broker.topic("out")

    class Slow(Counting):
        batch_size = 5

        def transform(self, electron):
            if electron.value == "v0":
                time.sleep(6.5)  # beyond the poll interval and the second after which it is looked at
            return super().transform(electron)

    broker.produce(source, ((None, f"v{n}") for n in range(1000)))
    given = {"max.poll.interval.ms": "5000", "session.timeout.ms": "5000"}
    slow = run(link(Slow, broker, source, target, given))
    assert len(broker.read(target, 1000, settle=0.2)) == 1000
    assert slow.rebalances == 1
    assert set(Slow.counts.values()) == {1}


def test_one_thread_owns_the_consumer_until_another_closes_it_in_time(broker, run, monkeypatch):
    """Kafka's client is not to be used by threads at will: whoever reads it also commits and pauses it.

    The last commit and the close may wait for ever. A thread of their own makes them while the owner waits for it.
    """
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
    (owner,) = {thread for name, thread in calls if name == "subscribe"}
    assert {thread for _, thread in calls} == {owner, "call of Kafka's client"}
    assert {thread for name, thread in calls if name == "close"} == {"call of Kafka's client"}
    assert sum(count for (name, _), count in calls.items() if name == "close") == 1


def test_the_client_is_one_without_the_crashes_of_former_ones():
    """Threads and closing crashed the interpreter before confluent-kafka 2.13."""
    (wanted,) = [one for one in requires("catena-links") or () if one.startswith("confluent-kafka")]
    assert ">=2.13" in wanted
    assert tuple(map(int, version("confluent-kafka").split(".")[:2])) >= (2, 13)
