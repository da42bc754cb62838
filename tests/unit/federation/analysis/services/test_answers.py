"""Queries that call a service are answered as by one store that calls the same one."""

from __future__ import annotations

from collections import Counter

import pyoxigraph
import pytest

from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.engine import Engine
from federation.errors import (
    QueryRefusedError,
)
from tests.helpers.services import ALL_CALLS, expected, rows, snapshot
from tests.helpers.sparql_node import Node


class TestAnswers:
    def test_are_those_of_one_store_that_calls_the_same_server(
        self, nodes: list[Node], service: Node, engine: Engine
    ) -> None:
        for what, text in ALL_CALLS.items():
            text = text.replace("URL", service.url)
            want = expected(text)
            service.queries.clear()
            answer = engine.query(text, snapshot(nodes))
            assert (rows(answer.body), answer.missing) == (want, ()), what
            assert want and service.queries, what
            assert not answer.plan.pulls_everything, what

    def test_what_the_service_is_asked_is_not_pulled(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        nodes[0].queries.clear()
        engine.query(ALL_CALLS["joined"].replace("URL", service.url), snapshot(nodes))
        assert nodes[0].queries and not any("urn:q" in query for query in nodes[0].queries)

    def test_are_never_kept(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        text = ALL_CALLS["joined"].replace("URL", service.url)

        def answer() -> Counter[tuple[tuple[str, str], ...]]:
            found = engine.query_with_failover(text, lambda _: snapshot(nodes))
            assert not found.cached and found.tier != "view"
            return rows(found.body)

        before = answer()
        service.store.update('INSERT DATA { <urn:c> <urn:q> "new" }')
        assert answer() - before == expected(text) - before != Counter()

    def test_describe(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        text = f"DESCRIBE ?s {{ SERVICE <{service.url}> {{ ?s <urn:q> 'zb' }} }}"
        for _ in range(2):
            answer = engine.query_with_failover(text, lambda _: snapshot(nodes))
            assert answer.tier != "view"
            described = {str(triple.predicate) for triple in pyoxigraph.parse(answer.body, pyoxigraph.RdfFormat.TURTLE)}
            assert described == {"<urn:p>"}

    def test_construct(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        text = f"CONSTRUCT {{ ?s <urn:new> ?z }} {{ ?s <urn:p> 2 SERVICE <{service.url}> {{ ?s <urn:q> ?z }} }}"
        assert engine.query(text, snapshot(nodes)).body.count(b"urn:new") >= 1

    def test_ask(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        for letter, answer in (("a", b"true"), ("x", b"false")):
            text = f"ASK {{ ?s <urn:p> ?o SERVICE <{service.url}> {{ ?s <urn:q> 'z{letter}' }} }}"
            assert answer in engine.query(text, snapshot(nodes)).body
        assert len(service.queries) == 2


class TestPlans:
    def test_what_stands_in_a_service_is_no_pattern(self) -> None:
        plan = analyse("SELECT * { ?s <urn:p> ?o SERVICE <http://x/> { ?s <urn:q> ?z FILTER(?s = <urn:a>) } }")
        assert plan.patterns == (Pattern(DEFAULT_GRAPH, None, "<urn:p>", None),)
        assert plan.others == plan.patterns and not plan.bgps and not plan.joins
        assert plan.services == ("http://x/",) and plan.is_volatile

    def test_what_stands_before_a_service_in_its_line_is_no_comment(self) -> None:
        text = "PREFIX : <http://a/#> SELECT * { ?s <http://b/#p> '#' SERVICE :s { ?s :p ?o } # SERVICE\n }"
        assert analyse(text).patterns == (Pattern(DEFAULT_GRAPH, None, "<http://b/#p>", '"#"'),)

    def test_a_service_sees_no_graph(self) -> None:
        plan = analyse("SELECT * { GRAPH ?g { SERVICE SILENT <http://x/> { GRAPH <urn:g> { ?s <urn:q> ?z } } } }")
        assert plan.patterns == ()
        assert plan.graph_names == {ANY_NAMED_GRAPH}

    def test_variables_that_it_binds_anchor_nothing(self) -> None:
        everything = Pattern(DEFAULT_GRAPH)
        assert everything in analyse("SELECT * { SERVICE <http://x/> { ?s <urn:q> ?z } ?s <urn:p>* ?t }").patterns
        assert everything not in analyse("SELECT * { ?s <urn:q> ?z . ?s <urn:p>* ?t }").patterns

    def test_it_splits_what_is_joined(self) -> None:
        apart = analyse("SELECT * { GRAPH ?g { ?s <urn:p> ?o SERVICE <http://x/> { ?o <urn:q> ?z } ?o <urn:r> 1 } }")
        together = analyse("SELECT * { GRAPH ?g { ?s <urn:p> ?o . ?o <urn:r> 1 } }")
        assert [len(bgp.triples) for bgp in together.bgps] == [2]
        assert all(len(bgp.triples) == 1 for bgp in apart.bgps)

    def test_addresses_are_read_as_the_evaluator_reads_them(self) -> None:
        text = (
            "BASE <http://a/b/> PREFIX x: <http://c/> SELECT * { SERVICE <d> {} SERVICE x:e {} SERVICE silent x:e {} }"
        )
        assert analyse(text).services == ("http://a/b/d", "http://c/e")

    def test_the_addresses_of_another_query_are_not_taken(self, service: Node, engine: Engine) -> None:
        """Plans are kept by the shape of queries."""
        ours = engine.prepare(f"SELECT * {{ ?s <urn:p> 'word' SERVICE <{service.url}> {{}} }}")
        assert ours.plan.services == (service.url,)
        with pytest.raises(QueryRefusedError, match=r"does not name other\.example"):
            engine.prepare("SELECT * { ?s <urn:p> 'word' SERVICE <http://other.example/sparql> {} }")
        for _ in range(2):
            with pytest.raises(QueryRefusedError, match=r"does not name other\.example"):
                engine.prepare("SELECT * { ?s <urn:p> 'other' SERVICE SILENT <http://other.example/sparql> {} }")
