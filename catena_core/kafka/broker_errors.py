"""The reasons for which brokers do not answer: librdkafka tells them to a callback, not with the error of a call."""

from __future__ import annotations

import re
from typing import Any

from confluent_kafka import KafkaError, KafkaException

_MOST = 3
_WHERE = re.compile(r"^(?P<broker>[^/ ]+)/\S+: (?P<reason>.*?)(?: \(after \d+ms in state (?P<state>\w+).*\))?$")


class BrokerErrors:
    """Remembers the last error of each broker; give it to a client as its ``error_cb``, and poll the client before reading."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __call__(self, error: Any) -> None:
        """Remember an error, if it says why one broker does not answer."""
        found = _WHERE.match(error.str()) if error.code() != KafkaError._ALL_BROKERS_DOWN else None
        if found:
            # For a connection that is reset, and not closed, the client has other words.
            shook = found["reason"].startswith("SSL handshake failed: Disconnected") or (
                found["state"] == "SSL_HANDSHAKE" and found["reason"].startswith("Disconnected")
            )
            hint = ": it speaks no TLS, or takes none of this client; look at security.protocol" if shook else ""
            self._reasons[found["broker"]] = found["reason"] + hint

    def no_answer(self, endpoint: str, error: KafkaException) -> str:
        """Say that no broker answers, and why.

        Args:
            endpoint: The brokers that were asked.
            error: The error of the call.
        """
        reasons = list(dict.fromkeys(self._reasons.values()))[:_MOST]
        said = (
            "; ".join(reasons)
            or f"{error.args[0].str()}: a slow one, another server, or one that wants -X security.protocol=…"
        )
        return f"no Kafka broker answers at {endpoint} ({said})"
