"""Topics: make those that do not exist, with the partitions and the clean-up policy that their readers need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from catena_core.errors import CatenaError

# How the cluster of catena_core.embedded names itself. It knows no CreateTopics, and makes a topic when first asked for it.
_EMBEDDED_CLUSTER = "mockCluster"


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
    admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 2, **(properties or {})})
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
        raise CatenaError(
            f"no Kafka broker answers at {endpoint} ({error.args[0].str()}); "
            "start one, or name the right address with -k HOST:PORT"
        ) from error
    missing = [spec for spec in specs if spec.name not in cluster.topics]
    if is_embedded(cluster):
        for spec in missing:
            admin.list_topics(spec.name, timeout=5)
    elif missing:
        _create(admin, missing)


def is_embedded(cluster: ClusterMetadata) -> bool:
    """Tell whether a cluster, as its metadata tell, is that of :mod:`catena_core.embedded`."""
    return (cluster.cluster_id or "").startswith(_EMBEDDED_CLUSTER)


def _create(admin: AdminClient, specs: list[TopicSpec]) -> None:
    wanted = [NewTopic(spec.name, spec.partitions, -1, config=spec.configuration) for spec in specs]
    for name, future in admin.create_topics(wanted, request_timeout=30).items():
        # Not by `result()`: a raised error holds this frame and the client in it. The client's own thread may release the error
        # last, and so destroy the client; for that, librdkafka ends the process.
        error = future.exception()
        if isinstance(error, KafkaException):
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise CatenaError(f"Kafka refused to make the topic {name}: {error.args[0].str()}") from error
        elif error is not None:
            raise error
