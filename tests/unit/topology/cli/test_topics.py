"""`catena topics` on the embedded broker: made, checked, sent to and read from, with errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from catena_core.embedded import EmbeddedBroker
from catena_core.topics import TopicSpec
from topology import topics
from topology.cli.main import main


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with EmbeddedBroker([*topics.SPECS, TopicSpec("lines", 1)]) as broker:
        yield broker.endpoint


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["topics", *arguments], input=stdin, env={"KAFKA_ENDPOINT": ""})


def values(topic: str, kafka: str, *options: str) -> list[object]:
    result = run("cat", topic, "-k", kafka, "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["value"] for line in result.output.splitlines()]


def test_send_of_lines_is_shown_by_cat_in_order(kafka: str) -> None:
    assert run("send", "lines", "--key", "k", "-k", kafka, stdin="one\ntwo\n").exit_code == 0
    assert run("send", "lines", '{"three": 3}', "--json", "-k", kafka).exit_code == 0

    assert values("lines", kafka) == ["one", "two", {"three": 3}]
    assert values("lines", kafka, "--last", "2") == ["two", {"three": 3}]
    assert values("lines", kafka, "--key", "k") == ["one", "two"]
    assert '0:2  -  {"three":3}' in run("cat", "lines", "-k", kafka).output


def test_last_messages_are_found_behind_the_marks_of_transactions(kafka: str) -> None:
    run("create", "marked", "-k", kafka)
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "marked", "log_level": 0})
    producer.init_transactions()
    for number in range(20):
        producer.begin_transaction()
        producer.produce("marked", str(number), partition=0)
        producer.commit_transaction()

    assert values("marked", kafka, "--last", "1") == ["19"]
    assert values("marked", kafka, "--last", "11") == [str(number) for number in range(9, 20)]
    assert len(values("marked", kafka, "--last", "500")) == 20


def test_send_without_a_key_to_a_topic_of_the_catalogue_is_refused_as_kafka_does(kafka: str) -> None:
    result = run("send", topics.RING, "junk", "-k", kafka)

    assert result.exit_code == 1
    assert f"{topics.RING} is compacted, so it takes no message without a key; name one with --key" in result.output
    assert values(topics.RING, kafka) == []
    assert run("send", topics.DEAD_LETTERS, "junk", "-k", kafka).exit_code == 0


def test_send_refuses_values_that_are_no_json(kafka: str) -> None:
    result = run("send", "lines", "{", "--json", "-k", kafka)

    assert (result.exit_code, "value 1 is no JSON" in result.output) == (1, True)


def test_cat_shows_no_control_characters(kafka: str) -> None:
    run("create", "odd", "-k", kafka)
    run("send", "odd", "a\x1b[2J", "--key", "\x07", "-k", kafka)

    shown = run("cat", "odd", "-k", kafka).output + run("cat", "odd", "-k", kafka, "--json").output
    assert not {"\x1b", "\x07"} & set(shown)


@pytest.mark.parametrize("command", ["cat", "send"])
def test_command_on_a_missing_topic_says_what_to_do(kafka: str, command: str) -> None:
    result = run(command, "nowhere", "-k", kafka, stdin="x\n")

    assert (result.exit_code, "there is no topic nowhere" in result.output) == (1, True)


def test_create_makes_what_is_missing_and_says_so(kafka: str) -> None:
    assert run("create", "fresh", "-k", kafka).output == "fresh made\n"
    assert run("create", "fresh", "-k", kafka).output == "fresh exists\n"
    assert "catena.ring exists" in run("create", "-k", kafka).output


def test_create_refuses_a_name_that_kafka_does_not_take(kafka: str) -> None:
    assert run("create", "a b", "-k", kafka).exit_code == 2


def test_check_takes_the_catalogues_own_topics(kafka: str) -> None:
    result = run("check", "--json", "-k", kafka)

    assert result.exit_code == 0
    assert {json.loads(line)["topic"] for line in result.output.splitlines()} == {spec.name for spec in topics.SPECS}


def test_check_of_too_few_partitions_fails() -> None:
    with EmbeddedBroker([TopicSpec(topics.OFFERINGS, 3)]) as broker:
        result = run("check", "-k", broker.endpoint)

    assert result.exit_code == 1
    assert "it has 3 partitions, not 12" in result.output
    assert f"missing  {topics.RING}" in result.output


def test_list_counts_messages(kafka: str) -> None:
    run("create", "counted", "-k", kafka)
    run("send", "counted", "-k", kafka, stdin="x\n" * 5)

    rows = [json.loads(line) for line in run("list", "--json", "-k", kafka).output.splitlines()]
    assert next(row for row in rows if row["topic"] == "counted")["messages"] == 5
    assert "counted" in run("list", "-k", kafka).output


@pytest.mark.parametrize("command", ["list", "create", "check", "cat x", "send x y"])
def test_command_without_kafka_says_how_to_name_it(command: str) -> None:
    result = run(*command.split())

    assert (result.exit_code, "-k HOST:PORT" in result.output) == (2, True)
