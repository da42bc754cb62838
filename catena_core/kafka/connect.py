"""Connect to Kafka before a link is set up: retry while no broker answers; fail at once on bad credentials."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import UsageError
from catena_core.kafka.broker_errors import BrokerErrors
from catena_core.kafka.properties import lacks_token, refused, without_effect
from catena_core.monitoring.logs import LinkLogger

# Seconds for one question to the brokers, and between two log lines that say that none has answered.
_TIMEOUT, _LOGGED_EVERY = 1.0, 30.0

_REFUSALS = {
    KafkaError._AUTHENTICATION: "check sasl.mechanism, sasl.username and sasl.password",
    KafkaError._SSL: "check security.protocol and ssl.ca.location",
}


def wait_for_broker(endpoint: str, properties: Mapping[str, str], logger: LinkLogger, stop: threading.Event) -> bool:
    """Wait until a broker answers.

    Args:
        endpoint: Kafka's ``host:port``.
        properties: Further librdkafka properties.
        logger: The log, which says from time to time that none answers.
        stop: Set when the link is to stop.

    Returns:
        Whether one answers; if not, ``stop`` was set.

    Raises:
        UsageError: Brokers refuse this client, or its properties make no sense.
    """
    refusals: list[Any] = []
    errors = BrokerErrors()
    logged_at = time.monotonic() - _LOGGED_EVERY

    def on_error(error: Any) -> None:
        errors(error)
        if error.code() in _REFUSALS:
            refusals.append(error)

    settings = {"bootstrap.servers": endpoint, "log_level": 2, "reconnect.backoff.max.ms": 1000, **properties}
    if lacks_token(properties):
        raise UsageError(
            "sasl.mechanism=OAUTHBEARER needs a token: set sasl.oauthbearer.method=oidc and sasl.oauthbearer.client.id, "
            "sasl.oauthbearer.client.secret and sasl.oauthbearer.token.endpoint.url"
        )
    try:
        client = AdminClient({**settings, "error_cb": on_error})
    except (KafkaException, TypeError, ValueError) as error:
        raise UsageError(f"Kafka's client does not take these properties: {refused(error)}") from error
    if names := without_effect(properties):
        protocol = properties.get("security.protocol", "plaintext")
        logger.log(
            f"{', '.join(names)} without effect: security.protocol is {protocol}; set -X security.protocol=SASL_SSL, SSL or "
            "SASL_PLAINTEXT",
            level="warning",
        )
    while not stop.is_set():
        try:
            client.list_topics(timeout=_TIMEOUT)
            return True
        except KafkaException as error:
            client.poll(0)
            if refusals:
                refusal = refusals[0]
                raise UsageError(
                    f"Kafka at {endpoint} refuses the connection: {refusal.str()}; {_REFUSALS[refusal.code()]}"
                ) from error
            if time.monotonic() - logged_at >= _LOGGED_EVERY:
                logged_at = time.monotonic()
                logger.log(
                    f"{errors.no_answer(endpoint, error)}; trying until one does. Start one, or name the right address with "
                    "-k HOST:PORT",
                    level="warning",
                )
    return False
