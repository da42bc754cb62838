"""The wheel holds the packages whole, and nothing beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from catena_core.version import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("catena_core", "federation", "links", "sandbox", "topology")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build the wheel from a copy, since a build leaves files in the tree."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(source)]
    subprocess.run(command, check=True, timeout=300)
    (path,) = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_it_holds_every_file_of_the_packages(wheel: zipfile.ZipFile) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == files
    assert "catena_core/py.typed" in files


def test_it_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(wheel.read(path))

    assert (metadata["Name"], metadata["Version"]) == ("catena-links", __version__)
    assert str(metadata.get_payload()).lstrip().startswith("# Catena")


def test_links_run_from_it(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "installed")
    (tmp_path / "shout.py").write_text(
        "import sys; sys.path.insert(0, 'installed')\n"
        "import catena_core; print(catena_core.__file__)\n"
        "class Shout(catena_core.Link):\n"
        "    def transform(self, electron):\n"
        "        return electron.value.upper()\n"
        "Shout().start()\n"
    )
    command = [sys.executable, "-I", "shout.py", "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("installed/catena_core/") or str(tmp_path) in ran.stdout
    assert "--kafka" in ran.stdout
