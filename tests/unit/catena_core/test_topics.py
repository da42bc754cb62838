"""Topics that are made where they are missing."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core import topics
from catena_core.errors import CatenaError
from catena_core.topics import TopicSpec, ensure

_THERE = KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS))
_REFUSED = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))


class _Client:
    """An admin client whose cluster has some topics, and answers in a set way to the wish for others."""

    def __init__(self, cluster: _Cluster, settings: dict[str, Any]) -> None:
        cluster.client = weakref.ref(self)
        cluster.settings = settings
        self._cluster = cluster

    def list_topics(self, topic: str | None = None, timeout: float = 0) -> Any:
        self._cluster.looked_up.append(topic)
        if self._cluster.silent_for:
            self._cluster.silent_for -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics=self._cluster.topics, cluster_id=self._cluster.name)

    def poll(self, timeout: float) -> int:
        return 0

    def create_topics(self, wanted: list[Any], request_timeout: float) -> dict[str, Future[None]]:
        futures = {}
        for topic in wanted:
            self._cluster.wanted.append(topic)
            future: Future[None] = Future()
            future.set_exception(error) if (error := self._cluster.errors.get(topic.topic)) else future.set_result(None)
            futures[topic.topic] = future
        self._cluster.futures.update(futures)
        return futures


class _Cluster:
    def __init__(self) -> None:
        self.name = "a cluster"
        self.topics: set[str] = set()
        self.errors: dict[str, Exception] = {}
        self.silent_for = 0
        self.client: Any = None
        self.settings: dict[str, Any] = {}
        self.looked_up: list[str | None] = []
        self.wanted: list[Any] = []
        self.futures: dict[str, Future[None]] = {}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> _Cluster:
    """Return a cluster that stands for the one at any address."""
    cluster = _Cluster()
    monkeypatch.setattr(topics, "AdminClient", lambda settings: _Client(cluster, settings))
    return cluster


def test_only_missing_topics_are_made_with_the_partitions_and_settings_asked_for(cluster: _Cluster) -> None:
    cluster.topics = {"words"}
    ensure("kafka:1", [TopicSpec("words", 4), TopicSpec("counts", 3, compacted=True, max_message_bytes=2000)])
    (made,) = cluster.wanted
    assert (made.topic, made.num_partitions) == ("counts", 3)
    assert made.config == {"cleanup.policy": "compact", "max.message.bytes": "2000"}


def test_the_clients_properties_reach_it(cluster: _Cluster) -> None:
    ensure("kafka:1", [], {"security.protocol": "SSL"})
    assert cluster.settings["bootstrap.servers"] == "kafka:1"
    assert cluster.settings["security.protocol"] == "SSL"


def test_a_topic_that_another_made_meanwhile_is_left_as_it_is(cluster: _Cluster) -> None:
    cluster.errors = {"words": _THERE}
    ensure("kafka:1", [TopicSpec("words"), TopicSpec("counts")])
    assert [topic.topic for topic in cluster.wanted] == ["words", "counts"]


def test_the_client_is_released_with_the_call_though_an_answer_was_an_error(cluster: _Cluster) -> None:
    """The client's own thread releases the answers last: if they held the client, that thread would destroy it, and abort."""
    cluster.errors = {"words": KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS))}
    ensure("kafka:1", [TopicSpec("words"), TopicSpec("counts")])
    assert cluster.futures["words"].exception() is not None
    assert cluster.client() is None


def test_a_refusal_names_the_topic_and_the_reason(cluster: _Cluster) -> None:
    cluster.errors = {"words": _REFUSED}
    with pytest.raises(CatenaError, match=r"refused to make the topic words: .*authorization failed"):
        ensure("kafka:1", [TopicSpec("words")])


def test_any_other_error_is_raised_as_it_is(cluster: _Cluster) -> None:
    cluster.errors = {"words": RuntimeError("out of memory")}
    with pytest.raises(RuntimeError, match="out of memory"):
        ensure("kafka:1", [TopicSpec("words")])


def test_a_broker_that_does_not_answer_at_first_is_asked_again(cluster: _Cluster) -> None:
    cluster.silent_for = 1
    ensure("kafka:1", [TopicSpec("words")])
    assert [topic.topic for topic in cluster.wanted] == ["words"]


def test_a_broker_that_never_answers_is_given_up_with_a_hint(cluster: _Cluster) -> None:
    cluster.silent_for = 10
    with pytest.raises(CatenaError, match=r"no Kafka broker answers at kafka:1 .* name the right address"):
        ensure("kafka:1", [TopicSpec("words")], patience=0)


def test_on_the_embedded_broker_a_topic_is_made_by_asking_for_it(cluster: _Cluster) -> None:
    cluster.name = "mockCluster0x1"
    ensure("kafka:1", [TopicSpec("words")])
    assert cluster.looked_up == [None, "words"]
    assert not cluster.wanted
