"""The name of an instance: the one that it has in logs, metrics and remote calls unless its author gives it another."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

from catena_core import processes

# The first processes of containers that run the program as their child.
_INITS = ("tini", "docker-init", "dumb-init", "catatonit")


def unique_name() -> str:
    """Name this instance: the one program of a container by the container's host name, which outlives restarts.

    Elsewhere many instances share a host, and each start makes another name.
    """
    host = socket.gethostname()
    if _is_program_of_container():
        number = os.environ.get(processes.NUMBER)
        return f"{host}-{number}" if number else host
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def _is_program_of_container() -> bool:
    if os.environ.get("CATENA_DOCKER"):
        return True
    if not any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return False
    if os.getpid() == 1:
        return True
    try:
        return os.getppid() == 1 and Path("/proc/1/comm").read_text().strip() in _INITS
    except OSError:
        return False
