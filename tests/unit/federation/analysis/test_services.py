"""SERVICE: queries that call other servers, those that the operator allows and no others."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import certifi
import flask
import pyoxigraph
import pytest
from flask.testing import FlaskClient

from catena_core.monitoring.logs import LinkLogger
from federation.analysis.analyse import analyse
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.analysis.services import check_services
from federation.engine import Engine
from federation.errors import (
    QueryCancelledError,
    QueryRefusedError,
    QuerySyntaxError,
    QueryTimeoutError,
    ServerStoppingError,
    ServiceFailedError,
)
from federation.protocol.sparql import sparql_blueprint
from federation.source_selection import Snapshot, Source
from tests.helpers.sparql_node import Node, put, running_nodes
from tests.helpers.waiting import eventually
from topology.gateway.engine_factory import make_engine
from topology.settings import load

JSON = "application/sparql-results+json"
GRAPHS = {
    "urn:g1": "<urn:a> <urn:p> 1 ; <urn:same> <urn:b> . <urn:b> <urn:p> 2 .",
    "urn:g2": "<urn:c> <urn:p> 3 . <urn:a> <urn:p> 1 .",
}
CALL = "SERVICE <URL> { ?s <urn:q> ?z }"
ALL_CALLS = {
    "joined": f"SELECT * {{ ?s <urn:p> ?o {CALL} }}",
    "alone": f"SELECT * {{ {CALL} }}",
    "first": f"SELECT * {{ {CALL} ?s <urn:p> ?o }}",
    "between": f"SELECT * {{ ?s <urn:p> ?o {CALL} ?s <urn:same> ?t }}",
    "narrowed by what it finds": f"SELECT * {{ ?s <urn:p> ?o {CALL} FILTER(?z = 'zb') }}",
    "the same terms": "SELECT * { SERVICE <URL> { ?s <urn:p> ?o } MINUS { ?s <urn:same> ?t } }",
    "optional": f"SELECT * {{ ?s <urn:p> ?o OPTIONAL {{ {CALL} FILTER(?o > 1) }} }}",
    "in a sub-select": f"SELECT * {{ ?s <urn:p> ?o {{ SELECT ?s (COUNT(?z) AS ?n) {{ {CALL} }} GROUP BY ?s }} }}",
    "in a graph": f"SELECT * {{ GRAPH ?g {{ ?s <urn:p> ?o {CALL} }} }}",
    "in a union": f"SELECT * {{ ?s <urn:p> ?o {{ {CALL} }} UNION {{ ?s <urn:same> ?z }} }}",
    "in EXISTS": f"SELECT * {{ ?s <urn:p> ?o FILTER NOT EXISTS {{ {CALL} }} }}",
    "in MINUS": f"SELECT * {{ ?s <urn:p> ?o MINUS {{ {CALL} }} }}",
    "silent": f"SELECT * {{ ?s <urn:p> ?o {CALL.replace('SERVICE', 'service silent')} }}",
    "twice": f"SELECT * {{ ?s <urn:p> ?o {CALL} SERVICE <URL> {{ ?t <urn:q> 'zb' }} }}",
    "by a prefixed name": f"PREFIX x: <URL> SELECT * {{ ?s <urn:p> ?o {CALL.replace('<URL>', 'x:')} }}",
    "by a relative address": f"BASE <URL> SELECT * {{ ?s <urn:p> ?o {CALL.replace('<URL>', '<>')} }}",
    "from variables that it binds": "SELECT * { SERVICE <URL> { ?s <urn:q> ?z } ?s <urn:same>* ?t }",
}
# Each of these calls EVIL where pyoxigraph evaluates it, and looks as if it did not.
HIDDEN = {
    "joined to a word, and no other": "SELECT * { ?s ?p trueSERVICE <EVIL> {} }",
    "joined to a word": "SELECT * { SERVICE <URL> {} ?s ?p trueSERVICE <EVIL> {} }",
    "joined to a number": "SELECT * { SERVICE <URL> {} ?s ?p 1e5SERVICE <EVIL> {} }",
    "before SILENT": "SELECT * { SERVICE <URL> {} SERVICESILENT<EVIL> {} }",
    "before a prefix": "PREFIX x: <EVIL> SELECT * { SERVICE <URL> {} SERVICEx:{ ?s ?p ?o } }",
    "after a comparison": "SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<?b)SERVICE#>\n<EVIL> {} }",
    "after a comparison and a comment": (
        'SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<?b)#>"""\nSERVICE <EVIL> {} #"""\n }'
    ),
    "after a comparison with a string": "SELECT * { SERVICE <URL> {} ?a ?p ?b FILTER(?a<'>') SERVICE <EVIL> {} # '\n }",
    "after a string with an odd escape": 'SELECT * { SERVICE <URL> {} VALUES ?x { """a" } SERVICE <EVIL> {} #\\q"""\n }',
    "after a long prefix": (
        f"PREFIX {'x' * 70}: <urn:> SELECT * {{ SERVICE <URL> {{}} ?s ?p {'x' * 70}:a\\' SERVICE <EVIL> {{}} #'\n }}"
    ),
    "in another one": "SELECT * { SERVICE <URL> { SERVICE <EVIL> {} } }",
    "after BASE": "BASE <EVIL> SELECT * { SERVICE <URL> {} SERVICE <> {} }",
}


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    """Two nodes with a copy of everything."""
    with running_nodes(2) as nodes:
        for node in nodes:
            for graph, turtle in GRAPHS.items():
                put(node, graph, turtle)
        yield nodes


