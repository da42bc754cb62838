"""The reasons for which brokers do not answer: librdkafka tells them to a callback, not with the error of a call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from catena_core.errors import CatenaError

_MOST = 3
# Seconds after which brokers that have all refused are given up; one that is silent may only be slow.
_REFUSED_AFTER = 3.0
_WHERE = re.compile(
    r"^(?:\w+://)?(?P<broker>[^/ ]+)/\S+: (?P<reason>.*?)(?: \(after \d+ms in state (?P<state>\w+).*\))?$"
)

# A broker that clients know by its number has told its address itself.
_ADVERTISED = re.compile(r"^(?:\w+://)?(?P<address>[^/ ]+)/\d+: Failed to resolve")


def explained(error: str) -> str:
    """Return an error of a connection with what it means, where its own words do not say it.

    Args:
        error: The error, as librdkafka writes it.
    """
    if found := _ADVERTISED.match(error):
        return f"{error}; the broker tells clients to ask {found['address']}: look at its advertised.listeners"
    return error


class BrokerErrors:
    """Remembers the last error of each broker; give it to a client as its ``error_cb``, and poll the client before reading.

    Args:
        log: Called with each error once :meth:`metadata` has had an answer: before that, its own error tells of them.
    """

    def __init__(self, log: Callable[[Any], None] = lambda error: None) -> None:
        self._reasons: dict[str, str] = {}
        self._log = log
        self._has_answer = False

    def __call__(self, error: Any) -> None:
        """Remember an error, if it says why one broker does not answer."""
        if self._has_answer:
            self._log(error)
        found = _WHERE.match(error.str()) if error.code() != KafkaError._ALL_BROKERS_DOWN else None
        if found:
            # For a connection that is reset, and not closed, the client has other words.
            shook = found["reason"].startswith("SSL handshake failed: Disconnected") or (
                found["state"] == "SSL_HANDSHAKE" and found["reason"].startswith("Disconnected")
            )
            hint = ": it speaks no TLS, or takes none of this client; look at security.protocol" if shook else ""
            self._reasons[found["broker"]] = found["reason"] + hint + explained(error.str())[len(error.str()) :]

    def reasons(self) -> str:
        """Return the reasons so far, each once; empty if none was told."""
        return "; ".join(list(dict.fromkeys(self._reasons.values()))[:_MOST])

    def no_answer(self, endpoint: str, error: KafkaException) -> str:
        """Say that no broker answers, and why.

        Args:
            endpoint: The brokers that were asked.
            error: The error of the call.
        """
        said = (
            self.reasons()
            or f"{error.args[0].str()}: a slow one, another server, or one that wants -X security.protocol=…"
        )
        return f"no Kafka broker answers at {endpoint} ({said})"

    def metadata(
        self, client: Any, endpoint: str, seconds: float, on_wait: Callable[[str], None] = lambda said: None
    ) -> Any:
        """Ask for the brokers and topics.

        Args:
            client: A client of Kafka, which has this as its ``error_cb``.
            endpoint: The brokers that it asks.
            seconds: The longest wait. It ends soon where each broker refuses the connection.
            on_wait: Called with a line for the user once the answer takes long.

        Raises:
            CatenaError: No broker answers; the message says why, and what to do.
        """
        try:
            try:
                found = client.list_topics(timeout=min(seconds, _REFUSED_AFTER))
            except KafkaException:
                client.poll(0)
                if len(self._reasons) >= len(endpoint.split(",")) or seconds <= _REFUSED_AFTER:
                    raise
                on_wait(f"waiting for Kafka at {endpoint}, for {seconds - _REFUSED_AFTER:.0f} s more …")
                found = client.list_topics(timeout=seconds - _REFUSED_AFTER)
        except KafkaException as error:
            client.poll(0)
            raise CatenaError(
                f"{self.no_answer(endpoint, error)}; start one, or name the right address with -k HOST:PORT"
            ) from error
        self._has_answer = True
        return found
