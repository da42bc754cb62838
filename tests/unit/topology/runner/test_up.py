"""`catena up` and the processes that it starts."""

from __future__ import annotations

import errno
import io
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from catena_core.errors import CatenaError, UsageError
from tests.helpers.odd_server import closed_port
from topology.runner import up
from topology.runner.failing import FILE, read_failing
from topology.runner.managed_process import ManagedProcess
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


@pytest.mark.parametrize(
    "name", ["JSONLD_CONTEXTS", "NODE_CREDENTIALS", "GATEWAY_API_KEYS_FILE", "REDIS_PASSWORD_FILE", "REDIS_CA_FILE"]
)
def test_run_with_a_missing_file_starts_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.made = []
    monkeypatch.setattr(up, "ManagedProcess", Recorded)
    environment = {name: "missing.json", "REDIS_HOST": "redis", "REDIS_TLS": "1", "HOST_PORT": "0"}
    with pytest.raises(UsageError, match=f'{name}="?missing.json'):
        Runner(None, {}, environment=environment).run()
    assert not Recorded.made


@pytest.mark.parametrize("name", ["HOST_PORT", "GATEWAY_ADMIN_PORT", "METRICS_PORT"])
def test_run_with_a_taken_port_starts_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.made = []
    monkeypatch.setattr(up, "ManagedProcess", Recorded)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match=f"another with {name}"):
        environment = {"HOST_ADDRESS": "127.0.0.1", "HOST_PORT": "0", name: str(taken.getsockname()[1])}
        Runner(None, {}, environment=environment).run()
    assert not Recorded.made


def test_run_with_a_port_past_the_last_one_says_so() -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 127\.0\.0\.1:65536"):
        Runner(None, {"gateway": 2}, environment={"HOST_ADDRESS": "127.0.0.1", "HOST_PORT": "65535"}).run()


@pytest.mark.parametrize("port", ["x", "-1", "1.5"])
def test_run_with_a_metrics_port_that_is_none_names_the_variable(port: str) -> None:
    with pytest.raises(UsageError, match=f"METRICS_PORT is a port from 0 to 65535, not '{port}'"):
        Runner(None, {}, environment={"HOST_PORT": "0", "METRICS_PORT": port}).run()


def test_run_with_a_kafka_that_refuses_the_connection_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.made = []
    monkeypatch.setattr(up, "ManagedProcess", Recorded)
    with pytest.raises(CatenaError, match=r"no Kafka broker answers at .*Connection refused"):
        Runner(f"127.0.0.1:{closed_port()}", {}, environment={"HOST_PORT": "0", "DLT_BASE_URL": "http://a"}).run()
    assert not Recorded.made


def test_each_link_gets_a_metrics_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.made = []
    monkeypatch.setattr(up, "ManagedProcess", Recorded)
    runner = Runner(
        "kafka:9092", {"fetcher": 2}, environment={"METRICS_PORT": "0", "HOST_PORT": "0", "DLT_BASE_URL": "http://a"}
    )
    runner._check_settings()
    runner._start_links("kafka:9092", {})

    ports = [process.environment["METRICS_PORT"] for process in Recorded.made]
    assert len(set(ports)) == len(LINKS) + 1 and "0" not in ports


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError(errno.EPIPE, "Broken pipe")]
)
def test_output_that_cannot_be_written_stops_everything(error: OSError) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise error

    runner = Runner("kafka:9092", {}, environment={})
    runner._console.file = Full()
    runner._on_line("writer", "WARNING disk full")  # by the thread that follows a process

    assert runner._stop.is_set()
    assert isinstance(runner._failure, OSError) and runner._failure.errno == error.errno


def test_failing_processes_are_written_for_the_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner("kafka:9092", {}, environment={FILE: str(tmp_path / "failing.json")})
    monkeypatch.setenv(FILE, runner._environment[FILE])
    assert read_failing() == {}

    process = ManagedProcess("writer", "none", [], {}, lambda *_: None)
    process._deaths, process._last_death, process._started = 3, "status 1", time.monotonic()
    runner._links = [process]
    runner._tell_failing()
    assert read_failing() == {"writer": "died 3 times in a row, the last time with status 1"}

    process._deaths = 0
    runner._tell_failing()
    assert read_failing() == {}


def test_signal_while_a_line_is_written_ends_the_start() -> None:
    runner = Runner(None, {}, environment={})

    class Interrupted(io.StringIO):
        def write(self, _text: str) -> int:
            runner._on_signal(signal.SIGINT, None)
            return 0

    runner._console.file = Interrupted()
    with pytest.raises(SystemExit) as ended:
        runner._say("6 links started")
    assert ended.value.code == 130
    assert runner._failure is None


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signal_during_the_start_ends_it(number: signal.Signals, status: int) -> None:
    runner = Runner(None, {}, environment={})
    with pytest.raises(SystemExit) as ended:
        runner._on_signal(number, None)
    assert ended.value.code == status
    runner._on_signal(number, None)  # it is ending already
