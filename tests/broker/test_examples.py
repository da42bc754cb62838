"""The examples as their READMEs run them: each link a process of its own, on either broker."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from catena_core.kafka.watermarks import watermarks
from tests.helpers.consumer_loop import committed
from tests.helpers.waiting import eventually
from tests.servers.process import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


# What a terminal does with a line, without a shell that would outlive its program or be outlived by it.
_SHELL = "import os, sys; os.execvp('bash', ['bash', '-c', sys.argv[1].replace('&& ', '&& exec env ')])"


class Program:
    """A process that runs a file of the examples, or a module, and what it printed."""

    def __init__(self, *arguments, **variables):
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def found(self, pattern):
        """Wait for a pattern in what it prints, and return the first match."""
        return eventually(
            lambda: next((match for line in list(self.lines) if (match := re.search(pattern, line))), None),
            message=lambda: f"no {pattern!r} in:\n" + "\n".join(self.lines[-30:]),
        )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ask it to end once it runs, as Ctrl-C does; it must do so cleanly."""
        self.found("running as|embedded broker on|Ctrl-C")
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(120) == 0, "\n".join(self.lines[-30:])
        self._reader.join(120)


@pytest.fixture
def start(broker):
    """Start links of the examples on the broker, and kill those that still run in the end."""
    with contextlib.ExitStack() as stack:
        properties = [item for name, value in broker.properties.items() for item in ("-X", f"{name}={value}")]

        def run(program, *arguments, **variables):
            on_kafka = ["-k", broker.endpoint, *properties]
            started = Program(f"examples/{program}.py", *on_kafka, *arguments, **variables)
            stack.callback(started.kill)
            return started

        yield run


