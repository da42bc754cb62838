"""A folder for what is fetched once and used ever after: `.cache` in the checkout, or where `CATENA_CACHE` says."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)


def cached(name: str, what: str, fetch: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled on the first call on this machine.

    Args:
        name: the folder's name; give it the version of what lies in it.
        what: what is fetched, for the progress line.
        fetch: fills the empty folder that it is given; if it raises, nothing stays in the cache.

    Returns:
        The folder. It is complete: it is filled under another name first, and two processes may do so at once.
    """
    cache = Path(os.environ.get("CATENA_CACHE") or Path(__file__).parents[2] / ".cache").resolve()
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    logger.info("fetching %s into %s, this once …", what, folder)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{name}.") as temporary:
        filling = Path(temporary) / name
        filling.mkdir()
        fetch(filling)
        try:
            filling.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    logger.info("fetched %s in %.1f s", what, time.monotonic() - started)
    return folder
