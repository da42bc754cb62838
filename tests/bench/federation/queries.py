"""What is asked: the queries of a marketplace's pages and of those who look at the whole catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Literal

NAMED, DEFAULT = "GRAPH", "default"

PROLOGUE = """PREFIX sedimark: <https://w3id.org/sedimark/ontology#>
PREFIX dcat: <http://www.w3.org/ns/dcat#>
PREFIX dct: <http://purl.org/dc/terms/>
PREFIX dqv: <http://www.w3.org/ns/dqv#>
PREFIX odrl: <http://www.w3.org/ns/odrl/2/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX schema: <https://schema.org/>
"""
SEPARATOR = "|"
"""Parts the values of every GROUP_CONCAT, whose order is free."""

_PLACE = re.compile(r"\$(\w+)")
# Pages of other lengths that begin elsewhere; texts vary by them where words are few.
_NUMBERS = {"offset": range(20), "limit": range(10, 50), "many": range(100, 500)}

Form = Literal["SELECT", "CONSTRUCT", "DESCRIBE", "ASK"]


@dataclass(frozen=True)
class Query:
    """A query with places for words and numbers.

    Attributes:
        name: What tables call it.
        kind: What it stands for.
        place: Where its patterns stand: in ``GRAPH`` or in the default graph.
        template: Its text without the prologue; ``$keyword`` and the like are filled from the :data:`Words` of that name,
            ``$offset``, ``$limit`` and ``$many`` with numbers.
    """

    name: str
    kind: str
    place: str
    template: str

    def variant(self, number: int, words: Words) -> str:
        """Return the text with the words and numbers of a variant. Many variants differ, where there is a thing to vary.

        Args:
            number: Which one, from 0.
            words: The words to choose from.
        """
        chosen: dict[str, object] = {}
        for name in dict.fromkeys(_PLACE.findall(self.template)):
            choices = _NUMBERS.get(name) or words[name]
            number, place = divmod(number, len(choices))
            chosen[name] = choices[place]
        return PROLOGUE + Template(self.template).substitute(chosen)

    @property
    def varies(self) -> bool:
        """Whether its variants differ."""
        return bool(_PLACE.search(self.template))

    @property
    def ordered(self) -> bool:
        """Whether the order of its rows is told; it is then total."""
        return self.template.startswith("SELECT") and "ORDER BY" in self.template

    @property
    def concatenates(self) -> bool:
        """Whether it has values of GROUP_CONCAT, whose order is free."""
        return "GROUP_CONCAT" in self.template


Words = Mapping[str, Sequence[str]]
"""The words that a place may be filled with, by the name of the place."""

_SEARCH = """?offering a sedimark:Offering ; dct:title ?title ; dct:description ?description
    FILTER(CONTAINS(LCASE(STR(?title)), "$search") || CONTAINS(LCASE(STR(?description)), "$term"))"""
_DETAILS = """SELECT ?offering ?issued ?licence (GROUP_CONCAT(DISTINCT ?label; SEPARATOR="|") AS ?titles)
  (GROUP_CONCAT(DISTINCT ?keyword; SEPARATOR="|") AS ?keywords)"""

QUERIES = (
    Query(
        "search",
        "search",
        NAMED,
        f"SELECT DISTINCT ?g ?offering ?title {{ GRAPH ?g {{ {_SEARCH} }} }}\n"
        "ORDER BY LCASE(STR(?title)) ?g LIMIT $limit OFFSET $offset",
    ),
    Query(
        "search, how many pages",
        "count",
        NAMED,
        f"SELECT (COUNT(DISTINCT ?offering) AS ?n) {{ GRAPH ?g {{ {_SEARCH} }} }}",
    ),
    Query(
        "newest offerings",
        "top k",
        NAMED,
        """SELECT ?offering ?issued ?creator {
  GRAPH ?g { ?offering a sedimark:Offering ; dct:issued ?issued ; dct:creator ?creator } }
ORDER BY DESC(?issued) ?offering LIMIT $limit OFFSET $offset""",
    ),
    Query(
        "providers",
        "providers",
        NAMED,
        """SELECT DISTINCT ?provider ?name {
  GRAPH ?g { ?listing sedimark:belongsTo ?provider . ?provider schema:alternateName ?name } }
ORDER BY ?name ?provider LIMIT $limit OFFSET $offset""",
    ),
    Query(
        "keywords",
        "keywords",
        NAMED,
        "SELECT DISTINCT ?keyword { GRAPH ?g { ?asset dcat:keyword ?keyword } } ORDER BY STR(?keyword)",
    ),
    Query(
        "details of a provider",
        "details",
        NAMED,
        _DETAILS
        + """ { GRAPH ?g { ?offering a sedimark:Offering ; dct:creator "$creator" ; dct:issued ?issued ; dct:license ?licence ;
    dct:title ?title ; sedimark:hasAsset/dcat:keyword ?word BIND(STR(?title) AS ?label) BIND(STR(?word) AS ?keyword) } }
GROUP BY ?offering ?issued ?licence ORDER BY ?offering LIMIT $limit""",
    ),
    Query(
        "all of one graph",
        "one graph",
        NAMED,
        "SELECT ?s ?p ?o { GRAPH <$offering> { ?s ?p ?o } }",
    ),
    Query(
        "offerings by theme",
        "count by theme",
        NAMED,
        """SELECT ?theme (COUNT(DISTINCT ?offering) AS ?n) { GRAPH ?g { ?offering sedimark:hasAsset/dcat:theme ?theme } }