def everything(broker, topic):
    """Every message that a topic holds now; what is written meanwhile may be there, too."""
    consumer = Consumer({"bootstrap.servers": broker.endpoint, "group.id": "reader", "enable.partition.eof": True})
    partitions = set(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
    ends = {number: watermarks(consumer, topic, number, 10)[1] for number in partitions}
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    messages, deadline = [], time.monotonic() + 120
    try:
        while partitions:
            assert time.monotonic() < deadline, f"{topic} has no end"
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    messages.append(message)
                    if message.offset() + 1 >= ends[message.partition()]:
                        partitions.discard(message.partition())
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    partitions.discard(message.partition())
    finally:
        consumer.close()
    return messages


class WordCount:
    """The topics of a word count, and what can be read from them."""

    def __init__(self, broker, start):
        self._broker, self._start = broker, start
        self.sentences, self.words = broker.topic("sentences"), broker.topic("words")
        self.counts = broker.topic("counts", compacted=True)
        self._mappers, self._reducers = broker.group("mappers"), broker.group("reducers")

    def streamer(self, speed):
        return self._start("wordcount/streamer", "-o", self.sentences, SENTENCES_PER_SECOND=str(speed))

    def mapper(self):
        return self._start("wordcount/mapper", "-i", self.sentences, "-o", self.words, "-g", self._mappers)

    def reducer(self, *arguments):
        return self._start("wordcount/reducer", "-i", self.words, "-o", self.counts, "-g", self._reducers, *arguments)

    def printer(self):
        return self._start("wordcount/printer", "-i", self.counts, PRINT_INTERVAL="0.5")

    def produced(self):
        """How often each word stands in the sentences."""
        text = " ".join(message.value().decode() for message in everything(self._broker, self.sentences))
        return Counter(re.findall("[a-z]+", text.lower()))

    def counted(self):
        """How often each word was counted."""
        rows = {message.key().decode(): message for message in everything(self._broker, self.counts)}
        return Counter({word: json.loads(message.value())["count"] for word, message in rows.items()})

    def reached(self, total):
        """Wait until so many words were counted in all."""
        eventually(lambda: self.counted().total() >= total, message=lambda: f"{self.counted().total()} of {total}")

    def finish(self, mappers, reducers):
        """Stop all of its links, the reducers when they have read all words; what is counted twice is so by then."""
        for mapper in mappers:
            mapper.stop()
        words = sum(message.offset() + 1 for message in self._last_words())
        eventually(lambda: sum(committed(self._broker, self._reducers, self.words, 4)) == words)
        for reducer in reducers:
            reducer.stop()

    def _last_words(self):
        return {message.partition(): message for message in everything(self._broker, self.words)}.values()


def test_counts_are_exact_though_a_mapper_is_killed(broker, start):
    count = WordCount(broker, start)
    mappers, reducers = [count.mapper() for _ in range(4)], [count.reducer() for _ in range(2)]
    streamer = count.streamer(400)
    count.reached(1000)
    mappers[1].kill()
    count.reached(5000)
    streamer.stop()
    produced = count.produced()
    count.reached(produced.total())
    count.finish([mapper for mapper in mappers if mapper is not mappers[1]], reducers)

    assert count.counted() == produced
    assert len({message.partition() for message in everything(broker, count.sentences)}) == 4


def test_counts_are_exact_though_reducers_are_killed_added_and_all_stopped(broker, start):
    count = WordCount(broker, start)
    mapper, reducers = count.mapper(), [count.reducer() for _ in range(2)]
    streamer = count.streamer(300)
    count.reached(1000)
    reducers[0].kill()
    reducers.append(count.reducer())
    count.reached(count.counted().total() + 1500)
    for reducer in reducers[1:]:
        reducer.stop()
    streamer.stop()
    produced = count.produced()
    last = count.reducer()
    count.reached(produced.total())
    count.finish([mapper], [last])

    assert count.counted() == produced
    printer = count.printer()
    shown = printer.found(r"the (\d+), ")
    assert int(shown.group(1)) == produced["the"]
    printer.stop()


@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
def test_a_reducer_that_was_frozen_and_wakes_spoils_no_count_with_transactions(broker, start):
    count = WordCount(broker, start)
    mapper = count.mapper()
    once = ["--delivery", "exactly_once", "-X", "session.timeout.ms=6000", "-X", "transaction.timeout.ms=5000"]
    reducers = [count.reducer(*once, "--instance-id", name) for name in ("one", "other")]
    streamer = count.streamer(400)
    count.reached(2000)
    os.kill(reducers[0].process.pid, signal.SIGSTOP)
    streamed = count.produced().total()
    count.reached(streamed + 1000)  # so the other one has taken its words over
    os.kill(reducers[0].process.pid, signal.SIGCONT)
    count.reached(count.counted().total() + 2000)
    streamer.stop()
    produced = count.produced()
    count.reached(produced.total())
    frozen, other = reducers
    if frozen.process.poll() is not None:  # it woke in a transaction that Kafka had given up: it must be started again
        assert frozen.process.returncode == 1
        frozen.found("fenced")
    count.finish([mapper], [other])

    assert count.counted() == produced


def test_lines_are_sorted_and_those_that_cannot_be_read_are_set_aside(broker, start):
    lines, matches, rest = broker.topic("lines"), broker.topic("matches"), broker.topic("rest")
    group = broker.group("Filter")
    dead = f"{group}.dead-letters"
    made = Program("examples/create_topics.py", "-k", broker.endpoint, f"{dead}:4")
    assert made.process.wait(120) == 0, made.lines
    source = start("filter/lines", "-o", lines, LINES_PER_SECOND="200")
    filters = [
        start("filter/filter", "-i", lines, "-o", f"{matches},{rest}", "-g", group, PATTERN="mail|cart")
        for _ in range(2)
    ]
    show = start("filter/show", "-i", f"{matches},{rest}", "-g", broker.group("Show"))
    show.found(f"^{matches}")
    show.found(f"^{rest}")
    eventually(lambda: len(everything(broker, matches)) > 200)
    source.stop()
    sent = everything(broker, lines)
    broken = [message.value() for message in sent if b"\xff" in message.value()]
    right = [message for message in sent if b"\xff" not in message.value()]

    def arrived():
        return [everything(broker, topic) for topic in (matches, rest, dead)]

    eventually(lambda: sum(map(len, arrived())) >= len(sent))
    in_matches, in_rest, in_dead = arrived()
    chosen = {message.value() for message in right if re.search(b"mail|cart", message.value())}
    assert {message.value() for message in in_matches} == chosen
    assert {message.value() for message in in_rest} == {message.value() for message in right} - chosen
    assert [message.value() for message in in_dead] == broken
    assert {dict(message.headers())["error"] for message in in_dead} == {b"this is not a line of text"}
    for program in (*filters, show):
        program.stop()


def test_the_station_is_followed_on_the_stand_in(broker, start):
    positions, speeds = broker.topic("positions", partitions=1), broker.topic("speeds", partitions=1)
    stand_in = Program("examples/iss/stand_in.py", "--port", "0")
    try:
        url = stand_in.found("stand-in on (.*)").group(1)
        source = start("iss/source", "-o", positions, ISS_URL=url, ISS_INTERVAL="1")
        speed = start("iss/speed", "-i", positions, "-o", speeds, "-g", broker.group("Speed"))
        printer = start("iss/printer", "-i", speeds, "-g", broker.group("Printer"))
        shown = printer.found(r"UTC +(-?[\d.]+)° +(-?[\d.]+)°  (north|south)-(east|west)  ([\d.]+) km/s")
        assert 6.7 < float(shown.group(5)) < 7.1
        assert shown.group(3) == ("south" if shown.group(1).startswith("-") else "north")
        for program in (source, speed, printer):
            program.stop()
    finally:
        stand_in.kill()


# On nothing but Python


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ("filter", r"^matches .*(WARNING|ERROR)"),
        ("wordcount", r"^the \d+, "),
        ("iss", r"UTC .* km/s over ground"),
    ],
)
def test_what_the_readme_says_to_do_by_hand_works_as_it_stands(example, line):
    text = (EXAMPLES / example / "README.md").read_text().partition("**By hand**")[2]
    commands = re.search(r"```sh\n(.*?)```", text, re.DOTALL).group(1)
    for port in ("9092", "8080"):
        commands = commands.replace(port, str(free_port()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with contextlib.ExitStack() as stack:
        for command in commands.splitlines():
            program = Program("-c", _SHELL, command, PATH=path, ISS_INTERVAL="1", PRINT_INTERVAL="1")
            stack.callback(program.kill)
            if "embedded" in command or "stand_in" in command:
                program.found("^(embedded broker|stand-in) on")
            elif "create_topics" in command:
                assert program.process.wait(120) == 0, program.lines
        program.found(line)


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ("filter", r"show +matches .*(WARNING|ERROR)"),
        ("wordcount", r"printer +the \d+"),
        ("iss", r"printer .*km/s over ground"),
    ],
)
def test_an_example_is_tried_with_one_command(example, line):
    tried = Program("examples/try.py", example, ISS_INTERVAL="1", PRINT_INTERVAL="1")
    try:
        tried.found(line)
        tried.stop()
    finally:
        tried.kill()
    assert not [shown for shown in tried.lines if "Traceback" in shown or "died" in shown]


def test_the_embedded_broker_runs_by_itself_and_programs_meet_on_its_port():
    port = free_port()
    broker = Program("-m", "catena_core.embedded", "--port", str(port), "--topic", "made:3")
    try:
        broker.found(f"embedded broker on localhost:{port}")
        endpoint = f"localhost:{port}"
        made = Program("examples/create_topics.py", "-k", endpoint, "sentences:4", "counts:4:compacted")
        assert made.process.wait(120) == 0, made.lines
        found = AdminClient({"bootstrap.servers": endpoint}).list_topics(timeout=60).topics
        assert {name: len(topic.partitions) for name, topic in found.items()} == {
            "made": 3,
            "sentences": 4,
            "counts": 4,
        }
        broker.stop()
    finally:
        broker.kill()
