"""A folder for what is fetched once and used ever after: `.cache` in the checkout, or where `CATENA_CACHE` says."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


def cached(name: str, what: str, fetch: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled on the first call on this machine.

    Args:
        name: the folder's name; give it the version of what lies in it.
        what: what is fetched, for the progress line.
        fetch: fills the empty folder that it is given; if it raises, nothing stays in the cache.

    Returns:
        The folder. It is complete: it is filled under another name first. Of several processes that want it, one fills it.
    """
    cache = Path(os.environ.get("CATENA_CACHE") or Path(__file__).parents[2] / ".cache").resolve()
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / f"{name}.lock"):
        if folder.is_dir():
            return folder
        logger.info("preparing %s in %s, this once …", what, folder)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{name}.") as temporary:
            filling = Path(temporary) / name
            filling.mkdir()
            fetch(filling)
            filling.rename(folder)
        logger.info("prepared %s in %.1f s", what, time.monotonic() - started)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is in this block; a process that dies leaves it."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
