"""A link that stands still says so: what its health tells while it cannot read, send or generate."""

import json
import urllib.error
import urllib.request

import pytest

from catena_core import Link, runtime
from catena_core.consuming import topic_watch
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.errors import StoppedError
from tests.helpers.waiting import eventually
from tests.servers.process import free_port

PROPERTIES = {**CLIENT_PROPERTIES, "topic.metadata.refresh.interval.ms": "200"}


class Copy(Link):
    """Copies."""

    def transform(self, electron):
        return electron


class Ticks(Link):
    """Sends without an end."""

    def generator(self):
        self.send("tick")
        self.wait(0.01)


class Fails(Link):
    """Fails until it is mended."""

    mended = False

    def generator(self):
        if not self.mended:
            raise ConnectionError("no such host")
        self.wait(0.01)

    def setup(self):
        self.loop(self.always_fails)

    def always_fails(self):
        if not self.mended:
            raise KeyError("row")
        self.wait(0.01)


@pytest.fixture
def started():
    links = []

    def start(link):
        link.start(embedded=True)
        links.append(link)
        return link

    yield start
    for link in links:
        link.stop()
    for link in links:
        assert link.join(60)


def look(link, path):
    """Ask for the health of a link; return the status and its problems."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{link.options.metrics_port}/{path}", timeout=60) as answer:
            return answer.status, json.load(answer)["problems"]
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)["problems"]


def is_well(link):
    return look(link, "healthz")[0] == look(link, "readyz")[0] == 200


def is_ill(link, *names):
    status, problems = look(link, "healthz")
    return status == look(link, "readyz")[0] == 503 and set(names) <= set(problems)


def test_a_link_whose_input_topic_does_not_exist_is_ill_until_it_does(started):
    with EmbeddedBroker(first_rebalance_delay=0) as broker:
        link = started(
            Copy(
                kafka_endpoint=broker.endpoint,
                input_topics="absent",
                output_topics="out",
                metrics_port=free_port(),
                properties=PROPERTIES,
            )
        )
        eventually(lambda: is_ill(link, "input absent"), 60)
        assert "make it" in look(link, "readyz")[1]["input absent"]
        broker.create_topic("absent", 1)
        eventually(lambda: is_well(link), 60)
        link.stop()
        assert link.join(60)


def test_a_link_whose_brokers_are_silent_is_ill(started, monkeypatch):
    monkeypatch.setattr(runtime, "_SILENT_AFTER", 0.5)
    with EmbeddedBroker(first_rebalance_delay=0) as broker:
        ticks = started(Ticks(kafka_endpoint=broker.endpoint, output_topics="out", metrics_port=free_port()))
        ticks.drain_timeout = 0.1
        eventually(lambda: is_well(ticks), 60)
    eventually(lambda: is_ill(ticks, "delivery"), 60)


def test_a_reader_whose_brokers_are_silent_is_ill(started, monkeypatch):
    monkeypatch.setattr(topic_watch, "_SILENT_AFTER", 0.5)
    with EmbeddedBroker(first_rebalance_delay=0) as broker:
        broker.create_topic("in", 1)
        link = started(Copy(kafka_endpoint=broker.endpoint, input_topics="in", metrics_port=free_port()))
        link.drain_timeout = 0.1
        eventually(lambda: is_well(link), 60)
    eventually(lambda: is_ill(link, "brokers"), 60)


class Misled(Link):
    """Meets the end of another link, and goes on later."""

    goes_on = False

    def generator(self):
        if not self.goes_on:
            self.goes_on = True
            raise StoppedError
        self.suicide("all is well")


def test_a_generator_that_meets_the_end_of_another_link_is_called_again(started, monkeypatch):
    monkeypatch.setattr("catena_core.background._AFTER_ERROR", 0.01)
    link = started(Misled())
    assert link.join(60)
    assert link.failure is None


def test_a_link_whose_generator_and_loop_fail_again_and_again_is_ill_until_they_do_not(started, monkeypatch):
    monkeypatch.setattr("catena_core.background._AFTER_ERROR", 0.01)
    link = started(Fails(metrics_port=free_port()))
    eventually(lambda: is_ill(link, "generator", "loop always_fails"), 60)
    link.mended = True
    eventually(lambda: is_well(link), 60)
