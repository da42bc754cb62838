"""The embedded broker is refused where it is too small, and its losses end what relies on it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker
from catena_core.errors import CatenaError, UsageError
from catena_core.topics import check_whole
from links.monitor import Monitor
from tests.helpers.topics import overfill
from tests.helpers.waiting import eventually
from topology import topics
from topology.runner.embedded_limits import MOST_OFFERINGS, TruncationWatch, check_count, count_listed
from topology.runner.up import Runner


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(topics.SPECS) as embedded:
        yield embedded


@pytest.fixture
def large_ledger() -> Iterator[str]:
    """Run a booth that lists more than the embedded broker holds."""

    class Booth(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"addresses": [f"0x{number}" for number in range(MOST_OFFERINGS + 1)]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Booth) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()


def test_check_count_of_more_than_fit_names_apache_kafka() -> None:
    with pytest.raises(UsageError, match=r"10001.*Apache Kafka.*-k HOST:PORT"):
        check_count(MOST_OFFERINGS + 1)


def test_check_count_warns_from_four_fifths_on() -> None:
    assert check_count(MOST_OFFERINGS * 8 // 10 - 1) == ""
    assert "Apache Kafka" in check_count(MOST_OFFERINGS * 8 // 10)
    assert "Apache Kafka" in check_count(MOST_OFFERINGS)


def test_count_listed_of_a_silent_ledger_is_nothing() -> None:
    assert count_listed("http://127.0.0.1:9/api") == 0


def test_runner_with_too_many_sandbox_offerings_refuses_to_start() -> None:
    environment = {**os.environ, "SANDBOX_OFFERINGS": str(MOST_OFFERINGS + 1), "OPERATOR_PROVIDED": "0"}
    with pytest.raises(UsageError, match="Apache Kafka"):
        Runner(None, {}, environment=environment).run()


def test_runner_with_a_ledger_that_lists_too_many_refuses_to_start(large_ledger: str) -> None:
    assert count_listed(large_ledger) == MOST_OFFERINGS + 1
    with pytest.raises(UsageError, match="Apache Kafka"):
        Runner(None, {}, environment={**os.environ, "DLT_BASE_URL": large_ledger}).run()


@pytest.mark.parametrize("topic", [topics.ADDRESSES, topics.OFFERINGS, topics.PLACEMENTS])
def test_watch_of_a_broker_that_drops_messages_of_a_compacted_topic_reports_it(
    broker: EmbeddedBroker, topic: str
) -> None:
    losses: list[CatenaError] = []
    watch = TruncationWatch(broker.endpoint, losses.append)
    overfill(broker.endpoint, topic, partition=5)
    eventually(lambda: losses)
    watch.close()
    assert topic in str(losses[0])
    assert "Apache Kafka" in str(losses[0])


@pytest.mark.parametrize("topic", [topics.DEAD_LETTERS, topics.RING, topics.INSPECTIONS])
def test_watch_lets_topics_that_are_written_again_and_again_lose_their_beginning(
    broker: EmbeddedBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topology.runner.embedded_limits._CHECK_EVERY", 0.01)
    checks: list[object] = []
    monkeypatch.setattr(
        "topology.runner.embedded_limits.check_whole", lambda *given: checks.append(check_whole(*given))
    )
    overfill(broker.endpoint, topic)
    losses: list[CatenaError] = []
    watch = TruncationWatch(broker.endpoint, losses.append)
    eventually(lambda: len(checks) >= 3)
    watch.close()
    assert losses == []


def test_link_on_a_broker_that_has_dropped_offerings_ends_with_the_reason(broker: EmbeddedBroker) -> None:
    overfill(broker.endpoint, topics.OFFERINGS)
    link = Monitor(kafka_endpoint=broker.endpoint, properties=CLIENT_PROPERTIES)
    with pytest.raises(CatenaError, match=r"dropped .* catena\.offerings.*Apache Kafka"):
        link.start(embedded=True)


def test_link_whose_broker_drops_offerings_while_it_runs_ends_with_the_reason(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topology.catalogue_link._CHECK_BROKER_EVERY", 0.1)
    link = Monitor(kafka_endpoint=broker.endpoint, properties=CLIENT_PROPERTIES)
    link.start(embedded=True)
    overfill(broker.endpoint, topics.OFFERINGS)
    assert link.join(120)
    assert "Apache Kafka" in str(link.failure)
