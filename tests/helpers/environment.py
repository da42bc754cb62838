"""Settings that a test makes, and no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

import pytest

from topology.settings import Settings


class Environment(Protocol):
    """Sets variables."""

    def __call__(self, **variables: str) -> None: ...


def own_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Environment:
    """Leave no setting but those that the test makes; no Redis.

    Args:
        monkeypatch: Takes them back.
        folder: An empty folder to work in, so that no ``.env`` counts.
    """
    monkeypatch.chdir(folder)
    for name in ("KAFKA_ENDPOINT", *(field.name.upper() for field in dataclasses.fields(Settings))):
        monkeypatch.delenv(name, raising=False)

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    set_variables(REDIS_HOST="")
    return set_variables
