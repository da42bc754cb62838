"""The profile ``global-catalogue``: one node for all, without the sandbox's nodes."""

from __future__ import annotations

from functools import partial

from tests.compose.project import NAME, OFFERINGS, Project, call, is_whole

_BOOTH = f"{NAME}-booth"


def check() -> None:
    """Start it beside a ledger, restart its node, and take it down and up: the node keeps its data.

    Raises:
        SystemExit: A step did not end well.
    """
    project = Project(
        "docker-compose.yml",
        COMPOSE_PROFILES="global-catalogue",
        CENTRALISED="1",
        GC_URL="http://global-catalogue",
        GC_PORT="3030",
        DLT_BASE_URL=f"http://{_BOOTH}:8085/api",
        OFFERING_FETCH_INTERVAL="5",
    )
    whole = partial(is_whole, 1)
    try:
        project.step("one node for all: from nothing to all offerings", lambda: _start(project), whole)
        project.step("kill -9 in global-catalogue", lambda: project.kill("global-catalogue"), whole)
        project.step("global-catalogue made again, with its volume", lambda: _make_again(project), whole)
    finally:
        call("docker", "rm", "-f", _BOOTH, check=False)
        project.down()


def _start(project: Project) -> None:
    project.compose("up", "-d", "redis")  # makes the network that the ledger joins
    booth = ("python", "-m", "sandbox.booth", "--host", "0.0.0.0", "--port", "8085", "--count", str(OFFERINGS))
    run = ("docker", "run", "-d", "--name", _BOOTH, "--network", f"{NAME}_default", "catena")
    call(*run, *booth, "--public-url", f"http://{_BOOTH}:8085")
    project.up()


def _make_again(project: Project) -> None:
    project.compose("rm", "--force", "--stop", "global-catalogue")
    project.up()
