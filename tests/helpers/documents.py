"""Runs the examples of a document in order, as a reader would: ``python -m tests.helpers.documents docs/guide.md``.

Sybil (https://sybil.readthedocs.io) finds them: it knows Markdown's fences, blocks that readers do not see
(``<!--- invisible-code-block: python … --->``) and ``<!--- skip: next --->``, and keeps line numbers in tracebacks.
What a block is for follows from its language:

- ``python`` is run, all blocks of a document in one namespace; one that begins with ``# name.py`` is a file to be saved;
- ``sh`` is run by a shell in the folder of those files;
- ``text`` is what the block before has printed: each line must be among it, in this order; ``…`` stands for anything.

Port 9092 becomes a free one. Where examples fail, all of the document run once more with longer waits, as on a slow machine.
"""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests.servers.process import free_port

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FILE = re.compile(r"# (\w+\.py)\n")
_SLEEP = re.compile(r"\bsleep (\d+)")
# A few times as long as a reader would wait: tests run side by side. What fails so runs once more.
_PATIENCE = (2, 8)


class Examples:
    """The examples of one document.

    Args:
        document: The document.
        folder: An empty folder, in which its files are saved and its commands run.
        patience: Shell blocks sleep so many times as long as they say.
    """

    def __init__(self, document, folder, patience=1):
        self._patience = patience
        self._folder = folder
        self._port = str(free_port())
        self._printed = ""
        self._groups = []
        self._run_python = PythonEvaluator()
        parsers: list[Any] = [CodeBlockParser("python", self._python), CodeBlockParser("sh", self._shell)]
        parsers += [CodeBlockParser("text", self._text), SkipParser()]
        self._document = Sybil(parsers).parse(document)
        self._document.namespace["__name__"] = "example"
        # What a document offers its readers beside itself.
        for file in document.with_suffix("").glob("*.py"):
            (folder / file.name).write_text(file.read_text().replace("9092", self._port))

    def run(self):
        """Run all of them; returns how many there were."""
        examples = list(self._document.examples())
        before = Path.cwd()
        os.chdir(self._folder)
        try:
            for example in examples:
                example.evaluate()
        finally:
            os.chdir(before)
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
        return len(examples)

    def _python(self, example):
        source = example.parsed.replace("9092", self._port)
        name = _FILE.match(source)
        if name is not None:
            (self._folder / name[1]).write_text(source)
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self._run_python(example)
        self._printed = printed.getvalue()

    def _shell(self, example):
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
        }
        # To a file, not a pipe: what runs on in the background would keep a pipe open.
        commands = example.parsed.replace("9092", self._port)
        commands = _SLEEP.sub(lambda found: f"sleep {int(found[1]) * self._patience}", commands)
        log = self._folder / "printed.log"
        with log.open("w") as output:
            shell = subprocess.Popen(
                ["bash", "-c", commands],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(shell.pid)
            shell.wait()
        self._printed = log.read_text()
        self._document.namespace["printed"] = self._printed

    def _text(self, example):
        wanted = [line.strip() for line in example.parsed.splitlines() if line.strip()]
        pattern = r".*\n(?s:.*)".join(".*".join(map(re.escape, line.split("…"))) for line in wanted)
        found = re.search(pattern.replace("9092", self._port), self._printed)
        assert found, f"{example.path}:{example.line} shows\n{example.parsed}\nbut there was\n{self._printed}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of what ends the shells
    for patience in _PATIENCE:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            try:
                print(f"{Examples(ROOT / sys.argv[1], Path(name), patience).run()} examples", flush=True)
                break
            except Exception:
                traceback.print_exc()
    else:
        os._exit(1)
    os._exit(0)  # whatever the examples have started
