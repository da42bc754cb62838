"""Links on an Apache Kafka that lets nobody in without TLS and a password."""

import subprocess
import sys

import pytest
from confluent_kafka import Producer

from catena_core import Electron, Link
from catena_core.errors import UsageError
from catena_core.rpc import rpc
from catena_core.topics import TopicSpec, ensure
from tests.helpers.catena_up import Up
from tests.helpers.links import link
from tests.helpers.waiting import eventually
from tests.servers import kafka_server


class Guarded:
    """A broker with its properties, as a link is given them."""

    def __init__(self, server):
        self.endpoint, self.properties, self.server = server.bootstrap, server.properties, server

    def group(self, name="group"):
        return name

    def topic(self, name):
        ensure(self.endpoint, [TopicSpec(name, 2)], self.properties)
        return name

    def produce(self, topic, pairs):
        producer = Producer({"bootstrap.servers": self.endpoint, **self.properties})
        for key, value in pairs:
            producer.produce(topic, value, key)
        assert producer.flush(120) == 0


@pytest.fixture(scope="module")
def guarded():
    with kafka_server(guarded=True) as server:
        yield Guarded(server)


class Translates(Link):
    """Looks words up in a table; what it does not find goes to the dead letters."""

    attempts = 1

    def setup(self):
        self.words = self.table("words")

    def transform(self, electron):
        return Electron(electron.key, self.words[electron.value])

    @rpc
    def known(self):
        return len(self.words)


class Keeps(Link):
    def setup(self):
        self.kept = []

    def transform(self, electron):
        self.kept.append(electron.value)


PROGRAM = """
from catena_core import Link

class Copies(Link):
    def transform(self, electron):
        return None

Copies().start()
"""


def environment(properties):
    """Make the variables that set these properties."""
    names = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in properties.items()}
    return {"PATH": "/usr/bin:/bin", **names}


@pytest.mark.kafka
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_link_its_table_its_calls_and_its_dead_letters_pass_tls_and_login(guarded, run, delivery):
    words, source, target = guarded.topic("words"), guarded.topic(f"in-{delivery}"), guarded.topic(f"out-{delivery}")
    guarded.produce(words, [("one", "eins"), ("two", "zwei")])
    guarded.produce(source, [("k", "one"), ("k", "two"), ("k", "three")])
    group = f"translates-{delivery}"
    translates = run(link(Translates, guarded, source, target, delivery=delivery, consumer_group=group))
    keeps = run(link(Keeps, guarded, target, consumer_group=f"keeps-{delivery}"))
    eventually(lambda: getattr(keeps, "kept", None) == ["eins", "zwei"])
    eventually(lambda: group in keeps.instances.by_group)
    assert keeps.rpc_call(translates.uid, "known") == 2
    run.stop(translates)
    # Whoever looks after them finds the way in from the same variables as links do.
    listed = subprocess.run(
        [sys.executable, "-m", "topology.cli", "dead-letters", "list", "-k", guarded.endpoint, "-g", group],
        env=environment(guarded.properties),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert listed.returncode == 0, listed.stderr
    assert "KeyError" in listed.stdout
    assert source in listed.stdout


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sasl.password": "wrong"}, "check sasl.mechanism, sasl.username and sasl.password"),
        ({"ssl.ca.location": "/etc/hostname"}, "ssl.ca.location"),
        ({"ssl.ca.location": None}, "check security.protocol and ssl.ca.location"),
    ],
    ids=["a wrong password", "no certificate", "an unknown certificate"],
)
def test_what_does_not_get_in_says_why_and_ends_with_status_1(guarded, wrong, said):
    properties = {name: value for name, value in {**guarded.properties, **wrong}.items() if value is not None}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "-k", guarded.endpoint, "-i", "in"],
        env=environment(properties),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    (reason,) = [line for line in ended.stderr.splitlines() if "stopping, because" in line]
    assert said in reason
    assert "wrong" not in reason


@pytest.mark.kafka
def test_a_hosted_link_with_a_wrong_password_raises_it(guarded):
    keeps = link(Keeps, guarded, "in", properties={"sasl.password": "wrong"})
    with pytest.raises(UsageError, match="refuses the connection"):
        keeps.start(embedded=True)
    assert keeps.join(120)


@pytest.mark.kafka
@pytest.mark.parametrize("way", ["variables", "options"])
def test_catena_up_and_its_links_pass_tls_and_login(guarded, tmp_path, way):
    properties = dict(guarded.properties)
    (tmp_path / "password").write_text(properties["sasl.password"] + "\n")
    arguments = ["-k", guarded.endpoint]
    if way == "variables":
        properties["sasl.password.file"] = str(tmp_path / "password")
        del properties["sasl.password"]
        variables = {name: value for name, value in environment(properties).items() if name != "PATH"}
    else:
        arguments += [item for name, value in properties.items() for item in ("-X", f"{name}={value}")]
        variables = {}
    up = Up(arguments, SANDBOX_OFFERINGS="3", **variables)
    try:
        up.found("all [0-9]+ offerings stand on 2 nodes each")
    finally:
        up.stop()
    assert guarded.properties["sasl.password"] not in up.output()
