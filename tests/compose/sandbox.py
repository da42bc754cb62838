"""The two Compose files as they are: the sandbox on one broker, hurt in every way that containers know."""

from __future__ import annotations

import re
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.compose.project import NAME, OFFERINGS, Project, all_healthy, call, copies, is_whole
from tests.compose.reader import Reader
from tests.helpers.documents import ROOT


def check() -> None:
    """Start it, scale it while it is read, hurt it, and take it down and up.

    Raises:
        SystemExit: A step did not end well, or an answer that said it was complete was not.
    """
    project = Project()
    try:
        project.step("from nothing to all offerings on two nodes", lambda: project.up(fetcher=2, writer=2), is_whole)
        project.step("every container healthy", lambda: None, all_healthy)
        with Reader() as reader:
            _hurt(project)
        print(f"{reader.answers} complete answers meanwhile, {len(reader.wrong)} of them wrong: {reader.wrong[:5]}")
        if reader.wrong or not reader.answers:
            raise SystemExit("an answer that said that it was complete was not, or there was none")
        second = ("up", "-d", "--scale", "kafka=2")
        project.step(
            "a second Kafka is refused", lambda: project.compose(*second, check=False), lambda: _is_refused(project)
        )
        project.step("without it all is as before", lambda: project.up(kafka=1), is_whole)
        with tempfile.TemporaryDirectory() as folder:
            run = partial(_run_own_link, project, Path(folder))
            project.step("a link of one's own, as the README says", run, lambda: _is_loud(project))
        project.step("down, and up again with the volumes", lambda: _down_and_up(project), is_whole)
        lines = len(project.compose("logs", "--no-color").splitlines())
        print(f"{lines} lines in all logs since")
    finally:
        project.down()


def _hurt(project: Project) -> None:
    project.step("fetcher, writer and router scaled up", lambda: project.up(fetcher=4, writer=3, router=2), is_whole)
    project.step("and down", lambda: project.up(fetcher=1, writer=1, router=1), is_whole)
    for service in (
        "writer",
        "router",
        "fetcher",
        "monitor",
        "address_generator",
        "gateway",
        "node-1",
        "redis",
        "kafka",
    ):
        project.step(f"kill -9 in {service}", partial(project.kill, service), is_whole)
    for service in ("redis", "node-2", "kafka"):
        project.step(f"{service} restarted", partial(project.compose, "restart", service), is_whole)
    project.step("node-3 hangs: all on the others", lambda: project.compose("pause", "node-3"), _is_whole_on_the_others)
    project.step("and goes on", lambda: project.compose("unpause", "node-3"), is_whole)
    cut_off = project.container("node-1")
    call("docker", "network", "disconnect", f"{NAME}_default", cut_off)
    time.sleep(5)  # a cut for less than the grace period: nothing must be lost, and nothing need move
    connect = ("docker", "network", "connect", "--alias", "node-1", f"{NAME}_default", cut_off)
    project.step("node-1 cut off for 5 s", lambda: call(*connect), is_whole)


def _is_whole_on_the_others() -> bool:
    found = copies()  # what node-3 holds counts as there: it may come back
    return len(found) == OFFERINGS and all({"node_1", "node_2"} <= set(nodes) for nodes in found)


def _is_refused(project: Project) -> bool:
    return "another Kafka container has this data" in project.compose("logs", "kafka")


def _run_own_link(project: Project, folder: Path) -> None:
    """Follow the README: its first example, in the image, between two topics of its own."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [link] = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "class Shout" in block]
    folder.chmod(0o755)
    (folder / "shout.py").write_text(link, encoding="utf-8")
    project.compose("exec", "-T", "fetcher", "catena", "topics", "create", "lines")
    project.compose("exec", "-T", "fetcher", "catena", "topics", "send", "lines", said="hey\nyou\n")
    run = ("run", "-d", "-v", f"{folder}:/links:ro", "-w", "/links", "fetcher")
    project.compose(*run, "python", "shout.py", "-k", "kafka:9092", "-i", "lines", "-o", "loud")


def _is_loud(project: Project) -> bool:
    said = project.compose("exec", "-T", "fetcher", "catena", "topics", "cat", "loud", check=False)
    return "HEY" in said and "YOU" in said


def _down_and_up(project: Project) -> None:
    project.compose("down")
    project.up()
