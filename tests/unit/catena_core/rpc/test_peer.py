"""One peer, with the messages that it is sent and sends in plain sight."""

import dataclasses
import datetime
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from catena_core import errors
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import LocalRpc, request_queue, rpc
from catena_core.rpc import instances as instances_module
from catena_core.rpc import peer as peer_module
from catena_core.rpc.instances import Instances
from catena_core.rpc.messages import Alive, Gone, Request, Wire, read_envelope, to_wire
from catena_core.rpc.peer import Peer
from catena_core.wire import codec


@dataclasses.dataclass(frozen=True)
class Reading:
    at: datetime.datetime
    values: tuple


class Sensor:
    def __init__(self):
        self.heard = []

    @rpc
    def echo(self, value):
        return value

    @rpc
    def hear(self, context, word, *more, **others):
        self.heard.append((context.uid, word, *more, *sorted(others.items())))

    @rpc
    def whole(self):
        return object()

    @rpc
    def large(self, size):
        return "x" * size


class Display(Sensor):
    pass


def logger(name):
    return LinkLogger(name)


class Clerk(Sensor):
    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()

    @rpc
    def wait(self):
        self.go_on.wait(300)
        self.heard.append("waited")


@pytest.fixture
def clerk():
    """Make a peer with one thread, its object, and a list of what it sends."""
    sent, target = [], Clerk()
    peer = Peer(target, uid="me", group="g", logger=logger("me"), send=lambda wire, _: sent.append(wire), threads=1)
    yield peer, target, lambda: [read_envelope(wire) for wire in list(sent)]
    target.go_on.set()
    peer.close()


def request(number, method="hear", args=("x",), to="me", expires=60.0):
    when = None if expires is None else time.time() + expires
    return to_wire(Request(f"id-{number}", to, method, "caller", "callers", when), [list(args), {}])


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_a_request_that_is_delivered_twice_is_run_once(clerk):
    peer, target, sent = clerk
    for number in (1, 1, 2, 1):
        peer.take(request(number))
    until(lambda: len(sent()) == 2)
    assert len(target.heard) == 2 and [reply.id for reply in sent()] == ["id-1", "id-2"]


def test_a_caller_is_told_that_kafka_does_not_take_the_result(caplog):
    sent = []
    peer = Peer(Clerk(), uid="me", group="g", logger=logger("me"), send=lambda *given: sent.append(given), threads=0)
    peer.take(request(1, "echo"))
    _, lost = sent.pop()
    lost("Message size too large")
    wire, lost = sent.pop()
    with pytest.raises(errors.InternalError, match="the result of echo was lost: Message size too large"):
        raise read_envelope(wire).failure.error()
    lost("Message size too large")
    assert not sent and caplog.text.count("was lost") == 2, "a failure that is lost is no cause of another"


def test_a_request_whose_caller_has_given_up_is_not_run(clerk, caplog):
    peer, target, sent = clerk
    peer.take(request(1, expires=-2.0))
    until(sent)
    assert not target.heard
    assert isinstance(sent()[0].failure.error(), errors.TimeoutError) and "clocks differ" in caplog.text


def test_requests_beyond_the_queue_are_refused_at_once(clerk):
    peer, target, sent = clerk
    peer.take(request(0, "wait", ()))
    until(lambda: peer._requests.empty())
    most = request_queue.MOST_REQUESTS
    for number in range(1, most + 3):
        peer.take(request(number))
    refused = sent()
    assert {reply.id for reply in refused} == {f"id-{most + 1}", f"id-{most + 2}"}
    assert all("busy" in reply.failure.message for reply in refused)
    target.go_on.set()
    until(lambda: len(sent()) == most + 3)


def test_large_requests_fill_the_queue_sooner(clerk):
    peer, target, sent = clerk
    peer.take(request(0, "wait", ()))
    until(lambda: peer._requests.empty())
    size = 800_000
    for number in range(1, 101):
        peer.take(request(number, args=("x" * size,)))
    refused = len(sent())
    assert 0.8 * request_queue.MOST_BYTES < (100 - refused) * size <= 1.1 * request_queue.MOST_BYTES
    target.go_on.set()
    until(lambda: len(sent()) == 101)
    assert peer._requests.empty()


def test_at_the_end_a_method_under_way_is_finished_and_waiting_requests_are_refused(clerk):
    peer, target, sent = clerk
    peer.take(request(1, "wait", ()))
    until(lambda: peer._requests.empty())
    peer.take(request(2))
    threading.Timer(0.2, target.go_on.set).start()
    peer.close()
    assert target.heard == ["waited"]
    farewell, refusal, answer = sent()
    assert (
        isinstance(farewell, Gone)
        and farewell.uid == "me"
        and refusal.id == "id-2"
        and "stopping" in refusal.failure.message
    )
    assert answer.id == "id-1" and answer.failure is None


def test_a_call_that_waits_for_its_answer_ends_with_its_link(clerk):
    peer, _, _ = clerk
    peer.instances.saw(Alive("other", "g", "Other", "host", 0.0))
    threading.Timer(0.2, peer.close).start()
    with pytest.raises(errors.StoppedError):
        peer.call("other", "echo", 1, timeout=3600)


def test_a_call_that_waits_for_somebody_ends_with_its_link(clerk):
    peer, _, _ = clerk
    threading.Timer(0.2, peer.close).start()
    with pytest.raises(errors.StoppedError):
        peer.call("nobody", "echo", 1, timeout=3600)


