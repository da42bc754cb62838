"""The offerings that every side holds, and the words that they can be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pyoxigraph

from federation import skolem
from sandbox.made_up_offerings import SandboxOffering, generate
from tests.bench.federation.queries import PROLOGUE, Words
from topology.rdf.offering_graph import Description, read_description

_SKOLEM_IRI = re.compile(f"<{re.escape(skolem.PREFIX)}([0-9a-z]+)/([0-9a-z]+)>")
_MOST_OF_EACH = 1000
_SHORTEST_WORD = 4

_WORDS = {
    "keyword": "SELECT DISTINCT (STR(?k) AS ?word) { ?asset dcat:keyword ?k } ORDER BY ?word",
    "city": "SELECT DISTINCT (STR(?l) AS ?word) { ?asset dct:spatial/rdfs:label ?l } ORDER BY ?word",
    "creator": "SELECT DISTINCT ?word { ?offering a sedimark:Offering ; dct:creator ?word } ORDER BY ?word",
    "theme": "SELECT DISTINCT ?word { ?asset dcat:theme ?word } ORDER BY ?word",
    "offering": "SELECT ?word { ?word a sedimark:Offering } ORDER BY ?word",
}
_WORD = re.compile(r"\w+")
_TITLES = "SELECT ?word { ?offering a sedimark:Offering ; dct:title ?word FILTER(LANG(?word) = 'en') }"
_DESCRIPTIONS = "SELECT ?word { ?offering a sedimark:Offering ; dct:description ?word }"


def offerings(count: int) -> list[tuple[SandboxOffering, Description]]:
    """Sandbox offerings, each as its provider serves it and as the fetcher keeps it."""
    return [(made, read_description(made.description, made.iri)) for made in generate(count)]


def as_quads(description: Description) -> str:
    """N-Quads of an offering's graph, as the nodes keep it."""
    return description.triples.replace(" .\n", f" <{description.graph}> .\n")


def as_shown(description: Description) -> str:
    """N-Quads of an offering's graph and of the same in the default graph, with the blank nodes that its IRIs stand for."""
    return _SKOLEM_IRI.sub(r"_:b\1\2", as_quads(description) + description.triples)


def portions(texts: Iterable[str], most: int = 4 * 1024 * 1024) -> Iterator[bytes]:
    """Texts put together until they have so many characters: bodies that every server takes."""
    held: list[str] = []
    size = 0
    for text in texts:
        if held and size + len(text) > most:
            yield "".join(held).encode()
            held, size = [], 0
        held.append(text)
        size += len(text)
    yield "".join(held).encode()


def words(descriptions: Sequence[Description]) -> Words:
    """Collect the keywords, cities, themes and so on that a query can find."""
    store = pyoxigraph.Store()
    for description in descriptions:
        store.load(description.triples, pyoxigraph.RdfFormat.N_TRIPLES)

    def found(query: str) -> list[str]:
        solutions = store.query(PROLOGUE + query)
        assert isinstance(solutions, pyoxigraph.QuerySolutions)
        return [solution["word"].value for solution in solutions]

    spread = {name: _spread(found(query)) for name, query in _WORDS.items()}
    return {
        **spread,
        "search": _single(found(_TITLES)),
        "term": _single(found(_DESCRIPTIONS)),
        "quality": [f"{number / 1000}" for number in range(800, 900)],  # the lowest tenth of those that offerings have
    }


def _single(texts: list[str]) -> list[str]:
    """Return the words of texts."""
    found = {word for text in texts for word in _WORD.findall(text.lower()) if len(word) >= _SHORTEST_WORD}
    return _spread(sorted(found))


def _spread(items: list[str]) -> list[str]:
    return items[:: max(1, len(items) // _MOST_OF_EACH)][:_MOST_OF_EACH]
