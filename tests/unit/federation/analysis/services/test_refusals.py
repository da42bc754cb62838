"""No service is called that the operator has not allowed, however it is written."""

from __future__ import annotations

import pyoxigraph
import pytest

from federation.analysis.analyse import analyse
from federation.analysis.services import check_services
from federation.engine import Engine
from federation.errors import (
    QueryRefusedError,
    QuerySyntaxError,
)
from tests.helpers.services import ALL_CALLS, HIDDEN, snapshot
from tests.helpers.sparql_node import Node


class TestRefusals:
    @pytest.mark.parametrize("text", ALL_CALLS.values(), ids=ALL_CALLS.keys())
    def test_where_the_host_is_not_allowed(self, closed_engine: Engine, service: Node, text: str) -> None:
        with pytest.raises(QueryRefusedError, match=r"SPARQL_SERVICES.* does not name 127\.0\.0\.1:"):
            closed_engine.prepare(text.replace("URL", service.url))
        assert not service.queries

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT * { SERVICE ?x { ?s ?p ?o } }",
            "SELECT * { SERVICE SILENT $x { ?s ?p ?o } }",
            "SELECT * { VALUES ?x { <URL> } SERVICE ?x { ?s ?p ?o } }",
            "SELECT * { BIND(<URL> AS ?x) SERVICE <URL> {} OPTIONAL { SERVICE ?x { ?s ?p ?o } } }",
        ],
    )
    def test_where_the_address_is_a_variable(self, engine: Engine, service: Node, text: str) -> None:
        with pytest.raises(QueryRefusedError, match=r"SPARQL_SERVICES .*variable"):
            engine.prepare(text.replace("URL", service.url))

    @pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
    def test_where_a_service_is_hidden(
        self, engine: Engine, nodes: list[Node], service: Node, evil: Node, text: str
    ) -> None:
        text = text.replace("URL", service.url).replace("EVIL", evil.url)
        store = pyoxigraph.Store()
        store.update("INSERT DATA { <urn:a> <urn:p> true, 1e5, <urn:b> ; <urn:a'> 1 }")
        solutions = store.query(text)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        list(solutions)
        assert evil.queries, "nothing is hidden in it"
        evil.queries.clear()
        with pytest.raises(QueryRefusedError, match="SERVICE"):
            engine.query(text, snapshot(nodes))
        assert not evil.queries

    def test_of_functions_that_nobody_knows_are_no_fault_of_the_service(self, engine: Engine, service: Node) -> None:
        with pytest.raises(QueryRefusedError, match="custom function"):
            engine.prepare(f"SELECT * {{ SERVICE <{service.url}> {{ ?s ?p ?o }} FILTER(<urn:f>(?o)) }}")
        assert not service.queries
        assert engine.prepare(
            f"SELECT * {{ SERVICE <{service.url}> {{ ?s ?p ?o FILTER(<urn:f>(?o)) }} }}"
        ).plan.services

    def test_where_one_asks_over_tls(self, closed_engine: Engine) -> None:
        for silent in ("", "SILENT"):
            with pytest.raises(QueryRefusedError, match=r"SPARQL_SERVICES.* does not name b\.example"):
                closed_engine.prepare(f"ASK {{ SERVICE {silent} <https://b.example/> {{}} }}")

    def test_that_tell_where_the_syntax_is_wrong(self, engine: Engine, service: Node) -> None:
        for call in (f"SERVICE <{service.url}> {{}}", f"SERVICE SILENT <{service.url}> {{}}"):
            text = f"SELECT * {{\n {call} ?s }}"
            with pytest.raises(QuerySyntaxError) as caught:
                engine.prepare(text)
            assert (caught.value.line, caught.value.column) == (2, text.splitlines()[1].rindex("}") + 1)
        assert not service.queries

    def test_where_characters_are_escaped(self, engine: Engine, service: Node) -> None:
        with pytest.raises(QueryRefusedError, match="escapes"):
            engine.prepare(f"SELECT * {{ SERVICE <{service.url}> {{ ?s ?p '\\u0041' }} }}")

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT ?service { ?service a x:Service ; x:has-service 'a \"service\"', '''SERVICE <x> {}''' CALL }",
            "SELECT * { ?s x:a \"a\\\"b\\n\\\\\" , 'it\\'s'@en, 1.5e3, true . FILTER(?a < ?b && ?b>?c) CALL } # SERVICE ?x {}",
            "SELECT * { ?s <http://x/service#a> ?o ; x:p <https://x/(service)?a='b'#c>, <urn:service:x>, _:b . CALL }",
        ],
    )
    def test_not_where_the_word_stands_elsewhere(self, text: str) -> None:
        plan = analyse("PREFIX x: <http://x/> " + text.replace("CALL", "SERVICE<http://x/y>{ ?s ?p ?o }"))
        assert plan.services == ("http://x/y",)

    @pytest.mark.parametrize(
        ("address", "hosts"),
        [
            ("http://a.example/sparql", "a.example"),
            ("http://a.example", "a.example"),
            ("http://a.example?x", "a.example"),
            ("HTTP://A.Example:80/", "a.example"),
            ("http://a.example/", "a.example:80"),
            ("https://a.example/", "a.example:443"),
            ("http://a.example:8080/sparql", "a.example:8080"),
            ("http://[::1]/sparql", "[::1]"),
            ("http://[::1]:81/sparql", "b.example,[::1]:81"),
        ],
    )
    def test_not_of_hosts_that_are_named(self, address: str, hosts: str) -> None:
        check_services([address], frozenset(hosts.split(",")))

    @pytest.mark.parametrize(
        "address",
        [
            "http://b.example/",
            "http://a.example.b.example/",
            "http://xa.example/",
            "http://a.example:8080/",
            "https://a.example:80/",
            "http://a.example@b.example/",
            "http://a.example:80@b.example/",
            "http://b.example#@a.example/",
            "http://b.example\\@a.example/",
            "http://a.example:/",
            "http://a.example./",
            "http://a%2eexample/",
            "http:a.example",
            "http:///a.example",
            "ftp://a.example/",
            "file:///a.example",
            "urn:a.example",
            "a.example",
            "",
        ],
    )
    def test_of_all_others(self, address: str) -> None:
        with pytest.raises(QueryRefusedError, match="SPARQL_SERVICES"):
            check_services(["http://a.example/", address], frozenset({"a.example"}))