GROUP BY ?theme ORDER BY DESC(?n) ?theme""",
    ),
    Query(
        "number of offerings",
        "count",
        NAMED,
        "SELECT (COUNT(DISTINCT ?offering) AS ?n) { GRAPH ?g { ?offering a sedimark:Offering } }",
    ),
    Query(
        "same keyword elsewhere",
        "join",
        NAMED,
        """SELECT ?one ?other { GRAPH ?g { ?one sedimark:hasAsset ?a . ?a dcat:keyword "$keyword"@en ; dct:spatial ?place }
  GRAPH ?h { ?other sedimark:hasAsset ?b . ?b dcat:keyword "$keyword"@en ; dct:spatial ?place } FILTER(STR(?g) < STR(?h)) }
ORDER BY ?one ?other LIMIT $many OFFSET $offset""",
    ),
    Query(
        "titles of a keyword",
        "CONSTRUCT",
        NAMED,
        """CONSTRUCT { ?offering dct:title ?title ; dct:creator ?creator } {
  GRAPH ?g { ?offering dct:title ?title ; dct:creator ?creator ; sedimark:hasAsset ?asset . ?asset dcat:keyword "$keyword"@en ;
    sedimark:hasAssetQuality/dqv:value ?quality FILTER(?quality >= $quality) } }""",
    ),
    Query(
        "a keyword in a city",
        "ASK",
        NAMED,
        """ASK { GRAPH ?g { ?asset dcat:keyword "$keyword"@en ; dct:spatial/rdfs:label "$city"@en } }""",
    ),
    Query(
        "free of charge",
        "NOT EXISTS",
        NAMED,
        """SELECT ?offering ?title { GRAPH ?g { ?offering a sedimark:Offering ; dct:title ?title ;
    sedimark:hasOfferingContract/odrl:permission ?permission FILTER(LANG(?title) = "en")
    FILTER NOT EXISTS { ?permission odrl:duty ?duty } } } ORDER BY STR(?title) ?offering LIMIT $limit OFFSET $offset""",
    ),
    Query(
        "search everywhere",
        "search",
        DEFAULT,
        f"SELECT DISTINCT ?offering ?title {{ {_SEARCH} }}\n"
        "ORDER BY LCASE(STR(?title)) ?offering LIMIT $limit OFFSET $offset",
    ),
    Query(
        "number of triples",
        "count",
        DEFAULT,
        "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    ),
    Query(
        "offerings by provider",
        "providers",
        DEFAULT,
        """SELECT ?name (COUNT(?offering) AS ?n) {
  ?offering a sedimark:Offering ; sedimark:isListedBy/sedimark:belongsTo ?provider .
  ?provider schema:alternateName ?name } GROUP BY ?name ORDER BY DESC(?n) ?name LIMIT $limit OFFSET $offset""",
    ),
    Query(
        "most used keywords",
        "top k",
        DEFAULT,
        """SELECT ?keyword (COUNT(DISTINCT ?asset) AS ?n) { ?asset dcat:keyword ?keyword }
GROUP BY ?keyword ORDER BY DESC(?n) STR(?keyword) LIMIT 20""",
    ),
    Query(
        "themes of a city",
        "count by theme",
        DEFAULT,
        """SELECT ?theme (COUNT(DISTINCT ?offering) AS ?n) { ?offering sedimark:hasAsset ?asset .
  ?asset dcat:theme ?theme ; dct:spatial/rdfs:label "$city"@en } GROUP BY ?theme ORDER BY DESC(?n) ?theme
LIMIT $many""",
    ),
    Query(
        "details of one",
        "details",
        DEFAULT,
        _DETAILS
        + """ ?url { VALUES ?offering { <$offering> } ?offering dct:issued ?issued ; dct:license ?licence ; dct:title ?title ;
    sedimark:hasAsset ?asset . ?asset dcat:keyword ?word OPTIONAL { ?asset sedimark:isProvidedBy/dcat:endpointURL ?url }
  BIND(STR(?title) AS ?label) BIND(STR(?word) AS ?keyword) } GROUP BY ?offering ?issued ?licence ?url""",
    ),
    Query(
        "alike in a city",
        "join",
        DEFAULT,
        """SELECT DISTINCT ?one ?other {
  ?one sedimark:hasAsset/dct:spatial/rdfs:label "$city"@en ; dct:publisher ?publisher ; dct:license ?licence .
  ?other a sedimark:Offering ; dct:publisher ?publisher ; dct:license ?licence FILTER(STR(?one) < STR(?other)) }
ORDER BY ?one ?other LIMIT $many""",
    ),
    Query(
        "where one leads to",
        "path",
        DEFAULT,
        """SELECT DISTINCT ?thing { <$offering>
  (sedimark:hasAsset|sedimark:isProvidedBy|sedimark:hasAssetQuality|sedimark:isListedBy|sedimark:belongsTo)* ?thing }""",
    ),
    Query(
        "things reached",
        "path",
        DEFAULT,
        """SELECT (COUNT(DISTINCT ?thing) AS ?n) { ?offering a sedimark:Offering .
  ?offering (sedimark:hasAsset|sedimark:isProvidedBy)+ ?thing }""",
    ),
    Query(
        "one offering",
        "DESCRIBE",
        DEFAULT,
        "DESCRIBE <$offering>",
    ),
    Query(
        "without a keyword",
        "NOT EXISTS",
        DEFAULT,
        """SELECT ?offering { ?offering sedimark:hasAsset ?asset . ?asset dcat:theme <$theme>
  FILTER NOT EXISTS { ?asset dcat:keyword "$keyword"@en } } ORDER BY ?offering LIMIT $limit""",
    ),
)
