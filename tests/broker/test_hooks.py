"""What the hooks of a link may do: send and wait for it, call, and wait."""

import threading

import pytest

from catena_core import Electron, Link
from catena_core.rpc import rpc
from tests.helpers.links import link

DELIVERIES = ("at_least_once", "exactly_once")


class Sending(Link):
    """Sends in the hooks that a test names, waits until Kafka has it, and notes what becomes of that."""

    hooks = ()

    def __init__(self, **given):
        super().__init__(**given)
        self.told = []

    def said(self, hook):
        if hook in self.hooks:
            self.send(hook, callback=self.told.append, callback_args=(f"{hook} arrived",), synchronous=True)
            self.told.append(hook)

    def setup(self):
        self.said("setup")

    def assigned(self, partitions):
        self.said("assigned")

    def transform(self, electron):
        return Electron(electron.key, "electron")

    def revoked(self, partitions):
        self.said("revoked")

    def finish(self):
        self.said("finish")


def sending(*hooks):
    return type("Sending", (Sending,), {"hooks": hooks})


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_setup_and_finish_may_wait_until_kafka_has_what_they_send(broker, run, delivery):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    broker.produce(source, [("k", "x")])
    both = run(link(sending("setup", "finish"), broker, source, target, delivery=delivery))
    broker.read(target, 2)
    both.stop()
    assert both.join(120) and both.failure is None
    assert both.told == ["setup arrived", "setup", "finish arrived", "finish"]
    assert [message.value() for message in broker.read(target, 3)] == [b"setup", b"electron", b"finish"]


@pytest.mark.parametrize("lanes", [1, 2])
def test_hooks_for_which_a_transaction_waits_do_not_wait_for_it(broker, run, lanes):
    source, target = broker.topic("in", partitions=1), broker.topic("out", partitions=1)
    kind = sending("assigned", "revoked")
    kind.lanes, kind.drain_timeout = lanes, 300.0
    both = run(link(kind, broker, source, target, delivery="exactly_once"))
    broker.read(target, 1)
    both.stop()
    assert both.join(120) and both.failure is None
    assert [message.value() for message in broker.read(target, 2)] == [b"assigned", b"revoked"]


class Asking(Link):
    """Calls itself at its end."""

    answer = None

    @rpc
    def name(self):
        return "Asking"

    def generator(self):
        self.wait(600)

    def finish(self):
        self.answer = self.rpc_call(self.uid, "name", timeout=120)


def test_finish_may_call(embedded_broker, run):
    asking = run(link(Asking, embedded_broker))
    assert asking.wait_until_ready(120)
    asking.stop()
    assert asking.join(120) and asking.failure is None
    assert asking.answer == "Asking"


class Looping(Link):
    """Sends when a test lets its loop go on."""

    begun, goes_on = threading.Event(), threading.Event()
    drain_timeout = 300.0

    def setup(self):
        self.loop(self.work, interval=600)

    def work(self):
        self.begun.set()
        self.goes_on.wait(300)
        self.send("the last")

    def generator(self):
        self.wait(600)


def test_a_call_of_a_loop_that_the_end_waits_for_can_still_send(embedded_broker, run):
    target = embedded_broker.topic("out", partitions=1)
    looping = run(link(Looping, embedded_broker, target=target))
    assert Looping.begun.wait(120)
    looping.stop()
    assert not looping.join(0.2)
    Looping.goes_on.set()
    assert looping.join(120)
    assert [message.value() for message in embedded_broker.read(target, 1)] == [b"the last"]


class Patient(Link):
    """Waits in its setup."""

    begun = threading.Event()

    def setup(self):
        self.begun.set()
        self.wait(600)

    def generator(self):
        raise AssertionError("it was not set up")


def test_a_link_that_is_stopped_while_its_setup_waits_ends_cleanly(embedded_broker, run):
    patient = run(link(Patient, embedded_broker))
    assert Patient.begun.wait(120)
    patient.stop()
    assert patient.join(120) and patient.failure is None
