"""`catena up` on the command line: mistakes in its options are told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from topology.cli import up
from topology.cli.main import main
from topology.runner.up import LINKS

pytestmark = pytest.mark.usefixtures("own_folder")


class Recorded:
    """A runner that only notes what it should run."""

    asked: list[tuple[object, ...]]
    is_clean = True

    def __init__(self, *arguments: object) -> None:
        self.asked.append(arguments)

    def run(self) -> bool:
        return self.is_clean


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Start nothing; give what would have been started."""
    Recorded.asked = []
    monkeypatch.setattr(up, "Runner", Recorded)
    monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)
    return Recorded.asked


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("--scale writer", 2, "'writer' should be LINK=N"),
        ("--scale writer=0", 2, "'writer=0' should be LINK=N"),
        ("--scale writer=101", 2, "'writer=101' should be LINK=N"),
        ("--scale writer=two", 2, "'writer=two' should be LINK=N"),
        ("--scale writer=-1", 2, "'writer=-1' should be LINK=N"),
        ("--scale nothing=2", 2, "LINK one of monitor, address_generator"),
        ("-X linger.msec=5", 1, "linger.ms"),
        ("-X linger.ms", 1, "linger.ms"),
        ("-k kafka:99999", 1, "99999"),
        ("-X security.protocol=ssl", 1, "the embedded broker knows neither TLS nor passwords"),
    ],
)
def test_mistake_in_an_option_starts_nothing(
    asked: list[tuple[object, ...]], arguments: str, status: int, said: str
) -> None:
    result = CliRunner().invoke(main, ["up", *arguments.split()])

    assert (result.exit_code, said in result.output) == (status, True), result.output
    assert asked == []


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_tls_without_a_kafka_of_ones_own_starts_nothing(
    asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == ".env":
        Path(place).write_text("KAFKA_SECURITY_PROTOCOL=SSL\n")
    else:
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")

    result = CliRunner().invoke(main, ["up"])
    assert (result.exit_code, "name your Kafka with -k" in result.output, asked) == (1, True, [])
    assert CliRunner().invoke(main, ["up", "-k", "kafka:9093"]).exit_code == 0


def test_options_reach_the_runner(asked: list[tuple[object, ...]]) -> None:
    given = "up -k kafka:9092 --scale writer=2 --scale fetcher=100 --scale writer=3 -X linger.ms=5 -v"

    assert CliRunner().invoke(main, given.split()).exit_code == 0
    assert asked == [("kafka:9092", {"writer": 3, "fetcher": 100}, {"linger.ms": "5"}, True)]
    assert {"writer", "fetcher"} <= set(LINKS)


@pytest.mark.parametrize(("is_clean", "status"), [(True, 0), (False, 1)])
def test_status_tells_whether_all_ended_well(monkeypatch: pytest.MonkeyPatch, is_clean: bool, status: int) -> None:
    monkeypatch.setattr(Recorded, "is_clean", is_clean)

    assert CliRunner().invoke(main, ["up"]).exit_code == status
