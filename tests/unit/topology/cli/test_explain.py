"""``catena explain``: what it asks a gateway, how it shows the plan, and what it says when there is none."""

from __future__ import annotations

import json

import pytest

from federation.protocol.explain import as_text
from tests.helpers.explaining import PLAN, QUERY, explain, form
from tests.helpers.odd_server import OddServer, saying

pytestmark = pytest.mark.usefixtures("own_folder")


def test_the_plan_is_shown(gateway: OddServer) -> None:
    assert explain("-u", gateway.url, QUERY) == as_text(PLAN)


def test_the_query_is_sent_with_explain(gateway: OddServer) -> None:
    query = "SELECT * { ?s ?p 'é & + 日' }"

    explain("-u", gateway.url, query)

    assert form(gateway) == {"query": [query], "explain": ["json"]}
    assert gateway.asked[-1].headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert gateway.asked[-1].headers["Accept"] == "*/*"
    assert "Cache-Control" not in gateway.asked[-1].headers


def test_caches_are_passed_and_a_format_is_asked_for_on_demand(gateway: OddServer) -> None:
    explain("-u", gateway.url, "--no-cache", "--accept", "text/csv", QUERY)

    assert gateway.asked[-1].headers["Cache-Control"] == "no-cache"
    assert gateway.asked[-1].headers["Accept"] == "text/csv"


def test_json_is_the_explanation_whole_and_in_ascii(gateway: OddServer) -> None:
    output = explain("-u", gateway.url, "--json", QUERY)

    assert json.loads(output) == PLAN
    assert output.isascii()


@pytest.mark.parametrize("body", [b"", b"s,p,o\r\n", b'{"head": {}, "results": {}}', b"\xff"])
def test_a_server_that_does_not_explain_is_told_from_a_gateway(gateway: OddServer, body: bytes) -> None:
    gateway.answers["POST /sparql"] = saying(body)

    assert "answers, but not with an explanation: it is no gateway of Catena" in explain(
        "-u", gateway.url, QUERY, status=1
    )


def test_the_help_has_examples() -> None:
    output = explain("--help")

    assert "Examples:\n    catena explain 'SELECT" in output
