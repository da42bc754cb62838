"""Offerings for the sandbox, made up from a seed or read from a JSON-LD file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec
from pyoxigraph import BlankNode, Literal, NamedNode, RdfFormat, Triple, serialize

from sandbox import rdf
from sandbox.evm_address import with_checksum
from sandbox.subjects import CITIES, LICENCES, ORGANISATIONS, SUBJECTS, City, Subject

Json = dict[str, Any]

CONTEXT: Json = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "https://schema.org/",
    "sedimark": "https://w3id.org/sedimark/ontology#",
    "theme": "https://w3id.org/sedimark/vocab/sdm/entity/",
    "wikidata": "http://www.wikidata.org/entity/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
OFFERINGS_PER_PROVIDER = 4
FIRST_ISSUED = datetime(2025, 1, 1, tzinfo=timezone.utc)

_ACCOUNT = NamedNode("https://schema.org/accountId")


@dataclass(frozen=True)
class SandboxOffering:
    """An offering, with its ledger entry and its description."""

    address: str
    """Its ledger address: that of a contract on an EVM, with the checksum of EIP-55."""
    owner: str
    """The EVM address of its provider."""
    name: str
    """The last segment of its IRI."""
    iri: str
    description: bytes
    """Its JSON-LD document."""


@dataclass(frozen=True)
class _Provider:
    name: str
    origin: str
    did: str
    city: City


def address_of(iri: str, listing: int = 0) -> str:
    """Return the ledger address of an offering.

    Args:
        iri: Its IRI.
        listing: The number of earlier listings of the same offering.
    """
    return with_checksum("0x" + _digest("address", iri, listing)[:40])


@lru_cache(1024)
def owner_of(did: str) -> str:
    """Return the EVM address of a provider."""
    return with_checksum("0x" + _digest("owner", did)[:40])


def name_of(iri: str) -> str:
    """Return the name that the ledger gives an offering: the last segment of its IRI, or all of it if it has none."""
    return re.split("[/#:]", iri.rstrip("/#:"))[-1] or iri


def generate(count: int, seed: int = 1) -> list[SandboxOffering]:
    """Make up offerings of about 70 triples each.

    Args:
        count: The number of offerings; a larger number only adds offerings to those of a smaller one.
        seed: The same seed makes the same offerings.
    """
    providers = _providers(seed)
    return [
        _offering(providers[index // OFFERINGS_PER_PROVIDER % len(providers)], index, seed) for index in range(count)
    ]


def load(path: str | Path) -> list[SandboxOffering]:
    """Read the offerings of a JSON-LD file, each with the part of the file that is reachable from it.

    Raises:
        ValueError: The file has no offering.
        SyntaxError: The file is not JSON-LD.
    """
    offerings = split(Path(path).read_bytes())
    if not offerings:
        raise ValueError(f"{path} describes no {rdf.OFFERING.value}: nothing to list.")
    return offerings


def split(document: bytes) -> list[SandboxOffering]:
    """Split a JSON-LD document into its offerings, sorted by IRI.

    Raises:
        SyntaxError: The document is not JSON-LD, or nests too deep.
    """
    index = rdf.DocumentIndex(rdf.parse_bounded(document, RdfFormat.JSON_LD), default_graph_only=False)
    iris = sorted(index.offerings, key=lambda iri: iri.value)
    return [_cut_out(iri, index.reachable(iri)) for iri in iris]


def _cut_out(iri: NamedNode, statements: list[rdf.Statement]) -> SandboxOffering:
    return SandboxOffering(
        address=address_of(iri.value),
        owner=owner_of(_literal(statements, _ACCOUNT) or "did:sandbox:unknown"),
        name=name_of(iri.value),
        iri=iri.value,
        description=cast(bytes, serialize(_labelled(statements), format=RdfFormat.JSON_LD)),
    )


def _labelled(statements: list[rdf.Statement]) -> list[Triple]:
    # The parser's labels are random. With numbers instead, a file gives the same bytes and digests at every start.
    labels: dict[object, BlankNode] = {}

    def label(term: Any) -> Any:
        return labels.setdefault(term, BlankNode(f"b{len(labels)}")) if isinstance(term, BlankNode) else term

    return [Triple(label(subject), predicate, label(value)) for subject, predicate, value in statements]


def _literal(statements: Iterable[rdf.Statement], wanted: NamedNode) -> str | None:
    values = (value for _, predicate, value in statements if predicate == wanted)
    return next((value.value for value in values if isinstance(value, Literal)), None)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _providers(seed: int) -> list[_Provider]:
    everyone = [
        _provider(f"{city.name} {organisation}", city, seed) for city in CITIES for organisation in ORGANISATIONS
    ]
    Random(f"providers {seed}").shuffle(everyone)
    return everyone


def _provider(name: str, city: City, seed: int) -> _Provider:
    domain = name.lower().replace(" ", "-")
    return _Provider(name, f"https://{domain}.example", f"did:iota:lnk:0x{_digest('did', seed, name)}", city)


def _offering(provider: _Provider, index: int, seed: int) -> SandboxOffering:
    random = Random(f"offering {seed} {index}")
    subject = random.choice(SUBJECTS)
    iri = f"{provider.origin}/offerings/{subject.slug}-{_digest('offering', seed, index)[:12]}"
    title = f"{subject.titles['en']} in {provider.city.name}"
    document = {"@context": CONTEXT, **_description(iri, title, subject, provider, random)}
    return SandboxOffering(address_of(iri), owner_of(provider.did), name_of(iri), iri, msgspec.json.encode(document))


def _description(iri: str, title: str, subject: Subject, provider: _Provider, random: Random) -> Json:
    issued = FIRST_ISSUED + timedelta(minutes=random.randrange(365 * 24 * 60))
    city = provider.city
    return {
        "@id": iri,
        "@type": "sedimark:Offering",
        "dct:title": [_text(title, "en"), _text(f"{subject.titles[city.language]} ({city.name})", city.language)],
        "dct:description": _text(
            f"{subject.titles['en']}, measured in {city.name} in {subject.unit} and offered by {provider.name}.", "en"
        ),
        "dct:issued": _time(issued),
        "dct:language": city.language_name,
        "dct:creator": provider.name,
        "dct:publisher": {"@id": provider.did},
        "dct:license": {"@id": random.choice(LICENCES)},
        "dcat:themeTaxonomy": {"@id": "https://w3id.org/sedimark/vocab/sdm"},
        "sedimark:isListedBy": _self_listing(iri, provider),
        "sedimark:hasOfferingContract": _contract(iri, issued, provider, random),
        "sedimark:hasAsset": _asset(iri, title, issued, subject, provider, random),
    }


def _self_listing(iri: str, provider: _Provider) -> Json:
    return {
        "@id": f"{provider.origin}/offerings",
        "@type": "sedimark:Self-Listing",
        "dct:title": _text(f"Offerings of {provider.name}", "en"),
        "sedimark:hasOffering": {"@id": iri},
        "sedimark:belongsTo": {
            "@id": f"{provider.origin}/participant",
            "@type": "sedimark:Participant",
            "schema:alternateName": provider.name,
            "schema:accountId": provider.did,
            "schema:url": {"@id": provider.origin + "/"},
        },
    }


def _contract(iri: str, issued: datetime, provider: _Provider, random: Random) -> Json:
    constraints = [
        _constraint("odrl:dateTime", "odrl:gteq", _time(issued)),
        _constraint("odrl:dateTime", "odrl:lteq", _time(issued + timedelta(days=random.choice((90, 180, 365))))),
        _constraint("odrl:spatial", "odrl:eq", {"@id": f"wikidata:{provider.city.wikidata}"}),
    ]
    price = random.choice(("0", "0.5", "1", "2.25", "10"))
    permission: Json = {
        "@type": "odrl:Permission",
        "odrl:target": {"@id": iri},
        "odrl:assigner": {"@id": provider.did},
        "odrl:action": {"@id": "odrl:use"},
        "odrl:constraint": constraints[: random.choice((2, 3))],
    }
    if price != "0":
        amount = _constraint("odrl:payAmount", "odrl:eq", {"@type": "xsd:decimal", "@value": price})
        permission["odrl:duty"] = {
            "@type": "odrl:Duty",
            "odrl:action": {"odrl:action": {"@id": "odrl:compensate"}, "odrl:refinement": amount},
        }
    return {
        "@id": f"{iri}/contract",
        "@type": "sedimark:OfferingContract",
        "odrl:uid": f"{iri}/contract",
        "odrl:permission": permission,
    }


def _constraint(left: str, operator: str, right: Json) -> Json:
    return {"odrl:leftOperand": {"@id": left}, "odrl:operator": {"@id": operator}, "odrl:rightOperand": right}


def _asset(iri: str, title: str, issued: datetime, subject: Subject, provider: _Provider, random: Random) -> Json:
    city = provider.city
    return {
        "@id": f"{iri}/asset",
        "@type": "sedimark:Asset",
        "dct:title": _text(f"{title}: the data", "en"),
        "dct:description": _text(
            f"Observations in {subject.unit}, one every {random.choice((1, 5, 15, 60))} min.", "en"
        ),
        "dct:identifier": _digest("asset", iri)[:16],
        "dct:issued": _time(issued),
        "dct:creator": provider.name,
        "dct:spatial": {
            "@id": f"wikidata:{city.wikidata}",
            "@type": "dct:Location",
            "rdfs:label": _text(city.name, "en"),
        },
        "dcat:theme": {"@id": f"theme:{subject.theme}"},
        "dcat:keyword": [_text(word, "en") for word in random.sample(subject.keywords, random.choice((2, 3, 4)))],
        "sedimark:offeredBy": {"@id": iri},
        "sedimark:isProvidedBy": {
            "@id": f"{iri}/provision",
            "@type": "sedimark:AssetProvision",
            "dct:title": _text(f"{title}: how to get it", "en"),
            "dct:format": random.choice(("application/json", "application/ld+json", "text/csv")),
            "dcat:endpointURL": {"@type": "xsd:anyURI", "@value": f"{provider.origin}/data/{subject.slug}"},
        },
        "sedimark:hasAssetQuality": {
            "@id": f"{iri}/quality",
            "@type": "sedimark:AssetQuality",
            "dqv:computedOn": {"@id": f"{iri}/asset"},
            "dqv:value": {"@type": "xsd:decimal", "@value": f"{random.uniform(0.8, 1):.4f}"},
        },
    }


def _text(value: str, language: str) -> Json:
    return {"@value": value, "@language": language}


def _time(moment: datetime) -> Json:
    return {"@type": "xsd:dateTime", "@value": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