def test_a_method_that_calls_its_own_instance_with_a_single_thread_waits_no_longer_than_its_timeout():
    class Narcissus:
        peer: Any

        @rpc
        def look(self):
            return self.peer.call("me", "look", timeout=0.3)

    target = Narcissus()

    def send(wire, _):
        if own := vars(target).get("peer"):
            own.take(wire)

    target.peer = Peer(target, uid="me", group="g", logger=logger("me"), send=send)
    target.peer.announce()
    with pytest.raises(errors.InternalError, match=r"TimeoutError: me did not answer look within 0\.3 s"):
        target.peer.call("me", "look", timeout=120)
    target.peer.close()


@pytest.mark.parametrize(
    "wire",
    [
        Wire([], b"x"),
        Wire([("rpc", b"")], None),
        Wire([("rpc", b"{")], None),
        Wire([("rpc", b"[" * 60_000)], None),
        Wire([("rpc", b'{"type": "unknown"}')], None),
        Wire([("rpc", b'{"type": "request", "id": 7}')], None),
        Wire([("rpc", b'{"type": "alive", "uid": "' + b"x" * 70_000)], None),
    ],
)
def test_what_is_no_message_is_skipped_and_told(clerk, wire, caplog):
    peer, target, _ = clerk
    peer.take(wire)
    assert "left out" in caplog.text
    peer.take(request(1))
    until(lambda: target.heard)


@pytest.mark.parametrize("content", [None, "text", [1, 2], [[], {}, 3], {"args": []}])
def test_a_request_without_proper_arguments_is_refused(clerk, content):
    peer, _, sent = clerk
    peer.take(to_wire(Request("id", "me", "echo", "caller", "g", time.time() + 60), content))
    until(sent)
    assert isinstance(sent()[0].failure.error(), errors.InvalidParamsError)


def test_arguments_that_cannot_be_read_are_refused(clerk):
    peer, _, sent = clerk
    good = request(1)
    peer.take(Wire([good.headers[0], (codec.CONTENT_TYPE, codec.MESSAGE_PACK.encode())], b"\xc1"))
    until(sent)
    assert "cannot be read" in sent()[0].failure.message


@pytest.mark.parametrize("farewell", [True, False])
def test_a_call_ends_when_its_instance_has_ended_without_an_answer(clerk, monkeypatch, farewell):
    monkeypatch.setattr(peer_module, "_LAST_ANSWERS", 0.05)
    peer, _, sent = clerk
    monkeypatch.setattr(peer.instances, "_heartbeat", 0.0)
    peer.take(to_wire(sign("callee")))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(peer.call, "callee", "hear", "x", timeout=600)
        until(sent)
        if farewell:
            peer.take(to_wire(Gone("callee", 0.0)))

        def ends():
            peer.take(to_wire(sign("me")))
            return call.done()

        until(ends)
        with pytest.raises(errors.RPCTimeoutError, match="callee has ended without an answer to hear"):
            call.result()


# Who is alive


def sign(uid, since=0.0):
    return Alive(uid, "g", "Kind", "host", since)


def test_an_instance_that_misses_three_heartbeats_is_forgotten(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(instances_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    instances = Instances("me", heartbeat=3)
    for uid in ("me", "other", "dead"):
        instances.saw(sign(uid))
    for _ in range(3):
        now[0] += 3
        instances.saw(sign("me"))
        instances.saw(sign("other"))
        assert "dead" in instances.by_uid
    now[0] += 3
    instances.saw(sign("me"))
    assert set(instances.by_uid) == {"me", "other"}


def test_nobody_is_forgotten_because_the_broker_was_away(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(instances_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    instances = Instances("me", heartbeat=3)
    for uid in ("me", "other"):
        instances.saw(sign(uid))
    now[0] += 300
    for _ in range(100):  # what was held up arrives at once
        instances.saw(sign("me"))
    assert "other" in instances.by_uid


def test_a_sign_of_life_that_was_sent_beside_the_farewell_changes_nothing():
    instances = Instances("me")
    instances.saw(sign("other"))
    instances.ended(Gone("other", 0.0))
    instances.saw(sign("other"))
    assert not instances.by_uid and not instances.by_group


def test_one_that_is_started_again_under_its_name_is_alive_whatever_its_former_life_says():
    instances = Instances("me")
    instances.saw(sign("other", since=1.0))
    instances.ended(Gone("other", 1.0))
    instances.saw(sign("other", since=2.0))
    assert instances.by_uid["other"].since == 2.0
    instances.ended(Gone("other", 1.0))
    assert "other" in instances.by_uid


def test_two_instances_of_one_name_are_told(caplog):
    hub = LocalRpc()
    for kind in (Sensor, Display):
        hub.join(kind(), uid="same", group="g", logger=logger("same"))
    assert "a Display on" in caplog.text and "is named same, too" in caplog.text


def test_strangers_cannot_fill_the_memory_with_instances(monkeypatch):
    monkeypatch.setattr(instances_module, "_MOST_INSTANCES", 3)
    instances = Instances("me")
    for uid in ("me", "a", "b", "c", "d"):
        instances.saw(sign(uid))
    assert set(instances.by_uid) == {"me", "a", "b"}
    instances.ended(Gone("a", 0.0))
    instances.saw(sign("d"))
    assert set(instances.by_uid) == {"me", "b", "d"}


def test_the_oldest_instance_of_a_group_comes_first():
    instances = Instances("me")
    for uid, since in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        instances.saw(sign(uid, since))
    assert instances.by_group["g"] == ["c", "b", "a"]
