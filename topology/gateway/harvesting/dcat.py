"""The catalogue by DCAT-AP 3 (https://semiceu.github.io/DCAT-AP/releases/3.0.0/), a page at a time.

A page is a ``hydra:PagedCollection`` and a ``hydra:PartialCollectionView``, since some harvesters follow the one, and some the
other (https://www.hydra-cg.com/spec/latest/core/).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from pyoxigraph import BlankNode, Literal, NamedNode, RdfFormat, Triple, serialize

from topology.gateway.harvesting.datasets import (
    DCAT,
    DCT,
    ODRL,
    RDF_TYPE,
    RDFS_LABEL,
    Dataset,
    Distribution,
    Term,
    is_iri,
)

_FOAF = "http://xmlns.com/foaf/0.1/"
_HYDRA = "http://www.w3.org/ns/hydra/core#"
_RDFS = RDFS_LABEL.removesuffix("label")
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_MEDIA_TYPES = "https://www.iana.org/assignments/media-types/"
_PREFIXES = {
    "dcat": DCAT,
    "dct": DCT,
    "foaf": _FOAF,
    "hydra": _HYDRA,
    "odrl": ODRL,
    "rdfs": _RDFS,
    "skos": _SKOS,
}

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Node = NamedNode | BlankNode


class Page(NamedTuple):
    """A page of a catalogue.

    Attributes:
        base: The gateway's address, without a slash at its end.
        address: The page's own address.
        total: The number of offerings on all pages.
        size: The number of offerings on a full page.
        links: The addresses of other pages: ``first``, ``last``, ``next`` and ``prev``.
    """

    base: str
    address: str
    total: int
    size: int
    links: Mapping[str, str]


def catalogue_page(page: Page, datasets: Iterable[Dataset], media_type: str) -> bytes:
    """Write a page of the catalogue.

    Args:
        page: The page.
        datasets: The datasets on it.
        media_type: pyoxigraph's name of the format.
    """
    format_ = RdfFormat.from_media_type(media_type)
    if format_ is None:
        raise ValueError(f"no format of graphs: {media_type}")
    written = serialize(_catalogue(page, datasets), format=format_, prefixes=_PREFIXES)
    return written or b""


def _catalogue(page: Page, datasets: Iterable[Dataset]) -> Iterator[Triple]:
    catalogue, view, service = (NamedNode(one) for one in (f"{page.base}/catalog", page.address, f"{page.base}/sparql"))
    host = urlsplit(page.base).netloc
    publisher = NamedNode(f"{page.base}/")
    yield from _about(catalogue, f"{DCAT}Catalog", _text(DCT, "title", f"Offerings at {host}"))
    yield _triple(catalogue, f"{DCT}description", Literal("All offerings of a distributed catalogue.", language="en"))
    yield _triple(catalogue, f"{DCT}publisher", publisher)
    yield _triple(catalogue, f"{_FOAF}homepage", publisher)
    yield _triple(publisher, RDF_TYPE, NamedNode(f"{_FOAF}Agent"))
    yield _triple(publisher, RDF_TYPE, NamedNode(f"{_FOAF}Document"))
    yield _triple(publisher, f"{_FOAF}name", Literal(host))
    yield _triple(catalogue, f"{DCAT}service", service)
    yield from _about(service, f"{DCAT}DataService", _text(DCT, "title", "SPARQL over all offerings"))
    yield _triple(service, f"{DCAT}endpointURL", service)
    # The shapes of DCAT-AP 3 want this class, which everything has, to be said.
    yield _triple(service, RDF_TYPE, NamedNode(f"{_RDFS}Resource"))
    for number, dataset in enumerate(datasets):
        yield _triple(catalogue, f"{DCAT}dataset", NamedNode(dataset.iri))
        # Labels of their own keep the page, and so its entity tag, the same as long as its data is.
        yield from _dataset(page.base, dataset, f"d{number}")
    for kind in ("PagedCollection", "PartialCollectionView"):
        yield _triple(view, RDF_TYPE, NamedNode(f"{_HYDRA}{kind}"))
    for name, number in (("totalItems", page.total), ("itemsPerPage", page.size)):
        yield _triple(view, f"{_HYDRA}{name}", Literal(number))
    for name, address in page.links.items():
        name = {"prev": "previous"}.get(name, name)
        yield _triple(view, f"{_HYDRA}{name}", NamedNode(address))
        yield _triple(view, f"{_HYDRA}{name}Page", NamedNode(address))


def _dataset(base: str, dataset: Dataset, label: str) -> Iterator[Triple]:
    subject = NamedNode(dataset.iri)
    yield _triple(subject, RDF_TYPE, NamedNode(f"{DCAT}Dataset"))
    for name, terms in (("title", dataset.titles), ("description", dataset.descriptions)):
        yield from (_triple(subject, f"{DCT}{name}", _literal(one)) for one in terms)
    yield from (_triple(subject, f"{DCAT}keyword", _literal(one)) for one in dataset.keywords)
    yield _triple(subject, f"{DCT}identifier", Literal(dataset.iri))
    for theme in dataset.themes:
        yield _triple(subject, f"{DCAT}theme", NamedNode(theme))
        yield from _about(NamedNode(theme), f"{_SKOS}Concept", _text(_SKOS, "prefLabel", _last(theme)))
    for place, name in dataset.places:
        yield _triple(subject, f"{DCT}spatial", NamedNode(place))
        yield from _about(NamedNode(place), f"{DCT}Location", *([_text(_RDFS, "label", name)] if name else []))
    if dataset.issued:
        kind = "dateTime" if "T" in dataset.issued else "date"
        yield _triple(subject, f"{DCT}issued", Literal(dataset.issued, datatype=NamedNode(f"{_XSD}{kind}")))
    # An agent is a node of its own: several providers may give one IRI different names.
    agent = BlankNode(f"{label}publisher")
    yield _triple(subject, f"{DCT}publisher", agent)
    yield from _about(agent, f"{_FOAF}Agent", (f"{_FOAF}name", Literal(_printed(dataset.publisher_name))))
    if dataset.publisher:
        yield _triple(agent, f"{DCT}identifier", Literal(dataset.publisher))
    page = NamedNode(dataset.page(base))
    yield _triple(subject, f"{DCAT}landingPage", page)
    yield _triple(page, RDF_TYPE, NamedNode(f"{_FOAF}Document"))
    if dataset.contract and dataset.contract.type == "uri" and dataset.contract.iri:
        yield _triple(subject, f"{ODRL}hasPolicy", NamedNode(dataset.contract.iri))
    licence: _Node | None = None
    if dataset.licence or dataset.licence_text:
        licence = NamedNode(dataset.licence) if dataset.licence else BlankNode(f"{label}licence")
        yield _triple(licence, RDF_TYPE, NamedNode(f"{DCT}LicenseDocument"))
        if dataset.licence_text != dataset.licence:
            yield _triple(licence, RDFS_LABEL, Literal(_printed(dataset.licence_text)))
    for number, distribution in enumerate(dataset.distributions):
        at = f"{label}at{number}"
        node: _Node = NamedNode(distribution.iri) if is_iri(distribution.iri) else BlankNode(at)
        yield _triple(subject, f"{DCAT}distribution", node)
        yield from _distribution(node, distribution, at)
        if licence:
            yield _triple(node, f"{DCT}license", licence)


def _distribution(node: _Node, distribution: Distribution, label: str) -> Iterator[Triple]:
    yield _triple(node, RDF_TYPE, NamedNode(f"{DCAT}Distribution"))
    yield _triple(node, f"{DCAT}accessURL", NamedNode(distribution.access_url))
    yield from (_triple(node, f"{DCT}title", _literal(title)) for title in distribution.titles)
    if distribution.media_type:
        media_type = NamedNode(_MEDIA_TYPES + distribution.media_type)
        yield _triple(node, f"{DCAT}mediaType", media_type)
        yield _triple(media_type, RDF_TYPE, NamedNode(f"{DCT}MediaType"))
    elif distribution.format:
        named = BlankNode(f"{label}format")
        yield _triple(node, f"{DCT}format", named)
        yield from _about(named, f"{DCT}MediaTypeOrExtent", (RDFS_LABEL, Literal(_printed(distribution.format))))


def _about(node: _Node, kind: str, *statements: tuple[str, Literal]) -> Iterator[Triple]:
    yield _triple(node, RDF_TYPE, NamedNode(kind))
    yield from (_triple(node, predicate, value) for predicate, value in statements)


def _triple(subject: _Node, predicate: str, value: _Node | Literal) -> Triple:
    return Triple(subject, NamedNode(predicate), value)


def _text(namespace: str, name: str, text: str) -> tuple[str, Literal]:
    return f"{namespace}{name}", Literal(_printed(text), language="en")


def _literal(term: Term) -> Literal:
    text = _printed(term.text)
    return Literal(text, language=term.lang) if term.lang else Literal(text)


def _printed(text: str) -> str:
    """Leave out the characters that XML 1.0 has no place for."""
    return _NOT_IN_XML.sub("", text)


def _last(iri: str) -> str:
    return iri.rstrip("/#").replace("#", "/").rpartition("/")[2] or iri
