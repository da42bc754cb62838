"""What Comunica answers is judged as the gateway's answers are, but for IRIs that stand for blank nodes."""

from __future__ import annotations

from federation.skolem import skolem_iri
from tests.bench.federation.comunica import difference
from tests.differential.reference import Result, Row


def result(*rows: Row, names: tuple[str, ...] = ("x",)) -> Result:
    return Result(names, list(rows), None)


def test_rows_that_come_twice_are_told() -> None:
    assert difference(result(("a",)), result(("a",), ("a",)), ordered=False) == "2 rows in place of 1"


def test_rows_of_a_page_that_come_twice_are_told() -> None:
    told = difference(result(("a",), ("b",)), result(("a",), ("a",)), ordered=True)
    assert told == "for instance a in place of b"


def test_order_is_told() -> None:
    one, other = result(("a",), ("b",)), result(("b",), ("a",))
    assert difference(one, other, ordered=False) == ""
    assert difference(one, other, ordered=True) == "the right rows, in another order"


def test_it_need_not_know_which_iris_stand_for_blank_nodes() -> None:
    graph = "https://example.org/graph"
    found = result((f"<{skolem_iri(graph, 'c14n0')}>",), (f"<{skolem_iri(graph, 'c14n1')}>",))
    assert difference(result(("_:a",), ("_:b",)), found, ordered=False) == ""
    assert difference(result(("_:a",), ("<https://example.org/b>",)), found, ordered=False)


def test_nothing_is_right_where_there_is_nothing_though_it_names_no_variables_then() -> None:
    assert difference(result(), result(names=()), ordered=True) == ""
