"""The process that holds the store of a view on disk. It runs no queries, and forks nothing.

python -m federation.view.disk_process FD
"""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from federation.errors import TooLargeError, UnreadableQuadsError
from federation.view.disk_store import DiskStore
from federation.view.messages import Change, Changed, Copied, Copy, Full, Open, Opened, Response, Unreadable


def main() -> None:
    """Do as requested until the other end closes the connection; the first request opens the store."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its workers
    logging.disable()
    decoder, encoder = msgspec.msgpack.Decoder(Open | Change | Copy), msgspec.msgpack.Encoder()
    with Connection(int(sys.argv[1])) as connection, suppress(EOFError, ConnectionError):
        first = decoder.decode(connection.recv_bytes())
        assert isinstance(first, Open)
        try:
            store = DiskStore(Path(first.directory), first.form)
        except (OSError, TooLargeError) as error:
            connection.send_bytes(encoder.encode(Full(str(error))))
            return
        response: Response = Opened(store.graphs)
        while True:
            connection.send_bytes(encoder.encode(response))
            request = decoder.decode(connection.recv_bytes())
            response = (
                Copied(str(store.copy(request.evaluator))) if isinstance(request, Copy) else _change(store, request)
            )


def _change(store: DiskStore, request: Open | Change) -> Response:
    assert isinstance(request, Change)
    try:
        store.change(request)
    except UnreadableQuadsError as error:
        return Unreadable(str(error))
    except TooLargeError as error:
        return Full(str(error))
    return Changed(memory=0)


if __name__ == "__main__":
    main()
