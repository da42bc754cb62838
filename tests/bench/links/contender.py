"""What is compared, and how it is run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench.links.environments import ROOT, environment, versions

_STOP_TIMEOUT = 10  # seconds


class SkippedError(Exception):
    """A contender that cannot run here, and why."""


class DiedError(Exception):
    """A contender that ended by itself, and its last words."""


@dataclass(frozen=True)
class Contender:
    """One program that forwards a topic.

    Attributes:
        name: What tables call it, and ``--only``.
        module: The program, in ``contenders``.
        most: The most messages it gets in a round, by their size: a slow one gets fewer, so that a round stays short.
        packages: Those whose versions the table tells.
        requirements: What its own environment holds; empty: it runs in the project's.
        options: Further arguments.
        tuned: Whether it takes ``--latency``.
        neighbour: Whether it is another library.
    """

    name: str
    module: str
    most: int
    packages: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tuned: bool = True
    neighbour: bool = False

    @cached_property
    def python(self) -> Path:
        """The Python that runs it.

        Raises:
            NotInstallableError: Its requirements do not install on this one.
        """
        return environment(self.name, self.requirements) if self.requirements else Path(sys.executable)

    def prepare(self) -> str:
        """Make sure that it can run.

        Returns:
            The versions of its packages.

        Raises:
            NotInstallableError: Its requirements do not install on this Python.
            SkippedError: It lacks an option that it is to be run with.
        """
        told = versions(self.python, self.packages)
        if self.options:
            shown = subprocess.run(
                [*self._program(), "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
            ).stdout
            if missing := [option for option in self.options if option.startswith("--") and option not in shown]:
                raise SkippedError(f"this link has no option {', '.join(missing)}")
        return told

    @contextmanager
    def running(self, endpoint: str, source: str, target: str, group: str, latency: bool = False) -> Iterator[Running]:
        """Run it for the length of a block."""
        command = [*self._program(), "-k", endpoint, "-i", source, "-o", target, "-g", group, *self.options]
        if latency and self.tuned:
            command.append("--latency")
        with tempfile.TemporaryDirectory(prefix="bench-links-") as folder, Path(folder, "log").open("w+") as log:
            environment_variables = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment_variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Running(process, Path(folder, "log"))
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _program(self) -> list[str]:
        return [str(self.python), "-m", f"tests.bench.links.contenders.{self.module}"]


@dataclass(frozen=True)
class Running:
    """The process of a contender.

    Attributes:
        process: The process.
        log: What it printed.
    """

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            DiedError: It does not.
        """
        if self.process.poll() is not None:
            last = " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])
            raise DiedError(f"ended with status {self.process.returncode}: {last[:400]}")

    def cpu_seconds(self) -> float:
        """Return the processor seconds that it has used so far, all threads, in user and system mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Its memory by now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_CLIENT = ("confluent-kafka", "msgspec")

RAW = Contender("raw", "raw", 600_000, _CLIENT)
LINK = Contender("link", "link", 600_000, ("catena-links", *_CLIENT), tuned=False)
EXACTLY_ONCE = Contender(
    "link-exactly-once",
    "link",
    600_000,
    ("catena-links", *_CLIENT),
    options=("--delivery", "exactly_once"),
    tuned=False,
)
CONTENDERS = (
    RAW,
    LINK,
    Contender("link-marked", "link_marked", 600_000, ("catena-links", *_CLIENT), tuned=False),
    Contender("raw-transactional", "raw_transactional", 600_000, _CLIENT),
    EXACTLY_ONCE,
    Contender(
        "quix",
        "quix_streams",
        200_000,
        ("quixstreams", "confluent-kafka", "orjson"),
        requirements=("quixstreams==3.28.1",),
        neighbour=True,
    ),
    Contender(
        "faststream",
        "fast_stream",
        100_000,
        ("faststream", "confluent-kafka", "orjson", "uvloop"),
        requirements=("faststream[confluent]==0.7.8", "confluent-kafka==2.16.1", "orjson==3.13.0", "uvloop==0.23.0"),
        neighbour=True,
    ),
    Contender(
        "faust",
        "faust_agent",
        30_000,
        ("faust-streaming", "aiokafka", "orjson", "uvloop"),
        requirements=("faust-streaming[fast,uvloop]==0.15.3", "aiokafka==0.14.0", "cramjam==2.14.0", "uvloop==0.23.0"),
        neighbour=True,
    ),
)
