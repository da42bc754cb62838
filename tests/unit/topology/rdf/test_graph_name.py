"""Names of graphs: those of offerings, and those that no stranger may use."""

from __future__ import annotations

import pytest

from catena_core.errors import RejectedError
from tests.helpers.records import described
from topology.rdf.graph_name import check_graph_name


@pytest.mark.parametrize(
    "iri",
    [
        "https://provider.example/offerings/1",
        "http://provider.example:8080/a?b=c&d=%C3%BC#e",
        "http://[::1]:3000/offering",
        "http://127.0.0.1:5000/o",
        "https://münchen.example/angebot/ü",
        "https://provider.example/a.b/..c/d..",
        "https://provider.example/a?path=../b",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "urn:example:a123,z456/b?+r?=q#f",
        "did:example:123456789abcdefghi",
        "did:web:provider.example%3A3000:offerings:1#x",
        "did:iota:tst:0x1234/offering?version=1",
    ],
)
def test_check_graph_name_accepts_iris_of_registered_shape(iri: str) -> None:
    check_graph_name(iri)


@pytest.mark.parametrize(
    "iri",
    [
        "urn:x-arq:DefaultGraph",
        "urn:x-arq:DefaultGraphNode",
        "URN:X-ARQ:UnionGraph",
        "urn:x-Arq:anything",
        "http://rdf4j.org/schema/rdf4j#nil",
        "http://rdf4j.org/schema/rdf4j#SHACLShapeGraph",
        "http://www.openrdf.org/schema/sesame#nil",
        "http://www.openlinksw.com/schemas/virtrdf#",
        "http://localhost:8890/DAV/",
        "http://www.ontotext.com/explicit",
        "http://www.ontotext.com/implicit",
        "http://www.bigdata.com/rdf#nullGraph",
        "HTTP://WWW.BIGDATA.COM/rdf#nullGraph",
        "http://marklogic.com/semantics#default-graph",
        "http://aws.amazon.com/neptune/vocab/v01/DefaultNamedGraph",
        "http://franz.com/ns/default",
        "http://www.openrdf.org:80/schema/sesame#nil",
        "https://rdf4j.org./schema/rdf4j#nil",
        "http://rdf4j.org/%73chema/rdf4j#nil",
        "http://rdf4j.org/schema%2Frdf4j",
        "http://jena.apache.org/ARQ#DefaultGraph",
    ],
)
def test_check_graph_name_of_a_stores_own_graph_is_refused_with_the_name(iri: str) -> None:
    with pytest.raises(RejectedError, match="of its own") as refused:
        check_graph_name(iri)
    assert iri in str(refused.value)


@pytest.mark.parametrize(
    "iri",
    [
        "tag:stardog:api:context:all",
        "mailto:a@p.example",
        "file:///etc/passwd",
        "data:,x",
        "default:",
        "HTTPS://provider.example/1",
        "offering",
        "",
        "http:///path",
        "http://",
        "http://:80/offering",
        "http://provider.example:port/offering",
        "http:provider.example",
        "http://user:password@provider.example/1",
        "https://provider.example/a/../private",
        "https://provider.example/a/./b",
        "https://provider.example/a/..",
        "https://provider.example/a/%2e%2E/private",
        "https://provider.example/a%2F..%2Fb",
        "https://provider.example/a b",
        "https://provider.example/%zz",
        "https://provider.example/<a>",
        "https://provider.example/a\u202eb",
        "https://provider.example/a\nb",
        "urn:a:b",
        "urn:-a:b",
        "urn:example",
        "urn:example:",
        "did:example",
        "did:example:",
        "did:EXAMPLE:1",
        "did:example:a b",
        "https://provider.example/" + "a" * 2000,
    ],
)
def test_check_graph_name_of_another_shape_is_refused(iri: str) -> None:
    with pytest.raises(RejectedError, match="cannot name a graph"):
        check_graph_name(iri)


def test_read_description_with_the_name_of_a_stores_own_graph_is_refused() -> None:
    with pytest.raises(RejectedError, match="urn:x-arq:DefaultGraph"):
        described("urn:x-arq:DefaultGraph")
