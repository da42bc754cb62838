"""Electrons that fail, and outputs that Kafka refuses: tried again, then among the dead letters."""

import secrets
import threading

import pytest

from catena_core import Electron, Link
from catena_core.dead_letters.letter import VALUE_LEFT_OUT
from catena_core.dead_letters.policy import DeadLetterLimits
from tests.helpers.consumer_loop import committed
from tests.helpers.links import Counting, link, quick
from tests.helpers.topics import read_committed, small_topic
from tests.helpers.waiting import eventually

on_apache = pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
both_deliveries = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])


def test_what_fails_is_tried_a_few_times_then_set_aside_then_committed(broker, run):
    """Neither lost nor tried in a hot loop; and once it is among the dead letters it does not come again."""
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")

    class Failing(Link):
        attempts = 4
        backoff = (0.2, 0.2)
        tried = 0
        dead_letter_topic = dead

        def transform(self, electron):
            type(self).tried += 1
            raise ValueError("never")

    broker.produce(source, [(None, "bad")])
    failing = run(link(Failing, broker, source))
    assert len(broker.read(dead, 1)) == 1
    assert Failing.tried == 4
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    run.stop(failing)
    run(link(Failing, broker, source))
    broker.produce(source, [(None, "worse")])
    assert len(broker.read(dead, 2, settle=0.3)) == 2
    assert Failing.tried == 8


