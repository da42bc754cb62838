"""The files of the library that one electron runs through, so that its path stays short enough to be read."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

import catena_core
from catena_core import Electron, Link
from catena_core.embedded import CLIENT_PROPERTIES, EmbeddedBroker

ROOT = Path(catena_core.__file__).parent
# Four of them go by the clock, whether there are electrons or not: lag, starting_points, topic_ids and statistics.
MOST_FILES = 16

# The watchdog's own thread looks at the loop from outside, once a second, whether there are electrons or not.
BESIDE = {"watchdog"}


class Recorder:
    """Records the files of the library whose functions are called, in all threads that start after it."""

    def __init__(self):
        self.files = set()
        self.records = False

    def __call__(self, frame, event, _argument):
        if self.records and event == "call" and threading.current_thread().name not in BESIDE:
            self.files.add(frame.f_code.co_filename)

    @property
    def modules(self):
        return sorted(str(Path(name).relative_to(ROOT)) for name in self.files if Path(name).is_relative_to(ROOT))


@pytest.fixture
def recorder():
    recorder, before = Recorder(), threading._profile_hook
    threading.setprofile(recorder)
    yield recorder
    threading.setprofile(before)


class Copy(Link):
    """Copies what it reads."""

    def transform(self, electron):
        return Electron(electron.key, electron.value)


def until(condition, timeout=120.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def test_an_electron_runs_through_few_files(recorder):
    with EmbeddedBroker() as broker:
        for topic in ("in", "out"):
            broker.create_topic(topic, 1)
        producer = Producer({"bootstrap.servers": broker.endpoint, "log_level": 0})
        copy = Copy(
            kafka_endpoint=broker.endpoint,
            input_topics="in",
            output_topics="out",
            num_rpc_threads=0,
            properties=CLIENT_PROPERTIES,
        )
        copy.start(embedded=True)
        assert copy.wait_until_ready(120)
        runtime: Any = copy._catena.runtime
        metrics = runtime._metrics

        def commits():
            return metrics.registry.get_sample_value("catena_commits_total") or 0

        def send_one():
            """Send one electron, and wait until its output has arrived and its offset is committed."""
            before = commits()
            producer.produce("in", b"value", b"key")
            assert producer.flush(10) == 0
            until(lambda: commits() > before)

        send_one()
        recorder.records = True
        send_one()
        recorder.records = False
        copy.stop()
        assert copy.join(120) and copy.failure is None
    assert "transforming/transformer.py" in recorder.modules, "nothing was recorded"
    assert not {"link.py", "lifecycle.py", "runtime.py"} & set(recorder.modules), "an electron calls back up"
    assert len(recorder.modules) <= MOST_FILES, "\n".join(["one electron runs through:", *recorder.modules])
