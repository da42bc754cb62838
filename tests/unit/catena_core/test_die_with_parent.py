"""A process ends when its parent dies, even if the parent was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import eventually

CHILD = """
import os, sys, time
from catena_core.die_with_parent import die_with_parent
die_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(60)
"""


def has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"  # a zombie


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not has_ended(child)

    parent.kill()
    parent.wait()

    eventually(lambda: has_ended(child))
    parent.stdout.close()


def test_a_process_whose_parent_has_died_already_does_not_start() -> None:
    started = subprocess.run([sys.executable, "-c", CHILD, "1000000000"], capture_output=True, text=True)

    assert (started.returncode, started.stdout) == (1, "")
    assert "the parent died" in started.stderr
