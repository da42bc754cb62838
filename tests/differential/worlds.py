"""What stands on which node, in the worlds that queries are asked over: replicas, and what goes wrong in real life.

The terms of the small worlds are few, so that the patterns of random queries match, join, and meet each other's graphs. Their
values are those that two SPARQL servers easily see differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.skolem import PREFIX
from tests.differential.graphs import EX, PREFIXES, graphs, provided


@dataclass(frozen=True)
class World:
    """Graphs: Turtle by their IRIs.

    Attributes:
        name: What tests call it.
        placed: Those that Catena placed, two copies of each.
        stale: Old copies of some of these, each on a node that does not own its graph any more.
        provided: Those that a provider put on the last node, which Catena does not know.
        doubled: Those that providers put on the first node and on the last, so that Catena knows them from listings only.
        deleted: Those of which a node still has a copy.
    """

    name: str
    placed: Mapping[str, str]
    stale: Mapping[str, str] = field(default_factory=dict)
    provided: Mapping[str, str] = field(default_factory=dict)
    doubled: Mapping[str, str] = field(default_factory=dict)
    deleted: Mapping[str, str] = field(default_factory=dict)


def _made(turtles: Mapping[str, str]) -> dict[str, str]:
    return {f"{EX}{name}": PREFIXES + turtle for name, turtle in turtles.items()}


FEATURES = World(
    "features",
    graphs(),
    stale=_made(
        {"graph/0": ":o0 a :Offering ; :title 'an old title' ; :theme :t9 ; :provider :p9 ; :next :o5 ."}
        | {"graph/odd": ":o0 :code 'old' , 'x'@fr ; :title 'an old title' ."}
    ),
    provided=provided(),
    doubled=_made(
        {
            "provided/3": ":o3 :seen :own . :t0 a :Theme ; :title 'Theme'@en . :p0 a :Provider ."
            " :o3 :seen :own ; :title 'Third'@en . :t0 :next :o3 . [] :name 'twice' ; :seen :o3 ."
        }
    ),
    deleted=_made({"graph/deleted": ":o99 a :Offering ; :title 'deleted' ; :theme :t0 ; :provider :p0 ; :next :o0 ."}),
)
"""A graph for each offering, and some odd ones: what `queries` are about."""

_SKOLEM = [f"<{PREFIX}g/c14n{n}>" for n in range(3)]

TANGLED = World(
    "tangled",
    _made(
        {
            "g/1": ":a :p :b . :b :p :c . :c :q :a . :a :n 1 , '01'^^xsd:integer , 'Istanbul' . :b :n 'x'@en , 'İ'@tr .",
            "g/2": ":a :p :b . :b :q :b . :b :n 'x' , 2.0 , 'X'@EN . :d :p :d ; :n true , 'NaN'^^xsd:double . "
            ":a :n 1.0 , 'https://example.org/a' .",
            "g/3": f":c :p {_SKOLEM[0]} . {_SKOLEM[0]} :q :a , {_SKOLEM[1]} ; :n 2 . {_SKOLEM[1]} :n 'x' . :p :q :n .",
            "g/4": ":g\\/1 :q :a , :g\\/2 ; :n 'g' . :n :p :n . :b :n 'x'@EN , 10 .",
            "g/5": ":e :p :a . :a :q :e . :e :n 'not a number'^^xsd:integer , 'y' , 'ſ' , 'K' , 'k' , 'ΟΔΟΣ' , 'Ⱟ' . "
            ":e :n 'straße'@de-DE .",
            "g/6": ":d :n '1' , 'é' , 'e\\u0301' , '𝒳' , '�' , '' , '1'^^xsd:int , 1e0 ; :q :d , :c .",
        }
    ),
    stale=_made({"g/1": ":a :p :stranger ; :n 3 . :stranger :q :b .", "g/5": ":e :n 'old' ; :p :b ."}),
    provided=_made({"g/own": ":c :p [ :q :b ; :n 'X'@en ] . _:b :q _:b ; :n 1e0 , 'x' . :a :p :b , _:b ."}),
    doubled=_made(
        {"g/both": ":e :p :b . :a :p :b . :b :n 'x' , '2.00'^^xsd:decimal . :e :q [ :n 'y' ] . :b :q :c . :c :n 'y' ."}
    ),
    deleted=_made({"g/deleted": ":a :p :c . :b :n 1 . :c :q :c ."}),
)
"""Subjects in several graphs, triples in several graphs, terms in several roles: nothing that a planner would like."""

TIDY = World(
    "tidy",
    _made(
        {
            "g/1": f":a :p :b ; :n 1 , 'Data x'@en ; :q {_SKOLEM[0]} . {_SKOLEM[0]} :n 2 ; :q :a .",
            "g/2": f":b :p :c , :a ; :n 'İx' , 'Ⱟx' , 2.50 ; :q {_SKOLEM[1]} . {_SKOLEM[1]} :n '02'^^xsd:integer ; :q :b .",
            "g/3": ":c :p :d ; :n 'x'@en-GB , 1.0 ; :q :a .",
            "g/4": ":d :p :d ; :n 'data x' , '2025-01-01'^^xsd:date ; :q :c .",
            "g/5": ":e :p :a ; :n 'K' , 10 , 'https://example.org/a' ; :q :e .",
            "g/6": ":g\\/1 :q :a ; :n 'g' . :p :q :n .",
        }
    ),
    stale=_made({"g/1": ":a :p :stranger ; :n 3 . :stranger :q :b ."}),
    deleted=_made({"g/deleted": ":a :p :c . :b :n 1 . :c :q :c ."}),
)
"""Every subject in one graph, as offerings usually are: a planner may make use of that."""
