"""A client that asks the gateway throughout, and counts the answers that pass for whole and are not."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from tests.compose.project import OFFERINGS, gateway

_ALL = "PREFIX dcat: <http://www.w3.org/ns/dcat#> SELECT (COUNT(DISTINCT ?g) AS ?n) { GRAPH ?g { ?s a ?type } }"


class Reader:
    """Asks for the number of offerings again and again, from when it is entered until it is left.

    Attributes:
        answers: Answers that said that they were complete.
        wrong: How many offerings those counted that did not count all of them.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.wrong: list[int] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                with urlopen(f"{gateway()}/sparql?query={quote(_ALL)}", timeout=30) as answer:
                    complete = answer.headers["Catena-Completeness"] == "complete"
                    count = int(json.load(answer)["results"]["bindings"][0]["n"]["value"])
            except (OSError, URLError, ValueError):
                continue  # a gateway that is being restarted says nothing wrong
            if complete:
                self.answers += 1
                if count != OFFERINGS:
                    self.wrong.append(count)
