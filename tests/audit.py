"""Asks for known vulnerabilities of the installed packages: ``python -m tests.audit [--daily]``.

The build fails where one has a fix. It does not fail where the service that knows of them cannot be reached, and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_STAMP = Path(sys.prefix) / ".audited"
_DAY = 24 * 3600.0
_SECONDS = "10"

# By id: why one does not concern Catena.
ACCEPTED: dict[str, str] = {}


def findings(packages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Sort what pip-audit found.

    Args:
        packages: The ``dependencies`` of its report.

    Returns:
        Vulnerabilities that a release fixes, and those that none does, each as a sentence.
    """
    fixed, open_ = [], []
    for package in packages:
        for flaw in package.get("vulns", ()):
            if flaw["id"] in ACCEPTED:
                continue
            named = f"{package['name']} {package['version']} has {flaw['id']}"
            if flaw["fix_versions"]:
                fixed.append(f"{named}; take {' or '.join(flaw['fix_versions'])}")
            else:
                open_.append(f"{named}; there is no release without it")
    return fixed, open_


def main(arguments: list[str]) -> int:
    """Report on this environment; return the status of the process."""
    if "--daily" in arguments and _STAMP.exists() and time.time() - _STAMP.stat().st_mtime < _DAY:
        return 0
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    result = subprocess.run([*command, "--timeout", _SECONDS], capture_output=True, text=True)
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except ValueError:
        packages = []
    known = [package for package in packages if "skip_reason" not in package]
    _STAMP.touch()
    if not known:
        print("not audited: the service that knows of vulnerabilities cannot be reached from here")
        return 0
    fixed, open_ = findings(known)
    for line in (*fixed, *open_):
        print(line)
    return 1 if fixed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
