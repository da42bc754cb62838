"""The audit of installed packages: a fix fails the build, a service that is away does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import audit


def package(*flaws: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "thing", "version": "1.0", "vulns": list(flaws), **more}


FIXED = {"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}
OPEN = {"id": "PYSEC-2", "fix_versions": []}
UNKNOWN = {"name": "other", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ([package()], 0, ""),
        ([package(FIXED), UNKNOWN], 1, "thing 1.0 has PYSEC-1; take 1.1 or 2.0\n"),
        ([package(OPEN)], 0, "thing 1.0 has PYSEC-2; there is no release without it\n"),
        ([UNKNOWN], 0, "not audited: the service that knows of vulnerabilities cannot be reached from here\n"),
        (None, 0, "not audited: the service that knows of vulnerabilities cannot be reached from here\n"),
    ],
)
def test_audit_fails_only_where_a_release_fixes_a_vulnerability(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    output: list[Any] | None,
    status: int,
    said: str,
) -> None:
    stdout = "" if output is None else json.dumps({"dependencies": output})
    monkeypatch.setattr(audit, "_STAMP", tmp_path / "stamp")
    monkeypatch.setattr(
        subprocess, "run", lambda *_args, **_more: subprocess.CompletedProcess([], 1, stdout=stdout, stderr="")
    )

    assert audit.main([]) == status
    assert capsys.readouterr().out == said


def test_audit_daily_asks_once_a_day(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stamp").touch()
    monkeypatch.setattr(audit, "_STAMP", tmp_path / "stamp")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_more: pytest.fail("it has asked already"))

    assert audit.main(["--daily"]) == 0
