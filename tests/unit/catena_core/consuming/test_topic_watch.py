"""The topics that patterns match: as Python's `re`, without the link's own dead letters, and as topics come."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core.consuming import topic_watch
from catena_core.consuming.topic_watch import TopicWatch
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.waiting import eventually

TOPICS = ["orders-1", "orders-x", "orders.dead-letters", "catena.rpc", "__consumer_offsets"]
ALL = ("orders-1", "orders-x")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    topics = list(TOPICS)

    class Client:
        def __init__(self, settings: Any) -> None:
            pass

        def list_topics(self, timeout: float) -> Any:
            if not topics:
                raise KafkaException(KafkaError(KafkaError._TRANSPORT))
            return type("Metadata", (), {"topics": dict.fromkeys(topics)})

    monkeypatch.setattr(topic_watch, "AdminClient", Client)
    return topics


@pytest.fixture
def no_cluster(cluster: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Topics that brokers tell nothing about as long as the list is empty."""
    cluster.clear()
    monkeypatch.setattr(topic_watch, "_AGAIN_AFTER", 0.01)
    monkeypatch.setattr(topic_watch, "_SILENT_AFTER", 0.02)
    return cluster


@pytest.fixture
def watch(cluster: list[str]) -> Any:
    properties = {"topic.metadata.refresh.interval.ms": "100"}
    watch = TopicWatch("127.0.0.1:1", properties, frozenset({"orders.dead-letters", "catena.rpc"}), LinkLogger("Read"))
    yield watch
    watch.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([r"^orders-\d+$"], ("orders-1",)),
        ([r"^orders-(?!x).*"], ("orders-1",)),
        ([r"^orders-(?:x|2)$"], ("orders-x",)),
        ([r"^orders-\w$", "^orders-.*"], ALL),
        (["^orders"], ALL),
        (["^.*"], ALL),
        (["^__.*"], ("__consumer_offsets",)),
        (["new", "^orders-1", "orders-1"], ("new", "orders-1")),
        (["orders.dead-letters"], ("orders.dead-letters",)),
    ],
)
def test_patterns_match_as_those_of_python_and_leave_out_what_the_link_writes(
    watch: TopicWatch, wanted: list[str], found: tuple[str, ...]
) -> None:
    eventually(lambda: watch.resolve(wanted) == found)


def test_a_pattern_says_once_which_topics_of_the_link_it_leaves_out(
    watch: TopicWatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for _ in range(2):
        eventually(lambda: watch.resolve(["^orders"]) == ALL)
    told = [line for line in caplog.messages if "leaves out" in line]
    assert told == ["^orders leaves out orders.dead-letters, which the link writes; to read it, name it"]


def test_a_pattern_finds_topics_that_come_and_go(
    watch: TopicWatch, cluster: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    eventually(lambda: watch.resolve(["^later-.*"]) == () and watch._told)
    cluster.append("later-1")
    eventually(lambda: watch.resolve(["^later-.*"]) == ("later-1",))
    cluster.remove("later-1")
    eventually(lambda: watch.resolve(["^later-.*"]) == ())


def test_a_missing_topic_is_a_problem_until_it_is_there(watch: TopicWatch, cluster: list[str]) -> None:
    assert watch.problems() == {}
    watch.misses("new")
    watch.misses("other")
    watch.misses("third")
    assert set(watch.problems()) == {"input new", "input other", "input third"}
    watch.has(["other"])
    cluster.append("new")
    eventually(lambda: set(watch.problems()) == {"input third"}, 60)


def test_silent_brokers_are_a_problem_until_one_answers(no_cluster: list[str], watch: TopicWatch) -> None:
    watch.doubts()
    eventually(lambda: set(watch.problems()) == {"brokers"}, 60)
    no_cluster.append("a topic")
    eventually(lambda: not watch.problems(), 60)
