"""Without the packages of an extra the base runs, and an error says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from catena_core.errors import UsageError

ROOT = Path(__file__).parents[3]
OF_STORES = ["aerospike", "pymongo", "redis"]
OF_CATALOGUE = [
    "aiohttp",
    "dotenv",
    "flask",
    "pycurl",
    "pyoxigraph",
    "pyparsing",
    "rdflib",
    "requests",
    "rich",
    "urllib3",
]
OF_EXTRAS = dict.fromkeys(OF_STORES + OF_CATALOGUE)
CATALOGUE = "pip install 'catena-links[catalogue]'"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where no package of an extra can be imported."""
    without_extras = f"import runpy, sys; sys.modules.update({OF_EXTRAS}); "
    return subprocess.run(
        [sys.executable, "-c", without_extras + code], cwd=ROOT, capture_output=True, text=True, timeout=240
    )


def test_the_base_needs_no_extra() -> None:
    ran = run("import catena_core.embedded, catena_core.stores, catena_core.testing, catena_core.topics")

    assert ran.returncode == 0, ran.stderr


def test_rpc_over_http_without_flask_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "catena_core.rpc.http", raising=False)
    monkeypatch.setitem(sys.modules, "flask", None)

    with pytest.raises(UsageError, match=r"pip install 'catena-links\[rpc\]'"):
        __import__("catena_core.rpc.http")


@pytest.mark.parametrize("link", sorted(path.stem for path in (ROOT / "links").glob("[a-z]*.py")))
def test_a_link_of_the_catalogue_without_its_extra_says_what_to_install(link: str) -> None:
    ran = run(f"runpy.run_path('links/{link}.py', run_name='__main__')")

    assert ran.returncode == 1
    assert CATALOGUE in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["up", "explain"])
def test_a_command_of_the_catalogue_without_its_extra_says_what_to_install(command: str) -> None:
    ran = run(f"from topology.cli.main import main; main(['{command}', '--scale', 'fetcher=2'])")

    assert ran.returncode == 1
    assert CATALOGUE in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_command_for_dead_letters_needs_no_extra() -> None:
    ran = run("from topology.cli.main import main; main(['dead-letters', '--help'])")

    assert ran.returncode == 0, ran.stderr