@pytest.fixture(scope="module")
def others() -> Iterator[list[Node]]:
    """Two other servers."""
    with running_nodes(2) as others:
        for other in others:
            other.media_type = JSON
        yield others


@pytest.fixture
def service(others: list[Node]) -> Iterator[Node]:
    """Another server."""
    service = others[0]
    service.queries.clear()
    service.store.update("""DROP ALL ; INSERT DATA {
        <urn:a> <urn:q> "za" ; <urn:p> 1 . <urn:b> <urn:q> "zb", "zbb" . <urn:x> <urn:q> "zb" ; <urn:p> 5 .
        GRAPH <urn:g1> { <urn:a> <urn:q> "in a graph" }
    }""")
    yield service
    service.fault = ""


@pytest.fixture
def evil(others: list[Node]) -> Node:
    """One that is not allowed."""
    others[1].queries.clear()
    return others[1]


@pytest.fixture(scope="module")
def down() -> Node:
    """One that listens no more."""
    with running_nodes(1) as [down]:
        pass
    return down


def engine_for(*services: Node, timeout: float = 300) -> Engine:
    hosts = frozenset(urlsplit(service.url).netloc for service in services)
    return Engine(timeout=timeout, workers=1, cache_ttl=60, services=hosts)


@pytest.fixture(scope="module")
def engine(others: list[Node], down: Node) -> Iterator[Engine]:
    engine = engine_for(others[0], down)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def closed_engine() -> Iterator[Engine]:
    """One that calls nobody."""
    engine = Engine(timeout=300, workers=1)
    yield engine
    engine.close()


def snapshot(nodes: list[Node]) -> Snapshot:
    sources = tuple(Source(f"node{n}", node.url) for n, node in enumerate(nodes))
    return Snapshot(sources, dict.fromkeys(GRAPHS, "node0"), frozenset(), (), "1")


def rows(body: bytes) -> Counter[tuple[tuple[str, str], ...]]:
    bindings: list[Mapping[str, Mapping[str, str]]] = json.loads(body)["results"]["bindings"]
    return Counter(tuple(sorted((name, term["value"]) for name, term in binding.items())) for binding in bindings)


def client_of(engine: Engine, nodes: list[Node]) -> FlaskClient:
    app = flask.Flask(__name__)
    app.register_blueprint(sparql_blueprint(engine, lambda _: snapshot(nodes)))
    return app.test_client()


def expected(text: str) -> Counter[tuple[tuple[str, str], ...]]:
    """Ask one store that has everything, and calls the same server."""
    store = pyoxigraph.Store()
    for graph, turtle in GRAPHS.items():
        for quad in pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE):
            store.add(quad)
            store.add(pyoxigraph.Quad(quad.subject, quad.predicate, quad.object, pyoxigraph.NamedNode(graph)))
    solutions = store.query(text)
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    body = solutions.serialize(format=pyoxigraph.QueryResultsFormat.JSON)
    assert body is not None
    return rows(body)


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


