"""One node, by both protocols: replaced whole, removed without fuss, and its moods told apart."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pyoxigraph as ox
import pytest

from sandbox import made_up_offerings
from tests.helpers.odd_server import Handler, OddServer, closed_port, saying, saying_json
from tests.helpers.sandbox_servers import Sandbox
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.node import NodeClient
from topology.clients.node_status import FailedError, RefusedError
from topology.rdf.offering_graph import Description, read_description
from topology.records import NodeProtocol

PROTOCOLS: list[NodeProtocol] = ["sedimark", "graph-store"]
ODD_NAME = "https://p.example/offering?a=1&b=ü#frag+ment"


def described(iri: str = "https://p.example/1", note: str = "a note") -> Description:
    document = {
        "@id": iri,
        "@type": "https://w3id.org/sedimark/ontology#Offering",
        "https://p.example/note": [note, {"https://p.example/by": "a blank node"}],
    }
    return read_description(json.dumps(document).encode(), "https://p.example/")


def the_same(one: str | None, other: str) -> bool:
    assert one is not None
    return set(ox.parse(one, format=ox.RdfFormat.N_TRIPLES)) == set(ox.parse(other, format=ox.RdfFormat.N_TRIPLES))


@pytest.fixture
def web() -> WebClient:
    return WebClient(5, 1_000_000)


@pytest.fixture(params=PROTOCOLS)
def catalogue(request: pytest.FixtureRequest, node: Sandbox, web: WebClient) -> NodeClient:
    """Give a client of the sandbox's node, by each protocol."""
    return NodeClient(node.url, web, request.param)


@pytest.fixture(params=PROTOCOLS)
def odd(request: pytest.FixtureRequest, server: OddServer, web: WebClient) -> NodeClient:
    """Give a client of a node that is told how to answer, by each protocol."""
    return NodeClient(f"{server.url}/catalogue/", web, request.param)


def answer_writes(server: OddServer, status: int, body: bytes = b"no") -> None:
    for method in ("PUT", "DELETE"):
        for path in ("manager", "data"):
            server.answers[f"{method} /catalogue/{path}"] = saying(body, status)


class TestWriting:
    def test_what_is_put_is_there_blank_nodes_and_all(self, catalogue: NodeClient) -> None:
        for made in made_up_offerings.generate(5, seed=3):
            description = read_description(made.description, "https://p.example/")
            catalogue.put(description.graph, description.triples)

            assert the_same(catalogue.get(description.graph), description.triples)

    def test_a_put_replaces_the_whole_graph(self, catalogue: NodeClient) -> None:
        catalogue.put(described().graph, described(note="old").triples)
        catalogue.put(described().graph, described(note="new").triples)

        assert the_same(catalogue.get(described().graph), described(note="new").triples)

    def test_a_put_may_be_repeated(self, catalogue: NodeClient) -> None:
        for _ in range(2):
            catalogue.put(described().graph, described().triples)

        assert the_same(catalogue.get(described().graph), described().triples)

    def test_a_put_touches_no_other_graph(self, catalogue: NodeClient) -> None:
        other = described("https://p.example/2")
        catalogue.put(other.graph, other.triples)
        catalogue.put(described().graph, described().triples)

        assert the_same(catalogue.get(other.graph), other.triples)

    @pytest.mark.parametrize("note", ['"quotes" and \\', "line\nbreak", "\u2028", "> _:c14n0 .", "ü€😀", ""])
    def test_any_literal_arrives(self, catalogue: NodeClient, note: str) -> None:
        description = described(note=note)
        catalogue.put(description.graph, description.triples)

        assert the_same(catalogue.get(description.graph), description.triples)

    def test_an_iri_with_everything_in_it_names_one_graph(self, catalogue: NodeClient) -> None:
        description = described(ODD_NAME)
        catalogue.put(description.graph, description.triples)

        assert catalogue.holds([ODD_NAME]) == {ODD_NAME}
        catalogue.delete(ODD_NAME)
        assert catalogue.holds([ODD_NAME]) == set()

    def test_a_graph_that_is_deleted_is_gone(self, catalogue: NodeClient) -> None:
        catalogue.put(described().graph, described().triples)
        catalogue.delete(described().graph)

        assert catalogue.get(described().graph) is None
        assert catalogue.holds([described().graph]) == set()

    def test_deleting_what_is_not_there_is_fine(self, catalogue: NodeClient) -> None:
        catalogue.delete("https://p.example/nothing")

    def test_holds_and_digests_tell_of_the_graphs_that_are_asked_for(self, catalogue: NodeClient) -> None:
        described_ones = [described(f"https://p.example/{number}", f'"{number}"\n\u2028') for number in range(5)]
        for one in described_ones:
            catalogue.put(one.graph, one.triples)
        asked = [one.graph for one in described_ones[:3]] + ["https://p.example/nothing"]

        assert catalogue.holds(asked) == {one.graph for one in described_ones[:3]}
        assert catalogue.digests(asked) == {one.graph: one.digest for one in described_ones[:3]}

    def test_graphs_with_long_names_are_asked_for_in_forms_that_jetty_takes(self, server: OddServer) -> None:
        graphs = [f"https://p.example/{number}/{'ü' * 900}" for number in range(100)]

        def answer(request: Handler) -> None:
            asked = server.asked[-1].body
            if len(asked) > 200_000:
                request.say(b"Form is larger than max length 200000", 413)
                return
            query = parse_qs(asked.decode())["query"][0]
            held = [graph for graph in graphs[::2] if f"<{graph}>" in query]
            bindings = [{"g": {"type": "uri", "value": graph}} for graph in held]
            request.say_json({"head": {"vars": ["g"]}, "results": {"bindings": bindings}})

        server.answers["/sparql"] = answer
        node = NodeClient(server.url, WebClient(60), "graph-store")

        assert node.holds(graphs) == set(graphs[::2])
        assert node.holds([]) == set()

    def test_what_a_sandbox_refuses_is_refused(self, node: Sandbox, web: WebClient) -> None:
        """A SEDIMARK catalogue takes offerings only."""
        with pytest.raises(RefusedError, match="No offering found"):
            NodeClient(node.url, web, "sedimark").put("urn:g", "<urn:g> <urn:p> <urn:o> .\n")


