"""Explanations: what they add up to, and how they read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from federation.analysis.plan import Plan
from federation.engine import Answer, Engine
from federation.protocol.explain import Explanation, as_text, explanation
from federation.source_selection import Snapshot, Source
from federation.trace import Step
from tests.helpers.sparql_node import running_nodes

PULL = "SELECT ?s ?p ?o ?g WHERE { { GRAPH ?g { ?s ?p ?o } } }"
OTHER_PULL = "SELECT ?s ?p ?o ?g WHERE { { VALUES ?g { <urn:g1> } GRAPH ?g { ?s ?p ?o } } }"
QUERY = "SELECT * { ?s ?p ?o }"
STEPS = (
    Step("ask", "node_2", PULL, 12, 3456, 0.0045),
    Step("ask", "node_10", PULL, 1200, 345678, 0.0123),
    Step("ask", "node_3", OTHER_PULL, 0, 0, 1.5),
    Step("sift", "node_10", "", 600, 345678, 0.002),
    Step("evaluate", "", QUERY, -1, 100000, 0.03),
)


def answer(
    steps: Sequence[Step] = STEPS,
    tier: str = "B",
    missing: tuple[str, ...] = (),
    cached: bool = False,
) -> Answer:
    return Answer(b"x" * 2000, "text/csv", missing, Plan("SELECT", ()), steps, tier, cached)


def text_of(
    *args: object,
    seconds: float | None = 1.56,
    width: int = 100,
    reasons: Sequence[str] = ("subjects may stand in several graphs",),
    **more: object,
) -> str:
    told = explanation(answer(*args, **more), seconds)  # type: ignore[arg-type]
    told["reasons"] = list(reasons)
    return as_text(told, width)


class _Growing(list[Step]):
    """Steps to which a late answer of a node adds one each time they are read."""

    def __iter__(self) -> Iterator[Step]:
        seen = list(super().__iter__())
        self.append(STEPS[0])
        return iter(seen)


def test_the_totals_are_those_of_the_steps_shown_while_late_answers_come() -> None:
    told = explanation(answer(_Growing(STEPS)))

    assert len(told["steps"]) == len(STEPS)
    assert told["totals"]["work_seconds"] == pytest.approx(1.5488)


def test_the_totals_are_those_of_the_nodes_and_of_all_steps() -> None:
    told = explanation(answer(), 1.56)

    assert told["totals"] == {
        "seconds": 1.56,
        "work_seconds": pytest.approx(1.5488),
        "requests": 3,
        "rows": 1212,
        "bytes_pulled": 349134,
        "bytes_of_result": 2000,
    }


def test_every_step_stands_in_it_in_order_with_the_exact_query() -> None:
    told = explanation(answer())

    assert [step["node"] for step in told["steps"]] == ["node_2", "node_10", "node_3", "node_10", None]
    assert [step["query"] for step in told["steps"]] == [PULL, PULL, OTHER_PULL, None, QUERY]
    assert [step["rows"] for step in told["steps"]] == [12, 1200, 0, 600, None]
    assert told["steps"][1] == {
        "what": "ask",
        "node": "node_10",
        "query": PULL,
        "rows": 1200,
        "bytes": 345678,
        "milliseconds": 12.3,
    }


def test_it_can_be_written_as_json_and_read_again() -> None:
    told = explanation(answer(missing=("node_4",)), 0.1)

    assert msgspec.json.decode(json.dumps(told), type=Explanation) == told


@pytest.mark.parametrize(
    ("tier", "words"),
    [("A", "joined and filtered at the nodes"), ("B", "pulled from the nodes"), ("view", "own store of every graph")],
)
def test_a_tier_is_told_in_words(tier: str, words: str) -> None:
    assert words in explanation(answer(tier=tier))["meaning"]
    assert f"SELECT, tier {tier}, complete\nTier {tier}: " in text_of(tier=tier)


def test_a_tier_without_words_is_named_all_the_same() -> None:
    assert text_of(tier="C").startswith("SELECT, tier C, complete\nCost: ")


def test_what_is_missing_is_named() -> None:
    assert explanation(answer(missing=("node_4", "node_5")))["completeness"] == "partial"
    assert "partial: graphs of node_4, node_5 may be missing\n" in text_of(missing=("node_4", "node_5"))


def test_a_kept_result_cost_nothing() -> None:
    text = text_of((), cached=True, seconds=0.0004)

    assert text.startswith("SELECT, tier B, kept as a whole from an earlier request, complete\n")
    assert "Cost: 0.4 ms; no node was asked; the result has 2,000 bytes of text/csv.\n" in text
    assert text.endswith("Steps, in the order in which they ended\n  none\n")


def test_steps_of_a_kept_result_are_told_to_be_those_of_then() -> None:
    assert "\nSteps of that earlier request, in the order" in text_of(cached=True)


def test_time_that_nobody_measured_is_told_as_work() -> None:
    assert "Cost: 1,548.8 ms of work, what was done side by side counted each; 1,212 rows" in text_of(seconds=None)


def test_reasons_are_sentences() -> None:
    text = text_of(reasons=("subjects may stand in several graphs", "A path is used."))

    assert "\nWhy\n  - Subjects may stand in several graphs.\n  - A path is used.\n" in text


def test_no_reasons_have_no_heading() -> None:
    assert "Why" not in text_of(reasons=())


def test_the_table_is_aligned() -> None:
    lines = text_of().split("\n")
    heading = lines.index("     what      node     query   rows    bytes       ms")

    assert lines[heading + 1 : heading + 6] == [
        "  1  ask       node_2   [1]       12    3,456      4.5",
        "  2  ask       node_10  [1]    1,200  345,678     12.3",
        "  3  ask       node_3   [2]        0        0  1,500.0",
        "  4  sift      node_10           600  345,678      2.0",
        "  5  evaluate  here                   100,000     30.0",
    ]


def test_each_query_is_shown_once_with_the_nodes_that_it_went_to() -> None:
    text = text_of()

    assert f"\nSent to the nodes\n  [1] to node_10, node_2\n      {PULL}\n  [2] to node_3\n      {OTHER_PULL}\n" in text
    assert text.count(PULL) == 1
    assert QUERY not in text


def test_a_query_is_shown_as_it_was_sent() -> None:
    query = "SELECT ?s {\n    ?s ?p ?o  # all\n}"
    text = text_of([Step("ask", "node_1", query, 1, 10, 0.001)])
    assert text.endswith("  [1] to node_1\n      SELECT ?s {\n          ?s ?p ?o  # all\n      }\n")


def test_a_long_query_is_cut() -> None:
    text = text_of([Step("ask", "node_1", "ASK {" + "x" * 10_000, 1, 10, 0.001)])
    assert text.endswith("x\n      … 6,005 more characters; the explanation in JSON has them all\n")


def test_words_of_the_table_are_told() -> None:
    text = text_of()

    assert "ask: a node answers a query; sift: of its rows, one copy of each graph is taken" in text
    assert "keep:" not in text


def test_nothing_is_wider_than_the_terminal() -> None:
    node = "https://node.example.org:3030/a/long/path/to/the/catalogue"
    steps = [Step("ask", f"{node}/{n}", f"{PULL} # {n}", 10**7, 10**9, 10.0) for n in range(5)]
    reasons = ("a reason " * 40,)

    for width in (80, 100):
        lines = text_of(steps, missing=(node,) * 9, reasons=reasons, width=width).split("\n")
        assert max(map(len, lines)) <= width


def test_what_is_left_out_of_long_plans_is_told() -> None:
    steps = [Step("ask", "node_1", f"ASK {{ <urn:{n}> ?p ?o }}", 1, 10, 0.001) for n in range(100)]

    text = text_of(steps)

    assert "\n  60  ask " in text
    assert "\n  … 40 more steps; the explanation in JSON has them all\n" in text
    assert text.endswith("  … 88 more queries; the explanation in JSON has them all\n")


def test_what_a_terminal_would_obey_is_escaped() -> None:
    steps = [Step("ask\x1b[2J", "node\x1b[31m", "ASK { ?s ?p '\x1b[1m' }", 1, 10, 0.001)]

    text = text_of(steps, missing=("gone\x07",), reasons=("b\x1bcause",))

    assert all(line.isprintable() for line in text.split("\n"))
    assert r"node\x1b[31m" in text
    assert r"B\x1bcause." in text


def test_an_answer_of_the_engine_is_explained() -> None:
    engine = Engine(timeout=300, source_timeout=120, workers=1)
    try:
        with running_nodes(2) as nodes:
            for node in nodes:
                node.store.update("INSERT DATA { GRAPH <urn:g> { <urn:s> <urn:p> 1, 2 } }")
            sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
            given = engine.query(
                "SELECT ?s { ?s <urn:p> ?o }", Snapshot(sources, {"urn:g": "node0"}), media_type="text/csv"
            )
            asked = {query for node in nodes for query in node.queries}
    finally:
        engine.close()

    told = explanation(given)

    sent = {step["query"] for step in told["steps"] if step["node"] and step["query"]}
    assert told["tier"] in ("A", "B")
    assert told["totals"]["bytes_of_result"] == len(given.body) == len("s\r\nurn:s\r\nurn:s\r\n")
    assert told["totals"]["requests"] >= 1
    assert sent and sent <= asked
    assert "Sent to the nodes" in as_text(told)
