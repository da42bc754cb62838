"""Programs from Debian's packages (or those of a system derived from it), unpacked without being installed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers.server import ServerUnavailable

TIMEOUT = 1800  # seconds: a busy machine takes minutes to list the libraries of a browser


def release() -> str:
    """Return what the packages depend on, such as "debian-12-x86_64", for the name of a cache folder."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    return f"{system.get('ID', 'unknown')}-{system.get('VERSION_ID', 'rolling')}-{platform.machine()}"


def unpack(folder: Path, *packages: str, recurse: bool = False) -> None:
    """Fetch packages, with the libraries that they name, and unpack all into a folder.

    Args:
        folder: becomes the root of what the packages would put under `/`.
        packages: their names.
        recurse: also the libraries that these libraries name, and so on.

    Raises:
        ServerUnavailable: this system has no apt-get, or could not fetch them.
    """
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            raise ServerUnavailable(f"not a Debian system (no {tool})")
    try:
        _download(folder, packages, recurse)
    except subprocess.CalledProcessError as error:
        # The lists of packages are empty on a new machine, and name what is no longer served on an old one.
        if os.geteuid() != 0:
            raise ServerUnavailable(f"apt-get did not fetch {packages[0]} (is `apt-get update` due?): {_said(error)}")
        try:
            _run(["apt-get", "--quiet", "update"], folder)
            _download(folder, packages, recurse)
        except subprocess.CalledProcessError as again:
            raise ServerUnavailable(f"apt-get did not fetch {packages[0]}: {_said(again)}")
    for package in folder.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), str(folder)], folder)
        package.unlink()


def library_path(folder: Path) -> dict[str, str]:
    """Return the variable that lets a program find the shared libraries which `unpack` put into a folder."""
    return {"LD_LIBRARY_PATH": ":".join(sorted({str(file.parent) for file in folder.rglob("*.so*")}))}


def _download(folder: Path, packages: Sequence[str], recurse: bool) -> None:
    _run(["apt-get", "--quiet", "download", *packages, *_libraries(folder, packages, recurse)], folder)


def _libraries(folder: Path, packages: Sequence[str], recurse: bool) -> list[str]:
    # The C library must be the system's own: it goes with the loader.
    listed = _run(["apt-cache", "depends", "--important", *(["--recurse"] if recurse else []), *packages], folder)
    return sorted(set(re.findall(r"^ [ |](?:Pre)?Depends: (lib\S+)$", listed, re.MULTILINE)) - {"libc6"})


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=TIMEOUT,
    ).stdout


def _said(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in str(error.output).splitlines() if line.startswith("E:")]
    return lines[0] if lines else f"{error.cmd[0]} exited with {error.returncode}"
