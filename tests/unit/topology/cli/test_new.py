"""`catena new link`: the files that it writes are right as they are, and it overwrites none."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from topology.cli.main import main

ROOT = Path(__file__).parents[4]


def new_link(name: str, folder: Path) -> Result:
    return CliRunner().invoke(main, ["new", "link", name, "--into", str(folder)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = new_link("word_length", tmp_path / "new")
    assert result.exit_code == 0, result.output
    return tmp_path / "new"


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_new_links_own_test_passes(folder: Path) -> None:
    assert "2 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")


def test_new_link_has_the_command_line_of_links(folder: Path) -> None:
    assert "--kafka" in run(folder, "word_length.py", "--help")


def test_new_links_files_are_formatted(folder: Path) -> None:
    run(folder, "-m", "ruff", "format", "--check", "--isolated", "--no-cache", "--line-length", "120", ".")
    run(folder, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "E,F,I", "--line-length", "120", ".")


def test_new_links_compose_file_runs_the_kafka_of_the_others(folder: Path) -> None:
    services = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]
    others = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    assert services["kafka"]["image"] == others["kafka"]["image"]
    assert services["word_length"]["command"] == "python word_length.py -i word_length.in -o word_length.out"
    assert services["word_length"]["image"] == others["fetcher"]["image"]


def test_new_link_overwrites_nothing(folder: Path) -> None:
    (folder / "word_length.py").write_text("mine")

    result = new_link("word_length", folder)
    assert (result.exit_code, "exists already" in result.output) == (1, True)
    assert (folder / "word_length.py").read_text() == "mine"


def test_new_link_on_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def write_a_part(file: Path, text: str, **how: str) -> int:
        write(file, text[:10], **how)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_a_part)
    result = new_link("shout", tmp_path / "shout")

    assert (result.exit_code, "No space left on device" in result.output) == (1, True)
    assert list((tmp_path / "shout").iterdir()) == []


@pytest.mark.parametrize("name", ["class", "Word", "a-b", "../x", "", "1st", "json", "click", "catena_core"])
def test_new_link_takes_no_name_that_is_no_module_or_hides_one(tmp_path: Path, name: str) -> None:
    assert new_link(name, tmp_path / "new").exit_code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("is_there", [True, False])
def test_new_link_says_how_to_get_what_its_test_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if is_there else None)
    said = new_link("shout", tmp_path / "shout").output
    assert ("pip install pytest" in said) is not is_there
