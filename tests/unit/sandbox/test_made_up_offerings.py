"""The offerings that the sandbox makes up, and those that it splits out of a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import BlankNode, CanonicalizationAlgorithm, Dataset, Literal, Quad, RdfFormat, parse

from sandbox.made_up_offerings import Json, SandboxOffering, address_of, generate, load, split
from sandbox.rdf import OFFERING, TYPE

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data"

SEDIMARK = "https://w3id.org/sedimark/ontology#"


def triples(document: bytes) -> list[Any]:
    return [quad.triple for quad in parse(document, RdfFormat.JSON_LD)]


def canonical(found: list[Any]) -> Dataset:
    dataset = Dataset(Quad(triple.subject, triple.predicate, triple.object) for triple in found)
    dataset.canonicalize(CanonicalizationAlgorithm.UNSTABLE)
    return dataset


def offering_types(offering: SandboxOffering) -> list[str]:
    return [t.subject.value for t in triples(offering.description) if t.predicate == TYPE and t.object == OFFERING]


def test_the_same_seed_makes_the_same_offerings() -> None:
    assert generate(50, seed=3) == generate(50, seed=3)


def test_a_larger_count_adds_to_a_smaller() -> None:
    assert generate(60, seed=3)[:50] == generate(50, seed=3)


def test_another_seed_makes_other_offerings() -> None:
    first, second = generate(50, seed=3), generate(50, seed=4)
    assert not {offering.iri for offering in first} & {offering.iri for offering in second}
    assert not {offering.owner for offering in first} & {offering.owner for offering in second}


def test_each_document_describes_one_offering_in_some_seventy_triples() -> None:
    for offering in generate(200, seed=1):
        found = triples(offering.description)
        assert len(set(found)) == len(found)
        assert 50 <= len(found) <= 100
        assert offering_types(offering) == [offering.iri]


def test_addresses_are_like_those_of_a_ledger_and_owners_have_several_offerings() -> None:
    made = generate(1000, seed=1)
    assert len({offering.address for offering in made}) == 1000
    assert len({offering.iri for offering in made}) == 1000
    assert all(re.fullmatch("0x[0-9a-fA-F]{40}", offering.address) for offering in made)
    assert all(re.fullmatch("0x[0-9a-fA-F]{40}", offering.owner) for offering in made)
    assert len({offering.owner for offering in generate(12, seed=1)}) == 3


def test_documents_are_whole_what_is_in_them_is_reachable() -> None:
    for offering in generate(50, seed=1):
        (cut,) = split(offering.description)
        assert canonical(triples(cut.description)) == canonical(triples(offering.description))
        assert (cut.iri, cut.address, cut.owner, cut.name) == (
            offering.iri,
            offering.address,
            offering.owner,
            offering.name,
        )


def test_documents_have_the_kinds_of_terms_that_real_ones_have() -> None:
    found = triples(generate(1, seed=1)[0].description)
    literals = [triple.object for triple in found if isinstance(triple.object, Literal)]
    assert {literal.language for literal in literals} >= {"en", None}
    assert len({literal.language for literal in literals}) == 3
    datatypes = {literal.datatype.value.rsplit("#")[-1] for literal in literals}
    assert datatypes >= {"dateTime", "decimal", "string", "langString", "anyURI"}
    assert any(isinstance(triple.subject, BlankNode) for triple in found)
    classes = {triple.object.value for triple in found if triple.predicate == TYPE}
    assert {
        SEDIMARK + name for name in ("Self-Listing", "Participant", "OfferingContract", "Asset", "AssetQuality")
    } <= (classes)


def test_the_same_thing_listed_again_has_another_address() -> None:
    assert address_of("https://a.example/1") == address_of("https://a.example/1")
    assert len({address_of("https://a.example/1", listing) for listing in range(10)}) == 10


def document(*nodes: Json, graph: bool = True) -> bytes:
    context = {"s": SEDIMARK, "x": "https://x.example/", "dct": "http://purl.org/dc/terms/"}
    return json.dumps(
        {"@context": context, "@graph": list(nodes)} if graph else {"@context": context, **nodes[0]}
    ).encode()


ONE: Json = {"@id": "x:1", "@type": "s:Offering", "dct:title": "One", "s:hasAsset": {"@id": "x:shared"}}
TWO: Json = {
    "@id": "x:2",
    "@type": "s:Offering",
    "dct:title": "Two",
    "s:hasAsset": [{"@id": "x:shared"}, {"@id": "x:1"}],
}
SHARED: Json = {
    "@id": "x:shared",
    "dct:title": "Shared",
    "x:by": {"dct:title": "nobody"},
    "s:offeredBy": {"@id": "x:2"},
}
STRAY: Json = {"@id": "x:stray", "dct:title": "Stray"}


def test_a_file_is_split_into_what_each_offering_reaches(tmp_path: Path) -> None:
    file = tmp_path / "two.jsonld"
    file.write_bytes(document(STRAY, SHARED, TWO, ONE))
    one, two = load(file)
    assert (one.name, two.name) == ("1", "2")
    titles = [
        sorted(t.object.value for t in triples(o.description) if t.predicate.value.endswith("title"))
        for o in (one, two)
    ]
    assert titles == [["One", "Shared", "nobody"], ["Shared", "Two", "nobody"]]
    assert offering_types(one) == ["https://x.example/1"]
    assert offering_types(two) == ["https://x.example/2"]


@pytest.mark.parametrize("graph", [True, False])
def test_a_file_may_describe_a_single_offering(tmp_path: Path, graph: bool) -> None:
    file = tmp_path / "one.jsonld"
    file.write_bytes(document(ONE, graph=graph))
    (one,) = load(file)
    assert (one.iri, len(triples(one.description))) == ("https://x.example/1", 3)


def test_a_split_gives_the_same_bytes_each_time() -> None:
    body = document(SHARED, TWO)
    assert [o.description for o in split(body)] == [o.description for o in split(body)]


def test_an_offering_that_is_typed_twice_is_one_offering() -> None:
    assert len(split(document({**ONE, "@type": ["s:Offering", "s:Offering"]}))) == 1


def test_a_file_without_offerings_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none.jsonld"
    file.write_bytes(document(STRAY))
    with pytest.raises(ValueError, match="describes no"):
        load(file)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published example offerings are not beside this checkout")
class TestPublishedExamples:
    def test_a_hundred_offerings_are_split(self) -> None:
        offerings = load(PUBLISHED / "offerings_100.jsonld")
        assert len(offerings) == 100
        assert all(len(offering_types(offering)) == 1 for offering in offerings)
        whole = canonical(triples((PUBLISHED / "offerings_100.jsonld").read_bytes()))
        parts = [triple for offering in offerings for triple in triples(offering.description)]
        assert canonical(parts) == whole

    @pytest.mark.parametrize(("name", "size"), [("offerings_1.jsonld", 131), ("offering_with_contract.jsonld", 72)])
    def test_a_single_offering_is_kept_whole(self, name: str, size: int) -> None:
        (offering,) = load(PUBLISHED / name)
        assert len(triples(offering.description)) == size
        assert canonical(triples(offering.description)) == canonical(triples((PUBLISHED / name).read_bytes()))
