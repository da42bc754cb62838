"""A reader who asks the gateways all the time, and knows which answers are wrong."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Mapping

import requests

from tests.chaos.ledger import ChaosLedger, Listed
from tests.chaos.nodes import VERSION

_QUERY = f"SELECT ?g ?v WHERE {{ GRAPH ?g {{ ?s <{VERSION}> ?v }} }}"
_PAUSE = 0.5


class Reader:
    """Asks each gateway in turn, and compares complete answers with the offerings known to be settled.

    A gateway knows what Kafka and the nodes have told it. So a change that has not reached it is late, not wrong, however long
    Kafka is away; :meth:`behind` tells of it. An answer that says that it is complete is wrong if it

    - lacks an offering that this gateway gave when it was settled, and that has not changed since,
    - gives an older version than the settled one that this gateway gave before,
    - gives an offering twice, or one that never was.

    Args:
        gateways: Their URLs.
        ledger: The truth.

    Attributes:
        wrong: The wrong answers, in words.
        answers: The number of answers by completeness, or by the reason that there was none.
    """

    def __init__(self, gateways: list[str], ledger: ChaosLedger) -> None:
        self.wrong: list[str] = []
        self.answers: collections.Counter[str] = collections.Counter()
        self._gateways = gateways
        self._ledger = ledger
        self._settled: dict[str, Listed] = {}
        self._given: dict[str, dict[str, Listed]] = {gateway: {} for gateway in gateways}
        self._newest: dict[str, dict[str, list[int]]] = {gateway: {} for gateway in gateways}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def settle(self, placed: Mapping[str, Listed]) -> None:
        """Know that these offerings stand on all of their nodes now."""
        self._settled = dict(placed)

    def behind(self, target: Mapping[str, Listed]) -> list[str]:
        """Tell which gateways did not give these offerings, unless they have changed, in their last complete answer."""
        unchanged = self._unchanged(target)
        said = []
        for gateway, newest in self._newest.items():
            lacking = [iri for iri, listed in unchanged.items() if newest.get(iri) != [listed.version]]
            if lacking:
                said.append(f"{gateway} does not give {len(lacking)} as they are, for instance {lacking[0]}")
        return said

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(90)

    def _read(self) -> None:
        number = 0
        while not self._stop.wait(_PAUSE):
            number += 1
            gateway = self._gateways[number % len(self._gateways)]
            settled = self._unchanged(self._settled)
            try:
                answer = requests.post(
                    f"{gateway}/sparql",
                    data={"query": _QUERY},
                    headers={"Accept": "application/sparql-results+json"},
                    timeout=60,
                )
            except requests.RequestException:
                self.answers["no answer"] += 1
                continue
            completeness = answer.headers.get("Catena-Completeness", "").partition(";")[0]
            self.answers[completeness or f"status {answer.status_code}"] += 1
            if completeness == "complete":
                self._judge(gateway, settled, answer.json()["results"]["bindings"])

    def _unchanged(self, offerings: Mapping[str, Listed]) -> dict[str, Listed]:
        newest = self._ledger.copy()
        return {iri: listed for iri, listed in offerings.items() if newest.get(iri) is listed}

    def _judge(self, gateway: str, settled: Mapping[str, Listed], rows: list[dict[str, dict[str, str]]]) -> None:
        """Judge a complete answer.

        Args:
            gateway: Who gave it.
            settled: The offerings that were settled when it was asked.
            rows: The answer.
        """
        found: dict[str, list[int]] = collections.defaultdict(list)
        for row in rows:
            found[row["g"]["value"]].append(int(row["v"]["value"]))
        given = self._given[gateway]
        lacking = [iri for iri in self._unchanged(given) if iri not in found]
        older = [iri for iri, listed in given.items() if iri in found and min(found[iri]) < listed.version]
        double = [iri for iri, versions in found.items() if len(versions) > 1]
        unknown = [iri for iri, versions in found.items() if not self._ledger.ever.get(iri, set()).issuperset(versions)]
        problems = {"lacks": lacking, "has an older version of": older, "gives twice": double, "made up": unknown}
        said = [f"{word} {len(iris)}, for instance {iris[0]}" for word, iris in problems.items() if iris]
        if said:
            self.wrong.append(f"{time.strftime('%H:%M:%S')} {gateway} said complete, but {'; '.join(said)}")
        given.update({iri: listed for iri, listed in settled.items() if found.get(iri) == [listed.version]})
        self._newest[gateway] = found
