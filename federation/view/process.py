"""The process that forks a view's evaluators, and holds the store in memory, which they share.

    python -m federation.view.process FD BYTES

An evaluator sees the store as it was when it was forked. So changes never wait for queries, a query that ends its evaluator
costs a fork, and any number of evaluators take the memory of one store. This process runs no queries and has one thread, since
a fork copies only one. A store on disk has threads of its own: another process holds it (``disk_process.py``), and an evaluator
opens the copy that it is to see.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

import msgspec
from pyoxigraph import Store

from federation.errors import UnreadableQuadsError
from federation.evaluation.process import memory_taken, serve
from federation.view.messages import Change, Changed, Fork, Forked, Response, Unreadable
from federation.view.store import ViewStore

# A store on disk opens its files when a query needs them.
_FILES_OF_A_STORE = 4096


def main() -> None:
    """Do as requested until the other end closes the connection."""
    descriptor, memory = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its workers
    logging.disable()
    view = ViewStore(Store())
    decoder, encoder = msgspec.msgpack.Decoder(Change | Fork), msgspec.msgpack.Encoder()
    with Connection(descriptor) as connection, suppress(EOFError, ConnectionError):
        while True:
            request = decoder.decode(connection.recv_bytes())
            is_change = isinstance(request, Change)
            response = _change(view, request) if is_change else _fork(view, request.store, connection, memory)
            connection.send_bytes(encoder.encode(response))


def _change(view: ViewStore, change: Change) -> Response:
    try:
        view.change(change)
    except UnreadableQuadsError as error:
        return Unreadable(str(error))
    return Changed(memory_taken().resident)


def _fork(view: ViewStore, copy: str, control: Connection, memory: int) -> Response:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    with socket.socket(fileno=os.dup(control.fileno())) as receiving:
        _, (descriptor, *_), _, _ = socket.recv_fds(receiving, 1, 1)
    if pid := os.fork():
        os.close(descriptor)
        return Forked(pid)
    control.close()
    try:
        if copy:
            serve(Connection(descriptor), memory, _FILES_OF_A_STORE, Store(copy))
        else:
            serve(Connection(descriptor), memory, store=view.store)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