class TestMoods:
    @pytest.mark.parametrize("status", [400, 406, 413, 415, 422])
    def test_a_request_at_fault_is_refused(self, server: OddServer, odd: NodeClient, status: int) -> None:
        answer_writes(server, status, b"this will never do")

        with pytest.raises(RefusedError, match=f"status {status}: this will never do"):
            odd.put(described().graph, described().triples)
        with pytest.raises(RefusedError):
            odd.delete(described().graph)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_write_that_is_redirected_says_where_to(self, server: OddServer, status: int) -> None:
        server.answers["/data"] = saying(
            b"moved", status, Location="https://user:secret@other.example/data?graph=urn:g"
        )

        with pytest.raises(
            FailedError, match=f"status {status}: it redirects to https://.*other.example/data"
        ) as raised:
            NodeClient(server.url, WebClient(60), "graph-store").put("urn:g", "")

        assert "secret" not in str(raised.value)
        assert "name that address in the list of nodes" in str(raised.value)

    @pytest.mark.parametrize("status", [301, 307, 401, 403, 405, 408, 409, 423, 429, 500, 502, 503, 507])
    def test_trouble_of_the_node_s_own_may_pass(self, server: OddServer, odd: NodeClient, status: int) -> None:
        answer_writes(server, status)

        with pytest.raises(FailedError, match=f"status {status}"):
            odd.put(described().graph, described().triples)
        with pytest.raises(FailedError):
            odd.delete(described().graph)

    @pytest.mark.parametrize("status", [401, 403])
    def test_node_that_lets_no_one_in_is_told_with_the_setting_that_would_help(
        self, server: OddServer, odd: NodeClient, status: int
    ) -> None:
        answer_writes(server, status)

        with pytest.raises(FailedError, match="NODE_CREDENTIALS"):
            odd.put(described().graph, described().triples)

    def test_graph_that_is_gone_is_deleted(self, server: OddServer, odd: NodeClient) -> None:
        for path in ("manager", "data"):
            server.answers[f"/catalogue/{path}"] = saying(b"", 410)

        odd.delete("urn:g")

        assert odd.get("urn:g") is None

    def test_no_such_endpoint_is_a_failure_to_put(self, odd: NodeClient) -> None:
        with pytest.raises(FailedError, match="status 404"):
            odd.put(described().graph, described().triples)

    def test_silence_is_neither(self, web: WebClient) -> None:
        node = NodeClient(f"http://127.0.0.1:{closed_port()}/catalogue", web)
        for attempt in (
            node.is_healthy,
            node.detect_protocol,
            lambda: node.holds(["urn:g"]),
            lambda: node.delete("urn:g"),
        ):
            with pytest.raises(WebError) as silent:
                attempt()
            assert not isinstance(silent.value, (RefusedError, FailedError))

    def test_a_long_excuse_is_cut_short(self, server: OddServer, odd: NodeClient) -> None:
        answer_writes(server, 400, b"\xff" * 100_000)

        with pytest.raises(RefusedError) as refused:
            odd.put(described().graph, described().triples)
        assert len(str(refused.value)) < 500

    def test_a_redirect_is_not_followed_with_a_write(self, server: OddServer, odd: NodeClient) -> None:
        for path in ("manager", "data"):
            server.answers[f"DELETE /catalogue/{path}"] = saying(b"", 302, Location="/elsewhere")

        with pytest.raises(FailedError):
            odd.delete("urn:g")
        assert [asked.method for asked in server.asked] == ["DELETE"]


