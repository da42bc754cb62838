"""The memory of a process and of all that it started."""

from __future__ import annotations

import re
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_PARENT = re.compile(r"^PPid:\s+(\d+)$", re.MULTILINE)


def peaks(pid: int) -> dict[int, int]:
    """Return the most bytes that each process of a tree has had resident so far, by its id (Linux: ``VmHWM``).

    Pages that processes share count for each of them.

    Args:
        pid: The process at the root.
    """
    parents, found = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "status").read_text()
        except OSError:
            continue  # it has ended meanwhile
        if (parent := _PARENT.search(status)) and (peak := _PEAK.search(status)):
            parents[int(folder.name)] = int(parent[1])
            found[int(folder.name)] = int(peak[1]) * 1024
    return {process: peak for process, peak in found.items() if _descends(process, pid, parents)}


def _descends(process: int, ancestor: int, parents: dict[int, int]) -> bool:
    while process in parents and process != ancestor:
        process = parents[process]
    return process == ancestor
