"""Runs targets, each in a process of its own, and gathers their findings."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_GRACE = 150.0


@dataclass(slots=True)
class Outcome:
    """The outcome of fuzzing one target.

    Attributes:
        target: Its name.
        inputs: The number of inputs; unknown (0) if the process died.
        findings: The findings in words, with the inputs that led to them.
    """

    target: str
    inputs: int = 0
    findings: list[tuple[str, bytes]] = field(default_factory=list)


def fuzz(target: str, seed: int, *, inputs: int | None = None, seconds: float = 60, guided: bool = False) -> Outcome:
    """Fuzz one target.

    Args:
        target: Its name.
        seed: Seed of the inputs.
        inputs: How many inputs; ``None``: as many as there is time for.
        seconds: How long at most.
        guided: Whether atheris chooses inputs by coverage; it must be installed.
    """
    outcome = Outcome(target)
    with tempfile.TemporaryDirectory() as folder:
        under_way = Path(folder, "input")
        command = [sys.executable, "-m", "tests.fuzz.child", target, "--seed", str(seed), "--seconds", str(seconds)]
        command += ["--under-way", str(under_way)]
        command += [] if inputs is None else ["--inputs", str(inputs)]
        command += ["--guided"] if guided else []
        try:
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds + _GRACE)
            said, status = ended.stdout, f"status {ended.returncode}: {ended.stderr[-2000:].decode(errors='replace')}"
        except subprocess.TimeoutExpired:
            said, status = b"", f"no end within {seconds + _GRACE:.0f} s"
        report = next((line for line in reversed(said.splitlines()) if line.startswith(b'{"inputs"')), None)
        if report is None:
            data = under_way.read_bytes() if under_way.exists() else b""
            outcome.findings.append((f"the process ends with {status}", data))
            return outcome
    found = json.loads(report)
    outcome.inputs = found["inputs"]
    outcome.findings = [(f"{one['finding']}\n{one['said']}", bytes.fromhex(one["input"])) for one in found["findings"]]
    return outcome
