"""Offerings as datasets: what catalogues tell of them, read from their graphs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec
from pyoxigraph import NamedNode

from federation.engine import Answer, Engine
from federation.source_selection import Snapshot
from topology.gateway.offering_list import ListedOffering

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDF_TYPE = f"{RDF}type"
RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
DCT = "http://purl.org/dc/terms/"
DCAT = "http://www.w3.org/ns/dcat#"
ODRL = "http://www.w3.org/ns/odrl/2/"
SEDIMARK = "https://w3id.org/sedimark/ontology#"
SCHEMA = "https://schema.org/"
PREFERRED_LABEL = "http://www.w3.org/2004/02/skos/core#prefLabel"

_QUERY = "SELECT ?g ?s ?p ?o WHERE {{ VALUES ?g {{ {graphs} }} GRAPH ?g {{ ?s ?p ?o }} }}"
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"{}|\\^`]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?")


class Term(msgspec.Struct, frozen=True):
    """A term of a graph, as SPARQL results have it.

    Attributes:
        type: ``uri``, ``bnode`` or ``literal``.
        value: Its text.
        lang: The language of a literal.
        datatype: The datatype of a literal; empty: a string.
    """

    type: str
    value: object
    lang: str = msgspec.field(default="", name="xml:lang")
    datatype: str = ""

    @property
    def text(self) -> str:
        """Its text, whatever its type."""
        return str(self.value)

    @property
    def iri(self) -> str:
        """Its IRI, also if it is in a literal; empty if it is none."""
        return self.text if self.type != "bnode" and is_iri(self.text) else ""


class _Row(msgspec.Struct):
    g: Term
    s: Term
    p: Term
    o: Term


class _Results(msgspec.Struct):
    bindings: list[_Row]


class _Answer(msgspec.Struct):
    results: _Results


class Graph:
    """The triples of one offering's graph."""

    def __init__(self) -> None:
        self._values: dict[Term, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))

    def add(self, subject: Term, predicate: str, value: Term) -> None:
        """Add a triple."""
        self._values[subject][predicate].append(value)

    def values(self, subject: Term, *predicates: str) -> list[Term]:
        """Return the values that a subject has of some predicates, sorted, without those of other kinds than RDF 1.1 has."""
        found = self._values.get(subject, {})
        values = [one for predicate in predicates for one in found.get(predicate, ()) if isinstance(one.value, str)]
        return sorted(set(values), key=lambda one: (one.type, one.text, one.lang, one.datatype))

    def instances(self, kind: str) -> list[Term]:
        """Return the subjects of a type."""
        return [subject for subject, found in self._values.items() if any(o.value == kind for o in found[RDF_TYPE])]


class Distribution(NamedTuple):
    """A way to the data.

    Attributes:
        iri: Its IRI; empty for a blank node.
        titles: Its titles.
        access_url: The address to ask.
        format: The format as its provider wrote it; empty if it names none.
    """

    iri: str
    titles: tuple[Term, ...]
    access_url: str
    format: str

    @property
    def media_type(self) -> str:
        """The format, if it is a media type; else empty."""
        return self.format if re.fullmatch(r"[a-z]+/[\w.+-]+", self.format) else ""


class Dataset(NamedTuple):
    """An offering as catalogues show it.

    Attributes:
        iri: Its IRI.
        listed: Its entry in the list of offerings.
        titles: One title at least.
        descriptions: One description at least.
        keywords: Words to find it by.
        themes: IRIs of its subjects.
        publisher: The IRI of its publisher; empty if there is none.
        publisher_name: The name of its publisher.
        licence: The IRI of its licence; empty if there is none.
        licence_text: The licence, where it has no IRI.
        issued: When it was issued, as a date or a time; empty if unknown.
        places: IRIs of the places that it is about, and the name of each.
        distributions: The ways to the data.
        graph: Its graph.
        contract: Its contract in that graph, if any.
    """

    iri: str
    listed: ListedOffering
    titles: tuple[Term, ...]
    descriptions: tuple[Term, ...]
    keywords: tuple[Term, ...]
    themes: tuple[str, ...]
    publisher: str
    publisher_name: str
    licence: str
    licence_text: str
    issued: str
    places: tuple[tuple[str, str], ...]
    distributions: tuple[Distribution, ...]
    graph: Graph
    contract: Term | None

    def named_themes(self) -> list[tuple[str, str]]:
        """Return the IRIs of its subjects, and the name of each where its graph has one."""
        return [(iri, _label(self.graph, iri)) for iri in self.themes]

    def page(self, base: str) -> str:
        """Return the address of its page below the gateway's address."""
        return f"{base}/offerings/{quote(self.listed.address or self.iri, safe='')}"


class Datasets(NamedTuple):
    """Datasets as far as they could be read.

    Attributes:
        found: The datasets, in the order of their offerings.
        answer: What the engine says of it, with the nodes that did not answer.
    """

    found: list[Dataset]
    answer: Answer


