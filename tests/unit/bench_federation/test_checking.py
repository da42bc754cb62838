"""The benchmark tells right answers from wrong ones."""

from __future__ import annotations

import json

from tests.bench.federation.checking import difference
from tests.bench.federation.client import Reply
from tests.bench.federation.queries import QUERIES, Query

DECIMAL = "http://www.w3.org/2001/XMLSchema#decimal"
PLAIN = Query("plain", "", "", "SELECT ?x ?y {}")
ORDERED = Query("ordered", "", "", "SELECT ?x ?y {} ORDER BY ?x")
DETAILS = next(query for query in QUERIES if query.concatenates)


def reply(*rows: tuple[str, ...], names: str = "xy", status: int = 200, completeness: str = "complete") -> Reply:
    bindings = [
        {
            name: {"type": "literal", "value": value, **({"datatype": DECIMAL} if value[0].isdigit() else {})}
            for name, value in zip(names, row, strict=True)
        }
        for row in rows
    ]
    body = json.dumps({"head": {"vars": list(names)}, "results": {"bindings": bindings}}).encode()
    return Reply(0.0, status, "application/sparql-results+json", body, completeness)


def test_rows_may_come_in_any_order_where_none_is_asked_for() -> None:
    one, other = reply(("a", "b"), ("c", "d")), reply(("c", "d"), ("a", "b"))
    assert difference(PLAIN, one, other) == ""
    assert difference(ORDERED, one, one) == ""
    assert "expected 2 rows" in difference(ORDERED, one, other)


def test_a_row_too_many_is_a_difference() -> None:
    assert "found 2 rows" in difference(PLAIN, reply(("a", "b")), reply(("a", "b"), ("a", "b")))


def test_an_answer_that_is_partial_or_refused_is_a_difference() -> None:
    right = reply(("a", "b"))
    assert "missing=node1" in difference(PLAIN, right, reply(("a", "b"), completeness="partial; missing=node1"))
    assert "status 503" in difference(PLAIN, right, reply(("a", "b"), status=503))


def test_concatenated_values_may_come_in_any_order_and_others_may_not() -> None:
    one, other, wrong = reply(("a|b", "c")), reply(("b|a", "c")), reply(("b|b", "c"))
    assert difference(DETAILS, one, other) == ""
    assert difference(PLAIN, one, other)
    assert difference(DETAILS, one, wrong)


def test_decimals_are_compared_by_value() -> None:
    assert difference(PLAIN, reply(("0.9260", "100")), reply(("0.926", "100.0"))) == ""
    assert difference(PLAIN, reply(("0.9260", "100")), reply(("0.9261", "100")))
