"""Queries and updates that would leave the node are told from those that only mention the word."""

from __future__ import annotations

import pytest

from sandbox.outbound import reaches_out


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://x.example/> { ?s ?p ?o } }",
        "SELECT * { service silent ?where { ?s ?p ?o } }",
        "PREFIX x: <http://x.example/> SELECT * {SERVICEx:a{?s ?p ?o}}",
        "PREFIX x: <http://x.example/> SELECT * {?s ?p trueSERVICE x:a {}}",
        "PREFIX x: <http://x.example/> SELECT * { ?s x:a\\#b ?o . SERVICE <http://x.example/> {} }",
        'SELECT * { ?s ?p "\\"" . SERVICE <http://x.example/> {} }',
        "SELECT * { ?s ?p '''it's''' . SERVICE <http://x.example/> {} }",
        'SELECT * { ?s ?p """a""" . SERVICE <http://x.example/> { ?s ?p """b""" } }',
        "SELECT * { FILTER(1 < 2) # <\n SERVICE <http://x.example/> {} }",
        "SELECT * { ?s <http://x.example/#> ?o . SERVICE <http://x.example/> {} }",
        "PREFIX x: <http://x.example/> SELECT * { ?s ?p x:a.SERVICE <http://x.example/> {} }",
        "LOAD <http://x.example/>",
        "INSERT DATA { <a:a> <a:a> <a:a> } ; LOAD SILENT <http://x.example/> INTO GRAPH <a:a>",
    ],
)
def test_what_reaches_out_is_found(text: str) -> None:
    assert reaches_out(text) in ("SERVICE", "LOAD")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { ?s ?p ?o }",
        "SELECT ?service { ?service a <https://x.example/Service> } # no SERVICE here",
        'SELECT * { ?s ?p "LOAD and SERVICE", \'service\', """a "quoted" SERVICE""" , "x"@service }',
        "PREFIX x: <https://x.example/> SELECT * { ?s a x:Service ; x:hasService $load }",
        "SELECT * { ?s ?p 'it\\'s a service' }",
    ],
)
def test_what_only_mentions_it_is_let_through(text: str) -> None:
    assert reaches_out(text) is None
