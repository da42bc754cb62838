"""A virtual environment for each library that is compared, so that their requirements cannot meet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INSTALL_TIMEOUT = 300  # seconds


class NotInstallableError(Exception):
    """A library that does not install on this Python."""


def environment(name: str, requirements: Sequence[str]) -> Path:
    """Return the Python of an environment that holds these requirements, made on first use.

    Args:
        name: The name of its folder in ``.cache/bench-venvs`` (``CATENA_CACHE``).
        requirements: What to install, with versions.

    Raises:
        NotInstallableError: They do not install on this Python.
    """
    cache = Path(os.environ.get("CATENA_CACHE") or ROOT / ".cache").resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "bench-venvs" / f"{name}-{version}"
    python = folder / "bin" / "python"
    installed = folder / "installed.txt"
    wanted = "\n".join(requirements)
    if installed.is_file() and installed.read_text() == wanted:
        return python
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stdout or "").strip().splitlines() or [str(error)]
        raise NotInstallableError(f"does not install on {version}: {said[-1][:200]}") from error
    installed.write_text(wanted)
    return python


def versions(python: Path, packages: Sequence[str]) -> str:
    """List the installed ones of these packages, as ``name version, name version``."""
    program = (
        "import sys, importlib.metadata as m; print(', '.join(f'{name} {m.version(name)}' for name in sys.argv[1:]))"
    )
    return _run([str(python), "-c", program, *packages]).strip()


def _run(command: Sequence[str]) -> str:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=INSTALL_TIMEOUT,
    ).stdout
