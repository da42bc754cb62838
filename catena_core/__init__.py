"""Links: small Python programs joined by Kafka topics.

A link is a class with ``setup``, ``generator`` or ``transform``, run with ``python link.py -k kafka:9092 -i in -o out`` and
scaled by starting more of it::

    from catena_core import Link

    class Shout(Link):
        \"\"\"Turns every text into capitals.\"\"\"

        def transform(self, electron):
            return electron.value.upper()

    if __name__ == "__main__":
        Shout().start()
"""

from typing import TYPE_CHECKING

from catena_core import interrupts  # isort: skip  # it covers the imports that follow
from catena_core import errors, on_use, utils
from catena_core.rpc import rpc
from catena_core.version import __version__

if TYPE_CHECKING:
    from catena_core.dead_letters.policy import DeadLetterLimits
    from catena_core.electron import Electron
    from catena_core.link import Link
else:
    __getattr__, __dir__ = on_use.exports(
        __name__,
        {
            "DeadLetterLimits": "catena_core.dead_letters.policy",
            "Electron": "catena_core.electron",
            "Link": "catena_core.link",
        },
    )

del interrupts, on_use

__all__ = ["DeadLetterLimits", "Electron", "Link", "__version__", "errors", "rpc", "utils"]
