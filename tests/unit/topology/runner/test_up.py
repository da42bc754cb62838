"""`catena up` and the processes that it starts."""

from __future__ import annotations

from typing import Any

import pytest

from topology.runner import up
from topology.runner.up import LINKS, Runner
from topology.settings import Settings


class Recorded:
    """A process that is only written down."""

    made: list[Recorded]

    def __init__(
        self, name: str, module: str, arguments: list[str], environment: dict[str, str], _on_line: Any
    ) -> None:
        self.arguments, self.environment = [name, module, *arguments], environment
        self.made.append(self)

    def start(self) -> None:
        """Start nothing."""


def test_secrets_are_in_no_arguments_of_links(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.made = []
    monkeypatch.setattr(up, "ManagedProcess", Recorded)
    properties = {"sasl.password": "pw-1", "ssl.key.password": "pw-2", "security.protocol": "SASL_SSL"}
    runner = Runner("kafka:9093", {}, properties, environment={})
    runner._settings, runner._ports = Settings(), [0]

    runner._start_links("kafka:9093", properties)

    assert len(Recorded.made) == len(LINKS)
    for process in Recorded.made:
        assert "security.protocol=SASL_SSL" in process.arguments
        assert not [argument for argument in process.arguments if "pw-" in argument]
        assert process.environment["KAFKA_SASL_PASSWORD"] == "pw-1"
        assert process.environment["KAFKA_SSL_KEY_PASSWORD"] == "pw-2"
