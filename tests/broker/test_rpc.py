"""Calls among instances over a broker: what they bring, who is alive, and what trouble does to them."""

import dataclasses
import datetime
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from catena_core import Link, errors
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import RpcService, rpc
from catena_core.rpc import service as service_module
from catena_core.topics import TopicSpec, ensure
from tests.helpers.links import link
from tests.helpers.waiting import eventually
from tests.servers import kafka as kafka_module
from tests.servers import kafka_server

PROCESS = """
import sys, time
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import RpcService, rpc

class Remote:
    @rpc
    def sleep(self, seconds):
        time.sleep(seconds)

endpoint, topic = sys.argv[1:]
names = {"uid": "remote", "group": "far", "logger": LinkLogger("remote")}
service = RpcService(Remote(), endpoint=endpoint, topic=topic, heartbeat=0.3, **names)
service.start()
print("started", flush=True)
time.sleep(600)
"""


@dataclasses.dataclass(frozen=True)
class Reading:
    at: datetime.datetime
    values: tuple


class Counter:
    def __init__(self):
        self.total, self.heard, self.lock = 0, [], threading.Lock()
        self.service = None

    @rpc
    def add(self, context, number):
        with self.lock:
            self.total += number
        return self.service.uid, context.uid, context.group

    @rpc
    def echo(self, value):
        return value

    @rpc
    def hear(self, word):
        self.heard.append(word)

    @rpc
    def divide(self, number, by):
        return number / by

    @rpc
    def relay(self, to, method, *args):
        return self.service.call(to, method, args)

    @rpc
    def sleep(self, seconds):
        time.sleep(seconds)

    @rpc
    def large(self, size):
        return "x" * size


class Watcher(Counter):
    pass


class Party:
    """Objects that call each other over one topic."""

    def __init__(self, endpoint, topic, properties=None):
        self.endpoint, self.topic, self.properties, self.members = endpoint, topic, properties, []

    def join(self, kind, uid, group, **options):
        target = kind()
        options = {"topic": self.topic, **options}
        service = RpcService(
            target,
            uid=uid,
            group=group,
            endpoint=self.endpoint,
            properties=self.properties,
            logger=LinkLogger(uid),
            **options,
        )
        target.service = service
        self.members.append(service)
        service.start()
        return target


@pytest.fixture
def party(broker):
    made = Party(broker.endpoint, broker.group("rpc"), broker.properties)
    yield made
    for member in made.members:
        member.close()


def know_each_other(*targets):
    eventually(lambda: all(len(target.service.instances.by_uid) == len(targets) for target in targets))


def test_a_call_finds_an_instance_by_uid_by_class_and_by_group(party):
    first, second = party.join(Counter, "c1", "counting"), party.join(Counter, "c2", "counting")
    caller = party.join(Watcher, "w1", "watching").service
    assert caller.call("c2", "add", 5) == ("c2", "w1", "watching")
    assert (first.total, second.total) == (0, 5)
    for to in ("counter", "Counter", "counting"):
        assert {caller.call(to, "add", [1])[0] for _ in range(30)} == {"c1", "c2"}
    assert caller.call("watcher", "add", 1)[0] == caller.call("w1", "add", 1)[0] == "w1"


def test_values_come_back_as_they_were_sent(party):
    party.join(Counter, "c", "counting")
    caller = party.join(Watcher, "w", "watching").service
    reading = Reading(datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), (1.5, {"a", "b"}))
    for value in (None, "", "text", b"\x00\xff", 0, [1, {"a": None}], (1, (2,)), reading, "x" * 800_000):
        result = caller.call("c", "echo", [value])
        assert result == value and type(result) is type(value)


def test_a_notification_reaches_every_instance_that_is_meant(party):
    targets = {uid: party.join(Counter, uid, "counting") for uid in ("c1", "c2")}
    targets["w"] = party.join(Watcher, "w", "watching")
    sender = targets["w"].service
    for to in ("c1", "COUNTER", "counting", "watcher", "broadcast"):
        sender.notify("hear", to, to=to)
    sender.notify("hear", "end")
    eventually(lambda: all("end" in target.heard for target in targets.values()))
    assert targets["c1"].heard == ["c1", "COUNTER", "counting", "broadcast", "end"]
    assert targets["c2"].heard == ["COUNTER", "counting", "broadcast", "end"]
    assert targets["w"].heard == ["watcher", "broadcast", "end"]


def test_no_call_is_missed_by_an_instance_that_has_just_started(party):
    caller = party.join(Watcher, "w", "watching").service
    for number in range(10):
        party.join(Counter, f"c{number}", f"group-{number}")
        caller.notify("hear", "at once", to=f"c{number}")
        assert caller.call(f"group-{number}", "add", 1, timeout=120)[0] == f"c{number}"
    heard = [member.methods["hear"].function.__self__.heard for member in party.members[1:]]
    eventually(lambda: heard == [["at once"]] * 10, message=lambda: f"{heard}")


