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


def test_hook_of_the_program_stays(tmp_path):
    program = f"import sys\nsys.excepthook = lambda *_: print('mine')\nimport catena_core\n{INTERRUPT}"
    assert _run(program, tmp_path).stdout == "here\nmine\n"


def _run(program, folder):
    (folder / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{folder}"}
    return subprocess.run(
        [sys.executable, folder / "program.py"], env=environment, capture_output=True, text=True, timeout=300
    )
