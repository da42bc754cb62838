"""``catena explain``, and the gateway that it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from click.testing import CliRunner

from federation.protocol.explain import Explanation
from tests.helpers.odd_server import OddServer, saying_json
from topology.cli.main import main

QUERY = "SELECT * { ?s ?p ?o }"
PLAN: Explanation = {
    "form": "SELECT",
    "tier": "B",
    "meaning": "triples are pulled",
    "reasons": ["subjects may stand in several graphs"],
    "completeness": "complete",
    "missing": [],
    "cached": False,
    "content_type": "text/csv",
    "totals": {
        "seconds": 0.05,
        "work_seconds": 0.06,
        "requests": 1,
        "rows": 12,
        "bytes_pulled": 3456,
        "bytes_of_result": 78,
    },
    "steps": [
        {"what": "ask", "node": "node_1", "query": "SELECT 'é'", "rows": 12, "bytes": 3456, "milliseconds": 45.0},
        {"what": "evaluate", "node": None, "query": QUERY, "rows": None, "bytes": 3456, "milliseconds": 15.0},
    ],
}


def explain(*arguments: str, status: int = 0, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    result = CliRunner().invoke(main, ["explain", *arguments], input=stdin, env=env)
    assert result.exit_code == status, result.output
    return result.output


def problem(detail: str, status: int, **members: Any) -> Callable[[Any], object]:
    return saying_json({"title": "No", "status": status, "detail": detail, **members}, status)


def form(gateway: OddServer) -> dict[str, list[str]]:
    return parse_qs(gateway.asked[-1].body.decode())