def read_datasets(
    engine: Engine,
    snapshot_for: Callable[[frozenset[str]], Snapshot],
    offerings: Sequence[ListedOffering],
    *,
    fresh: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> Datasets:
    """Read the graphs of offerings, each from its own graph alone, so that no provider speaks of another's offering.

    Args:
        engine: Reads the graphs.
        snapshot_for: See ``Engine.answer``.
        offerings: The offerings to read.
        fresh: Whether to bypass all caches.
        cancelled: Tells that the client has gone.

    Raises:
        FederationError: See ``Engine.answer``.
    """
    query = _QUERY.format(graphs=" ".join(f"<{one.graph}>" for one in offerings if is_iri(one.graph)))
    answer = engine.query_with_failover(
        query, snapshot_for, media_type="application/sparql-results+json", fresh=fresh, cancelled=cancelled
    )
    graphs: dict[str, Graph] = defaultdict(Graph)
    for row in msgspec.json.decode(answer.body, type=_Answer).results.bindings:
        graphs[row.g.text].add(row.s, row.p.text, row.o)
    return Datasets(
        [dataset for one in offerings if (dataset := dataset_of(one, graphs.get(one.graph, Graph()))) is not None],
        answer,
    )


def is_iri(text: str) -> bool:
    """Tell whether a text is an absolute IRI."""
    try:
        return bool(NamedNode(text).value)
    except ValueError:
        return False


def is_url(text: str) -> bool:
    """Tell whether a text is an address on the web."""
    try:
        return is_iri(text) and urlsplit(text).scheme in ("http", "https") and bool(urlsplit(text).hostname)
    except ValueError:
        return False


def preferred(terms: Sequence[Term]) -> Term:
    """Return the English one of some terms, else one without a language, else the first."""
    return min(terms, key=lambda one: {"en": 0, "": 1}.get(one.lang.lower().partition("-")[0], 2))


def dataset_of(listed: ListedOffering, graph: Graph) -> Dataset | None:
    """Return an offering as a dataset; ``None`` if its graph does not describe it."""
    offering = Term("uri", listed.graph)
    if offering not in graph.instances(f"{SEDIMARK}Offering"):
        return None
    assets = graph.values(offering, f"{SEDIMARK}hasAsset")
    everything = [offering, *assets]

    def all_of(*predicates: str) -> tuple[Term, ...]:
        return tuple(dict.fromkeys(value for one in everything for value in graph.values(one, *predicates)))

    titles = _texts(graph.values(offering, f"{DCT}title")) or _texts(all_of(f"{DCT}title"))
    titles = titles or (Term("literal", listed.name or listed.graph),)
    publisher = next((one.iri for one in graph.values(offering, f"{DCT}publisher") if one.iri), "")
    licences = all_of(f"{DCT}license")
    licence_text = " ".join(one.text for one in licences)
    issued = next((one.text for one in all_of(f"{DCT}issued") if _DATE.fullmatch(one.text)), "")
    places = [one for one in all_of(f"{DCT}spatial") if one.iri]
    return Dataset(
        iri=listed.graph,
        listed=listed,
        titles=titles,
        descriptions=_texts(graph.values(offering, f"{DCT}description"))
        or _texts(all_of(f"{DCT}description"))
        or titles,
        keywords=_texts(all_of(f"{DCAT}keyword")),
        themes=tuple(dict.fromkeys(one.iri for one in all_of(f"{DCAT}theme", f"{DCT}theme") if one.iri)),
        publisher=publisher,
        publisher_name=_publisher_name(graph, offering) or publisher or listed.owner or "unknown",
        licence=next((one.iri for one in licences if one.iri), "") or _url_in(licence_text),
        licence_text=licence_text,
        issued=issued,
        places=tuple((one.iri, _label(graph, one.iri)) for one in places),
        distributions=tuple(_distributions(graph, assets)),
        graph=graph,
        contract=next(iter(graph.values(offering, f"{SEDIMARK}hasOfferingContract")), None),
    )


def _texts(terms: Iterable[Term]) -> tuple[Term, ...]:
    return tuple(one for one in terms if one.type == "literal" and one.text.strip())


def _publisher_name(graph: Graph, offering: Term) -> str:
    names = [one.text for one in graph.values(offering, f"{DCT}creator") if one.type == "literal"]
    for listing in graph.values(offering, f"{SEDIMARK}isListedBy"):
        for participant in graph.values(listing, f"{SEDIMARK}belongsTo"):
            names += [one.text for one in graph.values(participant, f"{SCHEMA}alternateName", f"{SCHEMA}name")]
    return next(filter(None, map(str.strip, names)), "")


def _url_in(text: str) -> str:
    found = _URL_IN_TEXT.search(text)
    return found[0].rstrip(".,;)") if found else ""


def _label(graph: Graph, iri: str) -> str:
    labels = graph.values(Term("uri", iri), RDFS_LABEL, PREFERRED_LABEL)
    return preferred(labels).text if labels else ""


def _distributions(graph: Graph, assets: Iterable[Term]) -> Iterable[Distribution]:
    for asset in assets:
        for provision in graph.values(asset, f"{SEDIMARK}isProvidedBy"):
            urls = graph.values(provision, f"{DCAT}endpointURL", f"{DCAT}accessURL", f"{DCAT}downloadURL")
            url = next((one.text for one in urls if is_url(one.text)), "")
            if url:
                formats = graph.values(provision, f"{DCT}format", f"{DCAT}mediaType")
                yield Distribution(
                    iri=provision.iri if provision.type == "uri" else "",
                    titles=_texts(graph.values(provision, f"{DCT}title")),
                    access_url=url,
                    format=next((_format(one) for one in formats if one.type != "bnode"), ""),
                )


def _format(term: Term) -> str:
    """Return a format by its name, without the address of the list that it is from."""
    iana = "https://www.iana.org/assignments/media-types/"
    if term.text.startswith(iana):
        return term.text.removeprefix(iana)
    return re.split("[/#]", term.text)[-1] if term.type == "uri" else term.text.strip()
