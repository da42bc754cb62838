"""A process learns that its parent is dead."""

import os
import signal
import subprocess
import sys
import threading

from catena_core.die_with_parent import on_parent_death

CHILD = """
import os, threading
from catena_core.die_with_parent import on_parent_death

gone = threading.Event()
on_parent_death(gone.set, interval=0.05)
os.write(1, b"running\\n")
gone.wait(300)
os.write(1, b"alone\\n" if gone.is_set() else b"not told\\n")
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_a_call_is_made_when_the_parent_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "running\n"
    os.kill(parent.pid, signal.SIGKILL)
    assert parent.wait(120) == -signal.SIGKILL
    assert parent.stdout.readline() == "alone\n"
    parent.stdout.close()


def test_a_call_is_made_at_once_when_the_parent_is_dead_already():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = threading.Event()
    on_parent_death(gone.set, interval=600, parent=dead.pid).join(120)
    assert gone.is_set()
