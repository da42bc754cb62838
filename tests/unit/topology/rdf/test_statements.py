"""Expanded documents become statements; malformed terms cost their statement only, and there is a limit to all."""

from __future__ import annotations

from typing import Any

import pytest

from topology.rdf import statements
from topology.rdf.active_context import TooCostlyError
from topology.rdf.statements import Statements, to_statements

P = "https://vocabulary.example/p"
XSD = "http://www.w3.org/2001/XMLSchema#"


def read(*items: dict[str, Any], id_: str = "urn:s") -> Statements:
    return to_statements([{"@id": id_, P: list(items)}])


def value(literal: Any, **more: Any) -> str:
    (row,) = read({"@value": literal, **more}).rows
    return row[2]


@pytest.mark.parametrize(
    ("literal", "more", "written"),
    [
        ("text", {}, '"text"'),
        ('a "quoted"\n\\ text', {}, '"a \\"quoted\\"\\n\\\\ text"'),
        ("x", {"@type": f"{XSD}string"}, '"x"'),
        ("x", {"@language": "EN-gb"}, '"x"@en-gb'),
        ("x", {"@type": "urn:t"}, '"x"^^<urn:t>'),
        (True, {}, f'"true"^^<{XSD}boolean>'),
        (1, {}, f'"1"^^<{XSD}integer>'),
        (1.0, {}, f'"1"^^<{XSD}integer>'),
        (-0.5, {}, f'"-5.0E-1"^^<{XSD}double>'),
        (0, {"@type": f"{XSD}double"}, f'"0.0E0"^^<{XSD}double>'),
        (10**21, {}, f'"1.0E21"^^<{XSD}double>'),
        (10**20, {}, f'"{10**20}"^^<{XSD}integer>'),
        (7, {"@type": "urn:t"}, '"7"^^<urn:t>'),
    ],
)
def test_to_statements_writes_literals_canonically(literal: Any, more: dict[str, str], written: str) -> None:
    assert value(literal, **more) == written


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"@id": "no iri"}, "not an absolute IRI"),
        ({"@id": None}, "looks like a keyword"),
        ({"@value": "x", "@language": "no tag"}, "not a language tag"),
        ({"@value": "x", "@type": "no iri"}, "not an absolute IRI"),
        ({"@value": "x", "@type": "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"}, "no language"),
    ],
)
def test_to_statements_drops_the_statement_of_a_malformed_term_and_no_other(item: dict[str, Any], reason: str) -> None:
    found = read({"@value": 1}, item, {"@value": 2})

    assert [row[2][1] for row in found.rows] == ["1", "2"]
    assert found.dropped == 1
    assert reason in found.reasons[0]


def test_to_statements_tells_few_reasons_each_once_and_in_part() -> None:
    found = read(*({"@id": f"no iri {n % 7} {'x' * 1000}"} for n in range(20)))

    assert (found.dropped, len(found.reasons)) == (20, 5)
    assert max(map(len, found.reasons)) < 300


def test_to_statements_keeps_the_order_of_lists() -> None:
    found = read({"@list": [{"@value": "a"}, {"@value": "b"}]})
    rows = {(subject, predicate.rpartition("#")[2]): value for subject, predicate, value, _ in found.rows}
    cell = next(value for (_, predicate), value in rows.items() if predicate.endswith("/p>"))
    told = []
    while cell != "<http://www.w3.org/1999/02/22-rdf-syntax-ns#nil>":
        told.append(rows[cell, "first>"])
        cell = rows[cell, "rest>"]

    assert told == ['"a"', '"b"']


def test_to_statements_turns_reversed_properties_round_and_keeps_graphs_apart() -> None:
    found = to_statements(
        [{"@id": "urn:s", "@reverse": {P: [{"@id": "urn:o"}]}, "@graph": [{"@id": "urn:x", P: [{"@value": 1}]}]}]
    )

    assert {(row[0], row[2], row[3]) for row in found.rows} == {
        ("<urn:o>", "<urn:s>", ""),
        ("<urn:x>", f'"1"^^<{XSD}integer>', "<urn:s>"),
    }


def test_to_statements_gives_the_same_blank_node_to_the_same_label_alone() -> None:
    found = read({"@id": "_:a"}, {"@id": "_:a"}, {"@id": "_:b"}, {})

    first, second, third, fourth = (row[2] for row in found.rows)
    assert first == second
    assert len({first, third, fourth}) == 3
    assert len(found.quads) == 4


def test_to_statements_counts_those_that_it_drops_towards_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MOST_STATEMENTS", 10)
    assert len(read(*({"@value": n} for n in range(10))).rows) == 10

    for item in ({"@value": 1}, {"@id": "no iri"}):
        with pytest.raises(TooCostlyError, match="10 triples"):
            read(*[item] * 11)


def test_to_statements_bounds_the_characters_of_names_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_MOST_CHARACTERS", 10_000)
    with pytest.raises(TooCostlyError, match="characters"):
        read(*[{"@id": f"urn:{'x' * 1000}"}] * 20)