class TestFaults:
    @pytest.mark.parametrize("fault", ["error", "cut", "wrong", "down"])
    def test_a_service_that_fails_is_told(
        self, nodes: list[Node], service: Node, down: Node, engine: Engine, fault: str
    ) -> None:
        service.fault = fault
        url = down.url if fault == "down" else service.url
        with pytest.raises(ServiceFailedError, match=re.escape(f"SERVICE <{url}> failed: ")):
            engine.query(ALL_CALLS["joined"].replace("URL", url), snapshot(nodes))

    @pytest.mark.parametrize("fault", ["error", "wrong", "down"])
    def test_a_silent_one_that_fails_binds_nothing(
        self, nodes: list[Node], service: Node, down: Node, engine: Engine, fault: str
    ) -> None:
        service.fault = fault
        url = down.url if fault == "down" else service.url
        answer = engine.query(ALL_CALLS["silent"].replace("URL", url), snapshot(nodes))
        assert rows(answer.body) == expected("SELECT * { ?s <urn:p> ?o }")

    @pytest.mark.parametrize("form", ["SELECT *", "ASK"])
    def test_a_server_without_tls_is_not_talked_to_over_tls(
        self, nodes: list[Node], service: Node, form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", certifi.where())  # whatever this machine trusts
        engine = engine_for(service)
        url = service.url.replace("http:", "https:")
        try:
            with pytest.raises(ServiceFailedError, match=re.escape(f"SERVICE <{url}> failed: ")):
                engine.query(ALL_CALLS["joined"].replace("URL", url).replace("SELECT *", form), snapshot(nodes))
        finally:
            engine.close()
        assert not service.queries

    def test_a_redirect_is_not_followed(self, nodes: list[Node], service: Node, evil: Node, engine: Engine) -> None:
        service.fault = f"redirect {evil.url}"
        with pytest.raises(ServiceFailedError, match="redirect"):
            engine.query(ALL_CALLS["joined"].replace("URL", service.url), snapshot(nodes))
        assert service.queries and not evil.queries

    @pytest.mark.slow
    def test_a_service_that_hangs_stops_its_own_query_only(self, nodes: list[Node], service: Node) -> None:
        service.fault = "hang"
        engine = engine_for(service, timeout=600)
        text = ALL_CALLS["silent"].replace("URL", service.url)
        gone = threading.Event()

        def call() -> None:
            engine.query_with_failover(text, lambda avoided: snapshot(nodes), cancelled=gone.is_set)

        try:
            with ThreadPoolExecutor(1) as threads:
                calling = threads.submit(call)
                eventually(lambda: service.queries)
                answer = engine.query("SELECT * { ?s <urn:p> ?o }", snapshot(nodes))
                assert rows(answer.body) == expected("SELECT * { ?s <urn:p> ?o }")
                assert not calling.done()
                gone.set()
                with pytest.raises(QueryCancelledError):
                    calling.result()
            with pytest.raises(QueryTimeoutError, match=re.escape(service.url)):
                engine.query_with_failover(text, lambda avoided: snapshot(nodes), timeout=2)
            service.fault = ""
            answer = engine.query(ALL_CALLS["joined"].replace("URL", service.url), snapshot(nodes))
            assert rows(answer.body)
        finally:
            engine.close()

    def test_a_result_that_is_too_large_ends_the_process_that_reads_it_and_no_other(
        self, nodes: list[Node], service: Node
    ) -> None:
        service.fault = "endless"
        engine = Engine(timeout=60, workers=1, worker_memory=2**28, services=frozenset({urlsplit(service.url).netloc}))
        try:
            with pytest.raises(QueryRefusedError, match="memory"):
                engine.query(
                    f"SELECT (COUNT(*) AS ?n) {{ {{ SELECT DISTINCT ?z {{ SERVICE <{service.url}> {{ ?s <urn:q> ?z }} }} }} }}",
                    snapshot(nodes),
                )
            assert rows(engine.query("SELECT * { ?s <urn:p> ?o }", snapshot(nodes)).body)
        finally:
            engine.close()


class TestProtocol:
    def test_statuses(self, nodes: list[Node], service: Node, engine: Engine) -> None:
        client = client_of(engine, nodes)

        def answer(text: str) -> tuple[int, str]:
            response = client.get("/sparql", query_string={"query": text.replace("URL", service.url)})
            return response.status_code, response.get_data(as_text=True)

        assert answer(ALL_CALLS["joined"])[0] == 200
        status, told = answer("SELECT * { SERVICE <http://b.example/> {} }")
        assert status == 403 and "SPARQL_SERVICES" in told and "b.example" in told
        assert answer("SELECT * { SERVICE ?x {} }")[0] == 403
        service.fault = "error"
        status, told = answer(ALL_CALLS["joined"])
        assert status == 502 and service.url in told

    def test_a_service_that_hangs(self, nodes: list[Node], service: Node) -> None:
        service.fault = "hang"
        engine = engine_for(service, timeout=60)
        try:
            text = ALL_CALLS["joined"].replace("URL", service.url)
            engine.prepare(text)  # the time of the request is not for starting a process and reading the query
            response = client_of(engine, nodes).get("/sparql", query_string={"query": text, "timeout": "2"})
            assert response.status_code == 504
            assert service.url in response.get_data(as_text=True)
        finally:
            engine.close()

    def test_the_description_tells_whether_there_are_any(
        self, nodes: list[Node], engine: Engine, closed_engine: Engine
    ) -> None:
        for one, tells in ((engine, True), (closed_engine, False)):
            described = client_of(one, nodes).get("/sparql").get_data(as_text=True)
            assert ("sd:BasicFederatedQuery" in described) is tells
            assert "sd:UnionDefaultGraph" in described

    def test_the_setting_names_the_hosts(self, service: Node) -> None:
        host = urlsplit(service.url).netloc
        settings = load({"SPARQL_SERVICES": f"A.example, {host}", "SPARQL_WORKERS": "1"}, file="there is none")
        engine = make_engine(settings, LinkLogger("test"), has_topics=False)
        try:
            assert engine.prepare(ALL_CALLS["joined"].replace("URL", service.url)).plan.services == (service.url,)
            assert engine.prepare("ASK { SERVICE <http://a.example/sparql> {} }").plan.services
            with pytest.raises(QueryRefusedError, match=r"does not name a\.example:8080"):
                engine.prepare("ASK { SERVICE <http://a.example:8080/sparql> {} }")
        finally:
            engine.close()

    def test_a_server_that_stops_says_so(self, nodes: list[Node]) -> None:
        engine = Engine(timeout=10, workers=1)
        engine.close()
        with pytest.raises(ServerStoppingError):
            engine.prepare("ASK {}")
        response = client_of(engine, nodes).get("/sparql", query_string={"query": "ASK {}"})
        assert (response.status_code, "Retry-After" in response.headers) == (503, True)