def test_errors_reach_the_caller(party):
    party.join(Counter, "c", "counting")
    caller = party.join(Watcher, "w", "watching").service
    for expected, method, args, text in (
        (errors.MethodNotFoundError, "__init__", [], "Counter has no method __init__ marked"),
        (errors.InvalidParamsError, "divide", [1], "missing a required argument: 'by'"),
        (errors.InternalError, "divide", [1, 0], "ZeroDivisionError: division by zero"),
        (errors.InvalidParamsError, "echo", [object()], "object cannot be sent"),
        (errors.InvalidParamsError, "echo", ["x" * 2_000_000], "too many for a remote call"),
        (errors.InternalError, "large", [2_000_000], "too many for a remote call"),
    ):
        with pytest.raises(expected) as caught:
            caller.call("c", method, args)
        assert text in str(caught.value)
    assert caller.call("c", "echo", "still here") == "still here"


def test_a_call_that_nobody_answers_ends_with_its_timeout(party):
    party.join(Counter, "slow", "counting")
    caller = party.join(Watcher, "w", "watching").service
    know_each_other(*(member.methods["hear"].function.__self__ for member in party.members))
    with pytest.raises(errors.TimeoutError, match=r"slow of counter did not answer sleep within 0\.5 s"):
        caller.call("counter", "sleep", 2, timeout=0.5)
    with pytest.raises(errors.TimeoutError, match="no instance, class or group nobody appeared"):
        caller.call("nobody", "sleep", 2, timeout=0.5)


def test_callers_side_by_side_get_their_own_answers(party):
    counter = party.join(Counter, "c", "counting", threads=4)
    callers = [party.join(Watcher, uid, "watching").service for uid in ("w1", "w2")]

    def call(number):
        caller = callers[number % 2]
        assert caller.call("c", "add", 1, timeout=120) == ("c", caller.uid, "watching")
        return caller.call("c", "echo", [(caller.uid, number)], timeout=120)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(call, range(300)))
    assert answers == [(f"w{number % 2 + 1}", number) for number in range(300)]
    assert counter.total == 300


def test_a_method_may_call_on(party):
    for uid in ("a", "b", "c"):
        party.join(Counter, uid, f"group-{uid}")
    caller = party.members[0]
    assert caller.call("b", "relay", ["group-c", "relay", "a", "echo", "through all"]) == "through all"
    with pytest.raises(errors.InternalError, match="MethodNotFoundError: Counter has no method absent"):
        caller.call("b", "relay", ["c", "absent"])


def test_a_newcomer_knows_everybody_and_a_farewell_is_heard(party):
    targets = [party.join(Counter, f"c{number}", "counting", heartbeat=60) for number in range(3)]
    know_each_other(*targets)
    assert targets[2].service.instances["by_group"]["counting"] == ["c0", "c1", "c2"]
    assert targets[0].service.instances.by_uid["c2"].kind == "Counter"
    targets[1].service.close()
    for target in (targets[0], targets[2]):
        eventually(lambda known=target.service.instances: set(known.by_uid) == {"c0", "c2"})


def test_a_killed_process_is_forgotten_and_the_living_are_not(party):
    caller = party.join(Watcher, "w", "watching", heartbeat=0.3).service
    party.join(Counter, "c", "counting", heartbeat=0.3)
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, party.endpoint, party.topic], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        eventually(lambda: caller.instances.by_group.get("far") == ["remote"])
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(errors.TimeoutError, match=r"remote (did not answer sleep|appeared)"):
            caller.call("remote", "sleep", 0, timeout=0.3)
        eventually(lambda: "remote" not in caller.instances.by_uid)
        eventually(lambda: set(caller.instances.by_uid) == {"w", "c"} and "far" not in caller.instances.by_group)
    finally:
        process.kill()
        process.wait(120)


def test_what_others_write_to_the_topic_is_skipped(party, broker, caplog):
    party.join(Counter, "c", "counting")
    caller = party.join(Watcher, "w", "watching").service
    for headers in ([], [("rpc", b"{")], [("rpc", b"\xff")]):
        broker.produce(party.topic, [("key", "nonsense")], headers=headers, partition=0)
    assert caller.call("c", "echo", 1) == 1
    eventually(lambda: caplog.text.count("left out") >= 6)


def test_a_link_whose_topic_cannot_be_used_goes_on_without_remote_calls(kafka, caplog):
    party = Party(kafka.bootstrap, "not/a/topic")
    target = party.join(Counter, "c", "counting")
    assert caplog.text.count("going on without remote calls, because the topic not/a/topic cannot be used") == 1
    with pytest.raises(errors.RPCError, match="remote calls do not work here"):
        target.service.notify("hear", "word")
    target.service.close()


class Adder(Link):
    def setup(self):
        self.total = 0

    @rpc
    def add(self, context, number):
        self.total += number
        return self.total, context.group