class TestHealth:
    def test_a_sandbox_node_is_well(self, catalogue: NodeClient, node: Sandbox) -> None:
        assert catalogue.is_healthy()
        node.faults(error_rate=1)
        assert not catalogue.is_healthy()

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_a_node_that_says_it_is_not_well(self, server: OddServer, odd: NodeClient, status: int) -> None:
        server.answers["/catalogue/health"] = saying(b"", status)

        assert not odd.is_healthy()
        assert len(server.asked) == 1

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    def test_a_server_without_health_is_asked_a_query(self, server: OddServer, odd: NodeClient, status: int) -> None:
        server.answers["/catalogue/health"] = saying(b"", status)
        server.answers["/catalogue/sparql"] = saying_json({"head": {}, "boolean": True})

        assert odd.is_healthy()
        assert parse_qs(urlsplit(server.asked[1].path).query)["query"] == ["ASK {}"]

    @pytest.mark.parametrize(
        "page", [saying(b"<html>log in", 200), saying(b"", 404), saying_json({"head": {}, "results": {"bindings": []}})]
    )
    def test_a_node_that_says_it_is_well_and_answers_no_query_is_not(
        self, server: OddServer, odd: NodeClient, page: Any
    ) -> None:
        server.answers["/catalogue/health"] = saying_json({"status": "healthy"})
        server.answers["/catalogue/sparql"] = page

        assert not odd.is_healthy()

    def test_a_server_with_neither_is_not_well(self, odd: NodeClient) -> None:
        assert not odd.is_healthy()


class TestDetection:
    def test_the_sandbox_is_a_sedimark_catalogue(self, node: Sandbox, web: WebClient) -> None:
        assert NodeClient(node.url, web).detect_protocol() == "sedimark"

    @pytest.mark.parametrize("content", [{"offerings": [{"uri": "urn:g"}], "totalCount": 1}, {"graphs": []}, ["urn:g"]])
    def test_a_server_that_lists_graphs_in_any_shape_is_one(
        self, server: OddServer, odd: NodeClient, content: Any
    ) -> None:
        server.answers["/catalogue/graphs"] = saying_json(content)

        assert odd.detect_protocol() == "sedimark"

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"null", b"3", b'{"offerings"', b'{"offerings": "\xff"}', b"[" * 200_000]
    )
    def test_a_server_that_answers_something_else_is_none(
        self, server: OddServer, odd: NodeClient, body: bytes
    ) -> None:
        server.answers["/catalogue/graphs"] = saying(body)

        assert odd.detect_protocol() == "graph-store"

    @pytest.mark.parametrize("status", [400, 401, 404, 405, 501])
    def test_a_server_without_such_a_list_is_none(self, server: OddServer, odd: NodeClient, status: int) -> None:
        server.answers["/catalogue/graphs"] = saying_json({"offerings": []}, status)

        assert odd.detect_protocol() == "graph-store"

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_server_in_trouble_is_not_judged(self, server: OddServer, odd: NodeClient, status: int) -> None:
        """It would be written to by the wrong protocol from then on."""
        server.answers["/catalogue/graphs"] = saying(b"", status)

        with pytest.raises(FailedError):
            odd.detect_protocol()


