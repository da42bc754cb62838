"""The names of librdkafka's properties: those that links set themselves, and the ones that misspelt names mean."""

from __future__ import annotations

import ctypes
import difflib
import functools
import os
import re
import tempfile
from collections.abc import Mapping

import confluent_kafka.cimpl
from confluent_kafka import KafkaException

_UNKNOWN = re.compile(r'No such configuration property: "(.+)"')
_NO_PROVIDER = re.compile(r"No provider for SASL mechanism (\S+?):")
_ALIKE = 0.85

_ENDPOINT = "use -k HOST:PORT or KAFKA_ENDPOINT"
_BY_THEMSELVES = "links set it by themselves, since they commit what is done and know what has arrived"

SET_BY_LINKS = {
    "bootstrap.servers": _ENDPOINT,
    "metadata.broker.list": _ENDPOINT,
    "group.id": "use -g NAME",
    "group.instance.id": "use --instance-id NAME",
    "transactional.id": "use --delivery exactly_once",
    "enable.auto.commit": _BY_THEMSELVES,
    "enable.auto.offset.store": _BY_THEMSELVES,
    "enable.partition.eof": _BY_THEMSELVES,
    "delivery.report.only.error": _BY_THEMSELVES,
}
"""The properties that a link would not heed, or work wrongly with; each with the remedy."""


def refused(error: KafkaException | TypeError | ValueError) -> str:
    """Return why Kafka's client does not take its properties, and the property that was meant.

    Args:
        error: Raised when the client was made.
    """
    reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
    if lacking := _NO_PROVIDER.search(reason):
        return (
            f"sasl.mechanism is {lacking[1]}, its default being GSSAPI, which this build of librdkafka lacks; set -X "
            "sasl.mechanism=SCRAM-SHA-512, or the one that the brokers ask for"
        )
    unknown = _UNKNOWN.search(reason)
    meant = unknown and meant_by(unknown[1])
    return f"{reason}; did you mean {meant}?" if meant else str(reason)


def lacks_token(properties: Mapping[str, object]) -> bool:
    """Return True if brokers would wait for a token of OAuth that nothing fetches.

    Args:
        properties: The properties of a client.
    """
    mechanism = properties.get("sasl.mechanism", properties.get("sasl.mechanisms"))
    return (
        _uses(properties, "SASL")
        and str(mechanism).upper() == "OAUTHBEARER"
        and str(properties.get("sasl.oauthbearer.method", "default")).lower() != "oidc"
        and str(properties.get("enable.sasl.oauthbearer.unsecure.jwt")).lower() != "true"
        and "oauth_cb" not in properties
    )


def without_effect(properties: Mapping[str, object]) -> list[str]:
    """Return the names of the properties of TLS and SASL that a client disregards, because of its ``security.protocol``."""
    return [
        name
        for name in properties
        for kind in ("sasl", "ssl")
        if name.startswith(kind + ".") and not _uses(properties, kind)
    ]


def _uses(properties: Mapping[str, object], kind: str) -> bool:
    return kind.upper() in str(properties.get("security.protocol", "plaintext")).upper().split("_")


def meant_by(name: str) -> str | None:
    """Return the property whose name is close to this one; ``None`` if there is none, or this is one itself."""
    names = property_names()
    meant = difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE)
    return meant[0] if meant and name not in names else None


@functools.cache
def property_names() -> tuple[str, ...]:
    """Return the names of all properties; none where the library does not tell them."""
    try:
        library, c = ctypes.CDLL(confluent_kafka.cimpl.__file__), ctypes.CDLL(None)
        c.fdopen.restype = ctypes.c_void_p
        with tempfile.TemporaryFile() as file:
            stream = ctypes.c_void_p(c.fdopen(os.dup(file.fileno()), b"w"))
            library.rd_kafka_conf_properties_show(stream)
            c.fclose(stream)
            file.seek(0)
            return tuple(dict.fromkeys(re.findall(r"^([a-z][a-z0-9._]+) +\|", file.read().decode(), re.MULTILINE)))
    except (OSError, AttributeError, TypeError):  # another platform, or another build
        return ()