class Asking(Link):
    """Asks the adder in its generator, in its transform, and in a method that others call."""

    answers: tuple[Any, ...] = ()

    def generator(self):
        self.answers = (*self.answers, self.rpc_call("adder", "add", 1, timeout=120))
        self.wait(60)

    def transform(self, electron):
        total, _ = self.rpc_call("adder", "add", len(electron.value))
        return str(total)

    @rpc
    def relay(self, number):
        return self.rpc_call("adder", "add", number)


def test_links_call_each_other_wherever_they_are(broker, run):
    source, target = broker.topic("in"), broker.topic("out")
    asking = link(Asking, broker, source, target, consumer_group=broker.group("asking"))
    adder = link(Adder, broker, consumer_group=broker.group("adding"))
    asking.uid, adder.uid = (
        broker.group("uid-1"),
        broker.group("uid-2"),
    )  # in a container the host's name is both theirs
    run(asking)
    run(adder)
    eventually(lambda: asking.answers)
    assert asking.answers == ((1, broker.group("asking")),)
    broker.produce(source, [("key", "four")])
    assert [message.value() for message in broker.read(target, 1)] == [b"5"]
    assert adder.rpc_call(asking.uid, "relay", 10) == (15, broker.group("asking"))
    assert asking.instances["by_group"][broker.group("adding")] == [adder.uid]
    run.stop(adder)
    eventually(lambda: broker.group("adding") not in asking.instances.by_group)


@pytest.mark.kafka
def test_a_link_that_may_not_use_the_topic_goes_on_without_remote_calls(monkeypatch, caplog):
    operations = {AclOperation.DESCRIBE, AclOperation.READ, AclOperation.WRITE}
    settings = kafka_module.settings_of_node
    guarded = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    monkeypatch.setattr(kafka_module, "settings_of_node", lambda *args, **kwargs: settings(*args, **kwargs) | guarded)
    with kafka_server(own=True) as server:
        admin = AdminClient({"bootstrap.servers": server.bootstrap})
        for refused in operations:
            caplog.clear()
            topic = f"rpc-without-{refused.name.lower()}"
            # What is allowed to write or read may describe, too, so who may not is allowed nothing but to make the topic.
            allowed = {AclOperation.CREATE} if refused is AclOperation.DESCRIBE else operations - {refused}
            entries = [
                AclBinding(
                    ResourceType.TOPIC,
                    topic,
                    ResourcePatternType.LITERAL,
                    "User:ANONYMOUS",
                    "*",
                    operation,
                    AclPermissionType.ALLOW,
                )
                for operation in allowed
            ]
            ensure(server.bootstrap, [TopicSpec(topic, 1)])
            for done in admin.create_acls(entries).values():
                done.result(120)
            party = Party(server.bootstrap, topic)
            caller = party.join(Counter, "c", "counting").service
            eventually(lambda: "going on without remote calls" in caplog.text)
            with pytest.raises(
                errors.RPCError, match=r"Topic authorization failed; allow this link to describe, read and write"
            ):
                caller.call("c", "echo", 1)
            caller.close()
            assert caplog.text.count("going on without remote calls") == 1


@pytest.mark.kafka
def test_calls_go_on_when_the_broker_is_back():
    with kafka_server(own=True) as server:
        party = Party(server.bootstrap, "rpc")
        counter = party.join(Counter, "c", "counting", heartbeat=0.5)
        watcher = party.join(Watcher, "w", "watching", heartbeat=0.5)
        caller = watcher.service
        know_each_other(counter, watcher)
        server.kill()
        with pytest.raises(errors.TimeoutError):
            caller.call("c", "add", 1, timeout=3)
        assert set(caller.instances.by_uid) == {"c", "w"}
        server.restart()

        def answers():
            try:
                return caller.call("counting", "echo", "back", timeout=5) == "back"
            except errors.TimeoutError:
                return False

        eventually(answers)
        assert counter.total == 0, "a call that had been given up was run"
        eventually(lambda: set(caller.instances.by_uid) == {"c", "w"})
        for member in party.members:
            member.close()


@pytest.mark.kafka
def test_calls_go_on_after_the_topic_was_deleted_where_brokers_make_none_by_themselves(kafka, monkeypatch, caplog):
    monkeypatch.setattr(service_module, "_AGAIN_AFTER", 0.5)
    quick = {"topic.metadata.propagation.max.ms": "1000", "topic.metadata.refresh.interval.ms": "500"}
    party = Party(kafka.bootstrap, f"rpc-{uuid.uuid4().hex[:8]}", {**quick, "allow.auto.create.topics": "false"})
    counter = party.join(Counter, "c", "counting", heartbeat=0.5)
    watcher = party.join(Watcher, "w", "watching", heartbeat=0.5)
    know_each_other(counter, watcher)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([party.topic])[party.topic].result(120)

    def answers():
        try:
            return watcher.service.call("counting", "echo", "back", timeout=5) == "back"
        except errors.RPCError:
            return False

    eventually(lambda: caplog.text.count("going on without remote calls") == 2)
    eventually(answers)
    eventually(lambda: set(watcher.service.instances.by_uid) == {"c", "w"})
    for member in party.members:
        member.close()
