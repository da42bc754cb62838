"""Runs the Compose files for real, hurts what runs, and checks after each step that every offering stands where it should.

It needs ``docker-compose`` or Docker Compose v2, and a Docker daemon; as root it starts ``dockerd`` itself. Where no registry
can be reached, it builds stand-ins of the images (``stand_ins.sh``), for which it needs root and debootstrap.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import click

from tests.compose import cluster, dlt_booth, global_catalogue, sandbox
from tests.compose.daemon import answers, docker_daemon
from tests.compose.project import Project, call
from tests.helpers.documents import ROOT
from tests.servers.kafka import IMAGE, kafka_jars

_CHECKS = {
    "dlt": dlt_booth.check,
    "sandbox": sandbox.check,
    "cluster": cluster.check,
    "global-catalogue": global_catalogue.check,
}


@click.command(context_settings={"show_default": True})
@click.argument("names", nargs=-1, type=click.Choice(list(_CHECKS)), metavar=f"[{'|'.join(_CHECKS)}]…")
@click.option("--if-possible", is_flag=True, help="Do nothing, and say so, where no Docker daemon answers.")
def main(names: tuple[str, ...], if_possible: bool) -> None:
    """Run the named ways to start Catena by Compose, or all of them; the status is 0 if everything held."""
    if if_possible and not answers():
        click.echo("left out: the Compose files, since no Docker daemon answers")
        return
    # Containers, and a daemon of one's own, are taken away also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with docker_daemon():
        _have_images()
        # One service's: the others share its image, and Compose v2 would build it once for each, all at the same time.
        Project().compose("build", "gateway")
        for name in names or _CHECKS:
            _CHECKS[name]()


def _have_images() -> None:
    if call("docker", "images", "-q", IMAGE):
        return
    if subprocess.run(["docker", "pull", "-q", IMAGE], check=False).returncode:
        subprocess.run([ROOT / "tests/compose/stand_ins.sh", kafka_jars()], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
