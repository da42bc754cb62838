"""The SPARQL 1.1 service description of an endpoint (https://www.w3.org/TR/sparql11-service-description/)."""

from __future__ import annotations

import pyoxigraph

from federation.protocol.negotiation import Format

_PREFIXES = {
    "sd": "http://www.w3.org/ns/sparql-service-description#",
    "formats": "http://www.w3.org/ns/formats/",
}
_DESCRIPTION = """
@prefix sd: <http://www.w3.org/ns/sparql-service-description#> .
@prefix formats: <http://www.w3.org/ns/formats/> .

_:service a sd:Service ;
    sd:endpoint {endpoint} ;
    sd:supportedLanguage sd:SPARQL11Query ;
    sd:resultFormat formats:SPARQL_Results_JSON, formats:SPARQL_Results_XML, formats:SPARQL_Results_CSV,
        formats:SPARQL_Results_TSV, formats:Turtle, formats:N-Triples, formats:JSON-LD, formats:RDF_XML ;
    {features}sd:defaultDataset _:dataset .
_:dataset a sd:Dataset ;
    sd:defaultGraph _:graph .
_:graph a sd:Graph .
"""


def service_description(
    endpoint: str, chosen: Format, *, union_default_graph: bool, calls_services: bool = False
) -> bytes:
    """Write a service description.

    Args:
        endpoint: The address of the endpoint, as the client wrote it; it is left out when it is no IRI.
        chosen: The format.
        union_default_graph: Whether the default graph is the union of the named ones.
        calls_services: Whether queries may call other servers.
    """
    names = ("sd:UnionDefaultGraph",) * union_default_graph + ("sd:BasicFederatedQuery",) * calls_services
    features = f"sd:feature {', '.join(names)} ;\n    " if names else ""
    try:
        address = str(pyoxigraph.NamedNode(endpoint))
    except ValueError:
        address = "_:endpoint"
    turtle = _DESCRIPTION.format(endpoint=address, features=features)
    # Blank nodes keep their labels, so that the same description has the same entity tag.
    parsed = pyoxigraph.parse(turtle, pyoxigraph.RdfFormat.TURTLE, rename_blank_nodes=False)
    written = pyoxigraph.serialize(
        (quad.triple for quad in parsed),
        format=pyoxigraph.RdfFormat.from_media_type(chosen.media_type),
        prefixes=_PREFIXES,
    )
    assert written is not None
    return written
