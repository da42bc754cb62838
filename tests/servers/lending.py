"""One Apache Kafka for all workers of a run of pytest: each takes seconds to start, and a twentieth of a processor for good."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener

from tests.servers.kafka import kafka_server
from tests.servers.server import ServerFailedError, ServerUnavailable

ENVIRONMENT = "CATENA_TEST_LENDER"
_MOST_WORKERS = 64


class Lender:
    """Starts Kafka in the process that started the workers when the first of them asks for it, and ends it with the run."""

    def __init__(self) -> None:
        self._listener = Listener(backlog=_MOST_WORKERS)
        self._stack = ExitStack()
        self._closed = False
        self._answer: str | ServerUnavailable | ServerFailedError | None = None
        os.environ[ENVIRONMENT] = str(self._listener.address)
        threading.Thread(target=self._lend, name="lender of Kafka", daemon=True).start()

    def close(self) -> None:
        """End Kafka, if it was asked for."""
        self._closed = True
        self._listener.close()
        self._stack.close()

    def _lend(self) -> None:
        while True:
            try:
                with self._listener.accept() as worker:
                    self._answer = self._answer or self._started()
                    worker.send(self._answer)
            except OSError:  # closed, or a worker that has gone
                if self._closed:
                    return

    def _started(self) -> str | ServerUnavailable | ServerFailedError:
        try:
            return self._stack.enter_context(kafka_server()).bootstrap
        except (ServerUnavailable, ServerFailedError) as error:
            return error


def lent_kafka() -> str:
    """Return the address of the run's Kafka, and start it if no worker has asked for it before; empty in a run without workers.

    Raises:
        ServerUnavailable: There is no way to have it here.
        ServerFailedError: It did not start.
    """
    lender = os.environ.get(ENVIRONMENT)
    if not lender:
        return ""
    with Client(lender) as connection:
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return str(answer)
