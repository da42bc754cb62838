"""The profile ``kafka-cluster``: three brokers, of which each may go."""

from __future__ import annotations

from functools import partial

from tests.compose.project import Project, is_whole
from tests.compose.reader import Reader

_BROKERS = ("kafka", "kafka-2", "kafka-3")


def check() -> None:
    """Start it as the head of ``docker-compose.yml`` says, and take one broker after the other away.

    Raises:
        SystemExit: A step did not end well, or an answer that said it was complete was not.
    """
    project = Project(
        COMPOSE_PROFILES="kafka-cluster",
        KAFKA_ENDPOINT="kafka:9092,kafka-2:9092,kafka-3:9092",
        KAFKA_VOTERS="1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093",
        KAFKA_REPLICAS="3",
        KAFKA_IN_SYNC="2",
        GATEWAY_VIEW_DIRECTORY="/data/view",
    )
    try:
        project.step("three brokers: from nothing to all offerings on two nodes", project.up, is_whole)
        with Reader() as reader:
            for broker in _BROKERS:
                project.step(f"{broker} stopped, and a writer killed", partial(_lose, project, broker), is_whole)
                project.step(f"{broker} started", partial(project.compose, "start", broker), is_whole)
            project.step("kill -9 in gateway, whose view is on disk", partial(project.kill, "gateway"), is_whole)
        print(f"{reader.answers} complete answers meanwhile, {len(reader.wrong)} of them wrong: {reader.wrong[:5]}")
        if reader.wrong:
            raise SystemExit("an answer that said that it was complete was not")
    finally:
        project.down()


def _lose(project: Project, broker: str) -> None:
    project.compose("stop", broker)
    project.kill("writer")
