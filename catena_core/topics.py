"""Topics: make those that do not exist, with the partitions and the clean-up policy that their readers need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic, OffsetSpec
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from catena_core.errors import CatenaError
from catena_core.kafka.broker_errors import BrokerErrors

# How the cluster of catena_core.embedded names itself. It knows no CreateTopics, and makes a topic when first asked for it.
_EMBEDDED_CLUSTER = "mockCluster"


_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def is_topic(name: str) -> bool:
    """Tell whether Kafka allows a topic of this name (``Topic.validate`` of its Java library)."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


# Kafka's own, which it lets clients read and not write (``Topic.INTERNAL_TOPICS`` of its Java library).
INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be.

    Attributes:
        name: Its name.
        partitions: The number of its partitions, if it does not exist yet.
        compacted: Whether Kafka keeps the newest message of each key for ever, instead of all messages for a time.
        max_message_bytes: The largest batch that it takes; ``None``: the broker's default, usually 1 MiB.
    """

    name: str
    partitions: int = 12
    compacted: bool = False
    max_message_bytes: int | None = None

    @property
    def configuration(self) -> dict[str, str]:
        """Kafka's own settings of the topic."""
        wanted = {"cleanup.policy": "compact"} if self.compacted else {}
        if self.max_message_bytes is not None:
            wanted["max.message.bytes"] = str(self.max_message_bytes)
        return wanted


def ensure(
    endpoint: str, specs: Iterable[TopicSpec], properties: Mapping[str, str] | None = None, patience: float = 30
) -> None:
    """Make the topics that do not exist yet; leave those that do as they are.

    Args:
        endpoint: Kafka's ``host:port``.
        specs: The topics wanted.
        properties: Further librdkafka properties, for instance those of TLS.
        patience: Seconds for which to ask a broker again that does not answer.

    Raises:
        CatenaError: No broker answered in that time, or it refused to make a topic.
    """
    specs = list(specs)
    errors = BrokerErrors()
    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2, "error_cb": errors, **(properties or {})})
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(KafkaException),
            wait=wait_exponential(0.2, max=2),
            stop=stop_after_delay(patience),
            reraise=True,
        ):
            with attempt:
                cluster = admin.list_topics(timeout=5)
    except KafkaException as error:
        admin.poll(0)
        raise CatenaError(
            f"{errors.no_answer(endpoint, error)}; start one, or name the right address with -k HOST:PORT"
        ) from error
    missing = [spec for spec in specs if spec.name not in cluster.topics]
    if is_embedded(cluster):
        for spec in missing:
            admin.list_topics(spec.name, timeout=5)
    elif missing:
        _create(admin, missing, errors)


def check_whole(endpoint: str, names: Iterable[str], properties: Mapping[str, str] | None = None) -> bool:
    """Check that the embedded broker still has every message of some topics.

    It never compacts: when a partition is full, it drops the oldest messages, which may be the newest of their keys.

    Args:
        endpoint: Kafka's ``host:port``.
        names: The topics whose messages must not be lost.
        properties: Further librdkafka properties.

    Returns:
        False where the broker is another one, which needs no such check.

    Raises:
        CatenaError: It has dropped some; the message names the topic, and says that Apache Kafka is needed.
    """
    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2, **(properties or {})})
    try:
        cluster = admin.list_topics(timeout=5)
        counts = dropped(admin, cluster, names) if is_embedded(cluster) else {}
    except KafkaException:
        return True  # the next check may reach the broker
    for topic, count in counts.items():
        raise TruncatedTopicError(topic, count)
    return is_embedded(cluster)


def dropped(admin: AdminClient, cluster: ClusterMetadata, names: Iterable[str]) -> dict[str, int]:
    """Count the messages that the embedded broker has dropped, for each topic that lacks some.

    Args:
        admin: A client of the broker.
        cluster: Its metadata.
        names: The topics to look at, if it has them.

    Returns:
        The largest such number of a partition, by topic.
    """
    partitions = [
        TopicPartition(name, number)
        for name in names
        if name in cluster.topics
        for number in cluster.topics[name].partitions
    ]
    counts: dict[str, int] = {}
    if partitions:
        begins = admin.list_offsets({partition: OffsetSpec.earliest() for partition in partitions}, request_timeout=10)
        for partition, future in begins.items():
            if future.exception() is None and (begin := future.result().offset) > 0:
                counts[partition.topic] = max(begin, counts.get(partition.topic, 0))
    return counts


class TruncatedTopicError(CatenaError):
    """The embedded broker has dropped messages of a compacted topic."""

    def __init__(self, topic: str, count: int) -> None:
        super().__init__(
            f"the embedded broker has dropped {count} messages or more of {topic}, because it holds 5 MiB of a partition and "
            "does not compact; what they said is lost. Start Apache Kafka, and name it with -k HOST:PORT"
        )


def is_embedded(cluster: ClusterMetadata) -> bool:
    """Tell whether a cluster, as its metadata tell, is that of :mod:`catena_core.embedded`."""
    return (cluster.cluster_id or "").startswith(_EMBEDDED_CLUSTER)


def _create(admin: AdminClient, specs: list[TopicSpec], errors: BrokerErrors) -> None:
    wanted = [NewTopic(spec.name, spec.partitions, -1, config=spec.configuration) for spec in specs]
    for name, future in admin.create_topics(wanted, request_timeout=30).items():
        # Not by `result()`: a raised error holds this frame and the client in it. The client's own thread may release the error
        # last, and so destroy the client; for that, librdkafka ends the process.
        error = future.exception()
        if isinstance(error, KafkaException):
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                admin.poll(0)
                reasons = errors.reasons()
                raise CatenaError(
                    f"Kafka refused to make the topic {name}: {error.args[0].str()}{f' ({reasons})' if reasons else ''}"
                ) from error
        elif error is not None:
            raise error