class TestReading:
    @pytest.mark.parametrize("content_type", ["application/n-triples", "text/turtle; charset=utf-8", "text/plain", ""])
    def test_in_whatever_format_it_comes(self, server: OddServer, odd: NodeClient, content_type: str) -> None:
        for path in ("manager", "data"):
            server.answers[f"GET /catalogue/{path}"] = saying(
                b"<urn:s> <urn:p> <urn:o> .", 200, Content_Type=content_type
            )

        assert odd.get("urn:g") == "<urn:s> <urn:p> <urn:o> .\n"

    def test_what_is_no_rdf_is_an_error(self, server: OddServer, odd: NodeClient) -> None:
        for path in ("manager", "data"):
            server.answers[f"GET /catalogue/{path}"] = saying(b"<html>", 200, Content_Type="text/turtle")

        with pytest.raises(WebError, match="something else than RDF"):
            odd.get("urn:g")

    @pytest.mark.parametrize("content_type", ["application/n-triples", "text/turtle"])
    def test_get_of_triple_terms_within_each_other_is_an_error_and_ends_no_process(
        self, server: OddServer, odd: NodeClient, content_type: str
    ) -> None:
        body = b"<a:> <a:> " + b"<<(<a:><a:>" * 50_000 + b"<a:>" + b")>>" * 50_000 + b" ."
        for path in ("manager", "data"):
            server.answers[f"GET /catalogue/{path}"] = saying(body, 200, Content_Type=content_type)

        with pytest.raises(WebError, match="more than 1000 triple terms"):
            odd.get("urn:g")

    def test_get_of_another_format_than_asked_for_is_an_error(self, server: OddServer, odd: NodeClient) -> None:
        """The parser of JSON-LD ends the process on this."""
        context = {"t": {"@id": "urn:p", "@container": ["@graph", "@set"]}}
        body = json.dumps({"@context": context, "@id": "urn:a", "t": {"@list": []}}).encode()
        for path in ("manager", "data"):
            server.answers[f"GET /catalogue/{path}"] = saying(body, 200, Content_Type="application/ld+json")

        with pytest.raises(WebError, match="something else than RDF"):
            odd.get("urn:g")

    def test_digests_of_triple_terms_within_each_other_are_an_error_and_end_no_process(
        self, server: OddServer, odd: NodeClient
    ) -> None:
        term = b'{"type":"uri","value":"a:"}'
        opening = b'{"type":"triple","value":{"subject":%s,"predicate":%s,"object":' % (term, term)
        nested = opening * 8000 + term + b"}}" * 8000
        body = b'{"head":{"vars":["g"]},"results":{"bindings":[{"g":%s}]}}' % nested
        server.answers["/catalogue/sparql"] = saying(body)

        with pytest.raises(WebError, match="nests more than 100 levels deep"):
            odd.digests(["urn:g"])

    def test_nothing_is_no_error(self, odd: NodeClient) -> None:
        assert odd.get("urn:g") is None

    @pytest.mark.parametrize("read", [NodeClient.holds, NodeClient.digests])
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b'{"head": {"vars": ["g"]}, "results": {"bindings": [{}]}}',
            b'{"head": {"vars": ["g"]}, "results": {"bindings": 1}}',
            b'{"head": {"vars": ["g"]}, "results": {"bindings": [{"g": {"type": "uri", "value": "urn:g"}}',
            b'{"head": {}, "boolean": true}',
            b"[" * 200_000,
        ],
    )
    def test_a_list_of_graphs_in_another_shape_is_an_error(
        self, server: OddServer, odd: NodeClient, body: bytes, read: Any
    ) -> None:
        server.answers["/catalogue/sparql"] = saying(body)

        with pytest.raises(WebError, match="in an unknown way"):
            read(odd, ["urn:g"])

    @pytest.mark.parametrize("read", [NodeClient.holds, NodeClient.digests])
    def test_a_list_of_graphs_that_failed_is_an_error_and_no_empty_list(
        self, server: OddServer, odd: NodeClient, read: Any
    ) -> None:
        """What a node has lost is sent again: not everything, because it was slow."""
        server.answers["/catalogue/sparql"] = saying(b'{"results": {"bindings": []}}', 503)

        with pytest.raises(FailedError):
            read(odd, ["urn:g"])

    @pytest.mark.parametrize("read", [NodeClient.holds, NodeClient.digests])
    def test_too_much_is_refused(self, server: OddServer, odd: NodeClient, read: Any) -> None:
        server.answers["/catalogue/sparql"] = server.endless

        with pytest.raises(UnsafeError):
            read(odd, ["urn:g"])


def test_the_sedimark_api_and_the_graph_store_protocol_are_spoken_as_specified(
    server: OddServer, web: WebClient
) -> None:
    def take(request: Handler) -> None:
        request.say()

    for path in ("/catalogue/manager", "/catalogue/data"):
        server.answers[path] = take
    for protocol in PROTOCOLS:
        client = NodeClient(f"{server.url}/catalogue", web, protocol)
        client.put(ODD_NAME, "<urn:s> <urn:p> <urn:o> .\n")
        client.delete(ODD_NAME)

    name = quote(ODD_NAME, safe="")
    assert [(asked.method, asked.path, asked.headers.get("Content-Type")) for asked in server.asked] == [
        ("PUT", f"/catalogue/manager?graph={name}", "application/ld+json"),
        ("DELETE", f"/catalogue/manager?graph={name}", None),
        ("PUT", f"/catalogue/data?graph={name}", "application/n-triples"),
        ("DELETE", f"/catalogue/data?graph={name}", None),
    ]
    assert json.loads(server.asked[0].body) == [{"@id": "urn:s", "urn:p": [{"@id": "urn:o"}]}]
    assert server.asked[2].body == b"<urn:s> <urn:p> <urn:o> .\n"
