"""A full embedded broker ends `catena up` with the reason, and its own command says what it drops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.catena_up import ROOT, Up
from tests.helpers.topics import overfill
from topology import topics


def test_catena_up_whose_broker_drops_offerings_ends_and_names_apache_kafka(tmp_path: Path) -> None:
    up = Up(directory=tmp_path, SANDBOX_OFFERINGS="3")
    try:
        overfill(up.found(r"^broker: (\S+) \(embedded\)"), topics.OFFERINGS)
        assert up.process.wait(300) == 1
        assert "Start Apache Kafka" in up.output()
    finally:
        up.stop()


def test_embedded_broker_that_drops_messages_says_so() -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "catena_core.embedded", "--port", "0", "--topic", "words:2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[3].rstrip(";")
        overfill(address, "words")
        said = next(line for line in process.stdout if "WARNING" in line)
        assert "words has dropped" in said
        assert "Apache Kafka" in said
    finally:
        process.kill()
        process.wait()
