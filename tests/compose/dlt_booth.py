"""The profile ``dlt``: without its settings the DLT-Booth is refused, and each of them named."""

from __future__ import annotations

import re

from tests.compose.project import NAME, Project, call
from tests.helpers.documents import ROOT

_SETTINGS = "dlt-booth-settings"
NEEDED = re.findall(r"\bDLT_[A-Z_]+", (ROOT / "deploy/docker" / _SETTINGS).read_text())


def check() -> None:
    """Ask for the DLT-Booth without its settings, and with them.

    Raises:
        SystemExit: A step did not end well.
    """
    without = Project("docker-compose.yml", COMPOSE_PROFILES="dlt", DLT_BOOTH_IMAGE="catena")
    given = Project(
        "docker-compose.yml", COMPOSE_PROFILES="dlt", DLT_BOOTH_IMAGE="catena", **dict.fromkeys(NEEDED, "x")
    )
    try:
        without.step(
            "the DLT-Booth without its settings: refused, and each is named",
            lambda: without.compose("up", "-d", "dlt-booth", check=False),
            lambda: (
                all(name in without.compose("logs", _SETTINGS) for name in NEEDED) and _never_started("dlt-booth-db")
            ),
        )
        without.down()
        given.step(
            "the DLT-Booth with its settings: its database is started",
            lambda: given.compose("up", "-d", "dlt-booth-db"),
            lambda: not _never_started("dlt-booth-db"),
        )
    finally:
        without.down()


def _never_started(service: str) -> bool:
    """Return whether no container of a service has ever run."""
    labels = (f"label=com.docker.compose.project={NAME}", f"label=com.docker.compose.service={service}")
    filters = [word for label in labels for word in ("--filter", label)]
    states = call("docker", "ps", "-a", *filters, "--format", "{{.Status}}").splitlines()
    return all(state == "Created" for state in states)
