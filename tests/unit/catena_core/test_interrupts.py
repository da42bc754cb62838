import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catena_core.interrupts import STATUS

INTERRUPT = "import os, signal, time; print('here', flush=True); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
QUIET = {
    "while the program imports": "import catena_core\nimport imported",
    "between two imports": f"import catena_core\n{INTERRUPT}",
    "while a link reads its command line": (
        "import catena_core\n"
        "class Arguments:\n"
        f"    def __iter__(self): {INTERRUPT}\n"
        "catena_core.Link().start(arguments=Arguments())"
    ),
}


@pytest.mark.parametrize("program", QUIET.values(), ids=list(QUIET))
def test_interrupt_while_starting_ends_without_traceback(program, tmp_path):
    (tmp_path / "imported.py").write_text(INTERRUPT)
    ended = _run(program, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (STATUS, "here\n", "")


def test_interrupt_in_a_function_of_the_program_shows_where(tmp_path):
    ended = _run(f"import catena_core\ndef work(): {INTERRUPT}\nwork()", tmp_path)
    assert ended.returncode == -signal.SIGINT and "in work" in ended.stderr


LIBRARY_CALL = """
import ctypes, threading
from catena_core.interrupts import ending_soon
lock = ctypes.CDLL(None).pthread_mutex_lock  # it waits on after a signal, as calls of Kafka's client do
mutex = (ctypes.c_char * 64)()
lock(mutex)
with ending_soon():
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    print("here", flush=True)
    lock(mutex)
"""


def test_interrupt_within_a_call_of_a_library_ends_the_program(tmp_path):
    ended = _run(f"import os, signal{LIBRARY_CALL}", tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (STATUS, "here\n", "")


def test_interrupt_elsewhere_may_be_caught_and_the_handler_before_comes_back(tmp_path):
    program = (
        "import signal\nfrom catena_core.interrupts import ending_soon\nbefore = signal.getsignal(signal.SIGINT)\n"
        "for _ in range(2):\n"
        "    try:\n"
        f"        with ending_soon(): {INTERRUPT}\n"
        "    except KeyboardInterrupt: time.sleep(1)\n"
        "print(signal.getsignal(signal.SIGINT) is before)"
    )
    assert _run(program, tmp_path).stdout == "here\nhere\nTrue\n"


def test_hook_of_the_program_stays(tmp_path):
    program = f"import sys\nsys.excepthook = lambda *_: print('mine')\nimport catena_core\n{INTERRUPT}"
    assert _run(program, tmp_path).stdout == "here\nmine\n"


def _run(program, folder):
    (folder / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, folder / "program.py"], env=environment, capture_output=True, text=True, timeout=300
    )
