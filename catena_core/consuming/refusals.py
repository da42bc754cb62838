"""Errors of a consumer after which it will never read again, unlike those that pass by themselves."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError

from catena_core.errors import ReadingError

_OWN_ID = "give each instance an --instance-id of its own, or none"

# Each with the remedy. Kafka's client goes on after most of these as if it could still join its group.
_REMEDIES = {
    KafkaError.FENCED_INSTANCE_ID: _OWN_ID,
    KafkaError.UNRELEASED_INSTANCE_ID: _OWN_ID,
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow this link to read with that group, or name another with -g GROUP",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "allow this link to describe and read it",
    KafkaError.TOPIC_EXCEPTION: "name another topic with -i TOPIC",
    KafkaError.INVALID_GROUP_ID: "name another group with -g GROUP",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "its members share partitions in another way; use another group",
    KafkaError.INVALID_SESSION_TIMEOUT: "set session.timeout.ms within the broker's limits",
    KafkaError.GROUP_MAX_SIZE_REACHED: "end other instances, or raise the broker's group.max.size",
    KafkaError.UNSUPPORTED_VERSION: "leave out the properties that the broker is too old for",
    KafkaError.UNSUPPORTED_ASSIGNOR: "set group.remote.assignor to one that the broker has",
    KafkaError._AUTO_OFFSET_RESET: "set auto.offset.reset to earliest or latest, or commit an offset for the group",
}


def refusal(error: Any, topic: str | None, group: str, instance_id: str | None) -> ReadingError | None:
    """Turn an error of the consumer into the reason for which a link must end; ``None`` if it may pass.

    Args:
        error: The error, from a message of the consumer. A fatal one has the code ``_FATAL`` and says ``fatal()`` is False.
        topic: The topic that it is about, if it is about one.
        group: The consumer group.
        instance_id: The name of the static member, if it is one.
    """
    remedy = _REMEDIES.get(error.code())
    if remedy is None and not (error.fatal() or error.code() == KafkaError._FATAL):
        return None
    text = error.str().lower()
    if instance_id is not None and ("fenced" in text or "instance id" in text):
        took = "took" if "fenced" in text else "has"  # with the protocol of KIP-848 the first one keeps it
        return ReadingError(f"another instance of group {group} {took} the instance id {instance_id}; {_OWN_ID}")
    what = f"{topic} cannot be read" if topic else f"group {group} reads no more"
    return ReadingError(f"{what}: {error.str()}; {remedy or 'start the link again'}")
