"""Queries and quads for the processes that evaluate."""

from __future__ import annotations

from federation.budget import Budget, Limits
from federation.evaluation.messages import Evaluate

JSON = "application/sparql-results+json"
QUADS = b"".join(b"<urn:%d> <urn:p> <urn:%d> .\n" % (n, n * 7 % 3000) for n in range(3000))
ENDLESS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?a != ?d && ?d != ?g) }"


def soon(seconds: float = 300) -> Budget:
    return Budget(seconds, Limits())


def job(text: str, quads: bytes = b"", max_bytes: int = 10**6, graphs: tuple[str, ...] = ()) -> Evaluate:
    return Evaluate(text, quads, graphs, JSON, max_bytes)
