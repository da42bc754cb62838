"""A process of the runner: it becomes the module, and ends when the runner dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

MODULE = """
import os, sys, time
print(__name__, sys.argv[1:], os.getpid(), flush=True)
if sys.argv[1:] == ["wait"]:
    time.sleep(600)
"""
RUNNER = """
import os, subprocess, sys
child = [sys.executable, "-m", "topology.runner.child", str(os.getpid()), "a_module", "wait"]
subprocess.run(child)
"""


def environment(folder: Path) -> dict[str, str]:
    (folder / "a_module.py").write_text(MODULE)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


def test_child_becomes_the_module_with_its_arguments(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "topology.runner.child", str(os.getpid()), "a_module", "-k", "kafka:9092", ""]

    said = subprocess.check_output(command, env=environment(tmp_path), text=True)

    assert said.startswith("__main__ ['-k', 'kafka:9092', ''] ")


def test_child_whose_runner_has_died_does_not_start(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    command = [sys.executable, "-m", "topology.runner.child", str(dead.pid), "a_module"]

    result = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout) == (1, "")
    assert "the runner died" in result.stderr


def test_child_ends_when_its_runner_is_killed(tmp_path: Path) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert runner.stdout.readline().startswith("__main__ ['wait']")

    os.kill(runner.pid, signal.SIGKILL)

    assert runner.stdout.read() == "", "the pipe is closed once the child has ended too"
    runner.wait()
    runner.stdout.close()
