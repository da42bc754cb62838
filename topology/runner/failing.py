"""The processes that ``catena up`` restarts in vain: it writes them to a file, from which its gateways tell of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from topology.json_errors import NOT_JSON

FILE = "CATENA_FAILING_FILE"
"""The variable that names this file to the gateways."""


def write_failing(path: Path, failing: Mapping[str, str]) -> None:
    """Replace the file.

    Args:
        path: The file.
        failing: What is known of each such process, by its name.
    """
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(failing))
    new.replace(path)


def read_failing() -> dict[str, str]:
    """Return what is known of each such process; nothing in a gateway that has no such runner."""
    try:
        return msgspec.json.decode(Path(os.environ[FILE]).read_bytes(), type=dict[str, str])
    except (KeyError, OSError, *NOT_JSON):
        return {}
