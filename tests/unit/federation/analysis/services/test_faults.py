"""Services that fail, hang or send too much harm their own query only."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import certifi
import pytest

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from federation.errors import (
    QueryCancelledError,
    QueryRefusedError,
    QueryTimeoutError,
    ServerStoppingError,
    ServiceFailedError,
)
from tests.helpers.services import ALL_CALLS, client_of, engine_for, expected, rows, snapshot
from tests.helpers.sparql_node import Node
from tests.helpers.waiting import eventually
from topology.gateway.engine_factory import make_engine
from topology.settings import load


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
