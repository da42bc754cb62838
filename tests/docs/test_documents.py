"""What the documents show runs, prints what they say, and names options and files that exist."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from catena_core import Link
from catena_core.cli import command
from catena_core.embedded import main as embedded
from catena_core.options import LinkOptions
from tests.chaos.__main__ import main as chaos
from tests.helpers.command_lines import subcommands
from tests.helpers.documents import DOCUMENTS, ROOT
from topology.cli.main import main as catena

TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Start a process for each document, all at once: they mostly wait."""
    folder = tmp_path_factory.mktemp("runs")
    started = {}
    for name in TEXTS:
        log = folder / f"{Path(name).stem}.log"
        with log.open("w") as output:
            arguments = [sys.executable, "-m", "tests.helpers.documents", name]
            started[name] = log, subprocess.Popen(arguments, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    yield started
    for _, process in started.values():
        process.terminate()
        process.wait(120)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", TEXTS)
def test_its_examples_run_and_print_what_it_says(runs, name):
    log, process = runs[name]
    status = process.wait()
    output = log.read_text()
    assert status == 0, output
    shown = len(re.findall(r"^```(?:python|sh|text)$", TEXTS[name], re.MULTILINE))
    (ran,) = re.findall(r"^(\d+) examples$", output, re.MULTILINE)
    assert int(ran) >= shown


def flags_of(group):
    """All options of a command and of those below it."""
    found = {flag for parameter in group.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    if isinstance(group, click.Group):
        for sub in subcommands(group).values():
            found |= flags_of(sub)
    return found


LINK = command("link", "", LinkOptions(), lambda options, arguments: None)
# Of other programs that the documents use.
OTHERS = {"--describe", "--help", "--profile", "--from-file", "--from-literal", "--now"}
FLAGS = {
    flag for group in (LINK, catena, embedded, chaos) if isinstance(group, click.Command) for flag in flags_of(group)
}


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "README.md"])
def test_the_options_that_it_names_exist(name):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"<!---.*?--->", "", TEXTS[name], flags=re.DOTALL)))
    assert named - FLAGS - OTHERS - {"--catena-kafka"} == set()


@pytest.mark.parametrize("name", TEXTS)
def test_the_files_and_headings_that_it_points_to_exist(name):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[name]):
        path, _, heading = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if heading:
            anchors = {
                re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            }
            assert heading in anchors, target


def test_few_blocks_are_only_to_be_looked_at():
    skipped = sum(text.count("<!--- skip: next") for text in TEXTS.values())
    assert skipped <= 8
    assert not [name for name, text in TEXTS.items() if "skip: start" in text]


def test_the_options_of_links_are_those_of_the_reference():
    assert Link().options == LinkOptions()
