"""The graphs of the differential tests: small, each once, with all that makes federation hard."""

from __future__ import annotations

from typing import Any

import pyoxigraph
from pyoxigraph import BlankNode, NamedNode, Quad, RdfFormat

from federation.fetching.terms import skolem_label
from federation.skolem import PREFIX, skolem_iri

EX = "https://example.org/"
OFFERINGS = 9
PREFIXES = f"""
@prefix : <{EX}> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""


def graphs() -> dict[str, str]:
    """The graphs that Catena placed: Turtle by graph IRI, with IRIs for blank nodes."""
    made = {f"{EX}graph/{n}": _offering(n) for n in range(OFFERINGS)}
    made[f"{EX}graph/odd"] = _odd()
    made[f"{EX}graph/cycles"] = ":x :next :y . :y :next :x . :z :next :z . :y :previous :x . :next :inverse :previous ."
    made[f"{EX}graph/copy"] = ":o0 a :Offering ; :theme :t0 . :p0 a :Provider . :o0 :title 'Title 0'@en ."
    made[f"{EX}graph/one"] = f"<{EX}graph/0> :about :o0 ."
    made[f"{EX}graph/typed"] = ":next a rdf:Property . :title a rdf:Property . :Offering a :Class . :Class a :Class ."
    return {name: PREFIXES + turtle for name, turtle in made.items()} | {f"{EX}graph/a/../dots": _dots()}


def provided() -> dict[str, str]:
    """The graphs that a provider put on a node by itself, with blank nodes: Turtle by graph IRI."""
    return {
        f"{EX}provided/1": PREFIXES
        + ":own :list (1 'two' [ :next :own ]) . [] :name 'nobody' ; :next _:b . _:b :next :o1 .",
        f"{EX}provided/2": PREFIXES + "_:b :name 'somebody' ; :knows _:b , [ :name 'else' ] . :o2 :seen _:b .",
    }


def _offering(n: int) -> str:
    name = f"{EX}graph/{n}"
    list_1, list_2, constraint, value = (
        f"<{skolem_iri(name, label)}>" for label in ("c14n0", "c14n1", "c14n2", "c14n3")
    )
    return f"""
    :o{n} a :Offering ; :title "Title {n}"@en , "Titel {n}"@de , "Title {n}" ; :theme :t{n % 3} ; :provider :p{n % 4} ;
        :price "0{n}"^^xsd:integer ; :rank {n % 3} ; :weight {n}.50 ; :ratio {n}e0 ; :open {"true" if n % 2 else "false"} ;
        :issued "2025-05-1{n}T15:32:33.288224597Z"^^xsd:dateTime ; :asset :a{n} , :a{(n + 1) % OFFERINGS} ;
        :next :o{(n + 1) % OFFERINGS} ; :list {list_1} ; :constraint {constraint} .
    {list_1} rdf:first :a{n} ; rdf:rest {list_2} . {list_2} rdf:first "last" ; rdf:rest rdf:nil .
    {constraint} :left "x" ; :operator :eq ; :right {value} . {value} :value "2025-01-0{n + 1}"^^xsd:date .
    :p{n % 4} a :Provider ; :name "Provider {n % 4}" .
    :a{n} a :Asset ; :label "asset {n} of many" ; :part :a{(n + 2) % OFFERINGS} ; :size {n * 7 % 5} .
    {f":a{n} :broken :a{n} ." if n % 4 == 0 else ""}
    """


def _odd() -> str:
    return """
    <http://example.org/é%20b?c=d&e#f> :label "tab\\tnew\\nline \\"quoted\\" back\\\\slash 'é' 𝒳 <http://x> _:b . \\r" .
    :o0 :code "x"^^:datatype , "x"@en , "x"@EN-gb , "x" , "" , "x"^^xsd:anyURI , 1 , 1.0 , 1e0 , "+1"^^xsd:integer , true ,
        "1"^^xsd:boolean , "1"^^xsd:int , "INF"^^xsd:double , "not a number"^^xsd:integer , "P12M"^^xsd:duration ,
        "2020-01-01T00:00:00.000+00:00"^^xsd:dateTime , "1.50"^^xsd:decimal , .5 .
    :o1 :code "a", "b"@en . :o2 :code :o2 .
    """


def _dots() -> str:
    """N-Triples with IRIs that some servers resolve."""
    said = [("o0", "dotted", "a/./b"), ("o0", "dotted", "b"), ("a/./b", "dotted", "a/../b"), ("a/./b", "next", "o1")]
    return "".join(f"{' '.join(f'<{EX}{name}>' for name in triple)} .\n" for triple in said)


def triples(turtle: str) -> list[pyoxigraph.Triple]:
    """What a graph's Turtle says."""
    return [quad.triple for quad in pyoxigraph.parse(turtle, RdfFormat.TURTLE, rename_blank_nodes=True)]


def shown(quad: Quad) -> Quad:
    """A quad as the gateway shows it: with the blank nodes that IRIs stand for."""
    return Quad(_shown(quad.subject), quad.predicate, _shown(quad.object), quad.graph_name)


def _shown(term: Any) -> Any:
    if isinstance(term, NamedNode) and term.value.startswith(PREFIX):
        return BlankNode(skolem_label(term.value.removeprefix(PREFIX).encode()).decode())
    return term
