"""Exactly once: what others see of a link's transactions."""

import re
import threading

import pytest

from catena_core import Electron
from tests.helpers.consumer_loop import committed
from tests.helpers.links import Counting, quick
from tests.helpers.topics import read_committed
from tests.helpers.waiting import eventually

on_apache = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)


@on_apache
def test_each_member_has_one_transactional_id_that_names_application_and_instance(broker, run):
    """Ids that two members share fence each other; ids for each partition cost a producer each."""
    source, target = broker.topic("in"), broker.topic("out")

    class Copy(Counting):
        pass

    members = [
        run(quick(Copy, broker, source, target, delivery="exactly_once", instance_id=instance_id))
        for instance_id in ("one", None)
    ]
    eventually(lambda: all(member.own for member in members))
    broker.produce(source, ((f"k{n}", f"v{n}") for n in range(400)))
    eventually(lambda: len(read_committed(broker, target)) == 400)
    group = broker.group()
    seen = set()
    for message in read_committed(broker, "__transaction_state"):
        seen |= set(re.findall(rf"{re.escape(group)}\.[\w-]+", message.key().decode("utf-8", "replace")))
    assert seen == {f"{group}.one", f"{group}.{members[1].uid}"}


@on_apache
def test_all_that_a_transform_sends_is_seen_together_or_not_at_all(broker, run):
    """Also what it sends by itself, to whatever topic; and what an attempt that failed has sent is not seen."""
    source, target, side = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("side")

    class Sending(Counting):
        attempts = 2
        backoff = (0.01, 0.01)

        def transform(self, electron):
            self.counts[electron.value] += 1
            self.send(Electron(electron.key, f"{electron.value} {self.counts[electron.value]}"), topic=side)
            self.send(Electron(electron.key, "waited for"), topic=side, synchronous=True)
            if electron.value == "v1" and self.counts["v1"] == 1:
                raise ValueError("once")
            return electron.value

    broker.produce(source, ((None, f"v{n}") for n in range(3)))
    run(quick(Sending, broker, source, target, delivery="exactly_once"))
    eventually(lambda: committed(broker, broker.group(), source) == [3])
    assert sorted(message.value() for message in read_committed(broker, target)) == [b"v0", b"v1", b"v2"]
    values = sorted(message.value() for message in read_committed(broker, side))
    assert values == [b"v0 1", b"v1 2", b"v2 1", b"waited for", b"waited for", b"waited for"]


@on_apache
def test_a_transform_that_outlives_its_partition_sends_nothing(broker, run):
    """What was under way when the partition was revoked is done by its next owner, and by nobody else."""
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)

    class Held(Counting):
        drain_timeout = 0.3
        end = threading.Event()

        def transform(self, electron):
            copied = super().transform(electron)
            if self.counts[electron.value] == 1:
                self.end.wait(300)
            return copied

    broker.produce(source, [("k", "v")])
    first = run(quick(Held, broker, source, target, delivery="exactly_once"))
    eventually(lambda: Held.counts["v"] == 1)
    ending = threading.Thread(target=run.stop, args=(first,))
    ending.start()
    second = run(quick(Held, broker, source, target, delivery="exactly_once"))
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    Held.end.set()
    ending.join()
    run.stop(second)
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("lane")])
    assert Held.counts["v"] == 2
    assert len(read_committed(broker, target, partitions=1)) == 1