@on_apache
@both_deliveries
def test_an_output_that_its_topic_refuses_becomes_a_dead_letter(broker, run, delivery):
    """What Kafka refuses for good must neither stop the link nor be lost; the rest goes on."""
    source, target = broker.topic("in", partitions=1), small_topic(broker, "out", 2000)
    dead = small_topic(broker, "dead", 1_000_000)

    class Blowing(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            # Of random text, since a topic's limit is one of what is left after compression.
            return Electron(electron.value, secrets.token_hex(5000 if electron.value == "v3" else 16))

    broker.produce(source, ((None, f"v{n}") for n in range(8)))
    blowing = run(quick(Blowing, broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [8])
    letters = {message.key(): message for message in eventually(lambda: read_committed(broker, dead))}
    assert len(letters[b"v3"].value()) == 10_000
    assert b"too large" in dict(letters[b"v3"].headers())["error"]
    # Kafka refuses whole batches; what went along with it must arrive all the same.
    arrived = sorted(message.key() for message in read_committed(broker, target))
    assert arrived == [f"v{n}".encode() for n in range(8) if n != 3]
    assert set(letters) == {b"v3"}
    run.stop(blowing)
    assert blowing.status == 0


@on_apache
@both_deliveries
def test_outputs_without_a_key_for_a_compacted_topic_are_dead_letters_and_the_rest_of_their_batch_arrives(
    broker, run, delivery
):
    """Kafka names the messages that it refuses; of the others in the batch, too, it takes none."""
    source, target, dead = broker.topic("in", 1), broker.topic("out", 1, compacted=True), broker.topic("dead")

    class Forgetful(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            return Electron(None if electron.value in ("v3", "v5") else electron.value, electron.value)

    broker.produce(source, ((None, f"v{n}") for n in range(20)))
    forgetful = run(quick(Forgetful, broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [20] or forgetful.failure)
    assert forgetful.failure is None
    assert sorted(letter.value() for letter in read_committed(broker, dead)) == [b"v3", b"v5"]
    arrived = [message.value().decode() for message in read_committed(broker, target, partitions=1)]
    assert arrived == [f"v{n}" for n in range(20) if n not in (3, 5)]
    run.stop(forgetful)
    assert forgetful.status == 0


@on_apache
@both_deliveries
def test_many_outputs_that_their_topic_refuses_are_dead_letters_though_those_are_too_large_as_well(
    broker, run, delivery
):
    """More of them in one transaction than times that it may fail for one reason."""
    source, target, dead = broker.topic("in", 1), small_topic(broker, "out", 2000), small_topic(broker, "dead", 2000)

    class Blowing(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            return Electron(electron.value, secrets.token_hex(5000 if int(electron.value) % 2 else 16))

    broker.produce(source, ((None, str(n)) for n in range(24)))
    blowing = run(quick(Blowing, broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [24] or blowing.failure)
    assert blowing.failure is None
    letters = read_committed(broker, dead)
    assert sorted(int(letter.key()) for letter in letters) == list(range(1, 24, 2))
    assert {letter.value() for letter in letters} == {None}
    assert sorted(int(message.key()) for message in read_committed(broker, target)) == list(range(0, 24, 2))
    run.stop(blowing)
    assert blowing.status == 0


@on_apache
@both_deliveries
def test_an_output_to_a_topic_of_kafkas_own_becomes_a_dead_letter(broker, run, delivery):
    source, target, dead = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("dead")

    class Straying(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            return Electron(electron.value, "", topic="__consumer_offsets" if electron.value == "v3" else None)

    broker.produce(source, ((None, f"v{n}") for n in range(8)))
    straying = run(quick(Straying, broker, source, target, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [8])
    letters = eventually(lambda: read_committed(broker, dead))
    assert [letter.key() for letter in letters] == [b"v3"]
    assert b"refuses it for __consumer_offsets" in dict(letters[0].headers())["error"]
    assert len(read_committed(broker, target)) == 7
    run.stop(straying)
    assert straying.status == 0


@on_apache
@both_deliveries
def test_dead_letters_whose_topic_refuses_them_too_go_there_without_their_value(broker, run, delivery):
    """A dead letter that cannot be sent must not stop the link: at least what there was is told."""
    source, dead = broker.topic("in", partitions=1), small_topic(broker, "dead", 1500)

    class Failing(Link):
        attempts = 1
        dead_letter_topic = dead

        def transform(self, electron):
            raise ValueError("never")

    broker.produce(source, [("large", secrets.token_hex(3000))])
    failing = run(quick(Failing, broker, source, delivery=delivery))
    eventually(lambda: committed(broker, broker.group(), source) == [1])
    broker.produce(source, [("small", "v")])
    eventually(lambda: committed(broker, broker.group(), source) == [2])
    letters = {message.key(): message for message in read_committed(broker, dead)}
    assert letters[b"small"].value() == b"v"
    assert letters[b"large"].value() is None
    headers = dict(letters[b"large"].headers())
    assert headers[VALUE_LEFT_OUT].endswith(b"too large for " + dead.encode())
    assert headers["original-offset"] == b"0"
    run.stop(failing)
    assert failing.status == 0


@both_deliveries
def test_an_output_too_large_for_any_topic_is_a_dead_letter_of_its_electron(broker, run, delivery):
    """What cannot be sent at all is found out where it arises, not where it would end the link."""
    source, target, dead = broker.topic("in", partitions=1), broker.topic("out"), broker.topic("dead")

    class Blowing(Link):
        dead_letter_topic = dead

        def transform(self, electron):
            return Electron(electron.key, "x" * (17 * 1024 * 1024) if electron.value == "large" else "y")

    broker.produce(source, [("a", "large"), ("b", "small")])
    blowing = run(quick(Blowing, broker, source, target, delivery=delivery))
    assert [message.value() for message in broker.read(target, 1)] == [b"y"]
    assert [message.value() for message in broker.read(dead, 1)] == [b"large"]
    run.stop(blowing)
    assert blowing.status == 0


def test_where_everything_fails_the_link_stops_at_its_limit(broker, run):
    """Dead letters are for the electrons' faults; a link that is at fault itself must not put all of a topic there."""
    source, dead = broker.topic("in", partitions=1), broker.topic("dead")

    class Broken(Link):
        attempts = 1
        dead_letter_topic = dead
        dead_letter_limits = DeadLetterLimits(run=20)

        def transform(self, electron):
            raise KeyError("not set up")

    broker.produce(source, ((None, f"v{n}") for n in range(500)))
    broken = run(quick(Broken, broker, source))
    eventually(lambda: broken.status == 1)
    assert len(broker.read(dead, 20, settle=0.3)) == 20
    assert committed(broker, broker.group(), source)[0] <= 20


def test_what_fails_while_its_partition_leaves_is_no_dead_letter(broker, run):
    """Another instance has it by then, and may fare better."""
    source, target, dead = broker.topic("in", partitions=2), broker.topic("out"), broker.topic("dead")
    failed = threading.Event()

    class Failing(Counting):
        attempts = 1
        drain_timeout = 0.3
        dead_letter_topic = dead
        leave = threading.Event()

        def transform(self, electron):
            if not failed.is_set():
                failed.set()
                self.leave.wait(300)
                raise ValueError("too late")
            return super().transform(electron)

    first = run(quick(Failing, broker, source, target))
    eventually(lambda: len(first.own) == 2)
    for partition in range(2):
        broker.produce(source, [(None, f"v{partition}")], partition=partition)
    eventually(failed.is_set)
    run.stop(first)
    Failing.leave.set()
    run(quick(Failing, broker, source, target))
    assert {message.value() for message in broker.read(target, 2)} == {b"v0", b"v1"}
    assert not broker.read(dead, 1, timeout=1.0)
