"""The graph of an offering is what its description says of it; what is none is refused."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pyoxigraph as ox
import pytest

from federation import skolem
from sandbox import made_up_offerings
from tests.helpers.offering_graph import (
    IRI,
    OFFERING,
    SOURCE,
    P,
    isomorphic,
    offering,
    read,
    refusal,
    subjects,
    triples,
    values,
    with_blank_nodes,
)
from topology.rdf.offering_graph import to_json_ld


class TestWhatBelongsToAnOffering:
    def test_what_can_be_reached_and_nothing_else(self) -> None:
        document = [
            offering({"@id": "urn:asset"}),
            {"@id": "urn:asset", P: {"@id": "urn:provider"}},
            {"@id": "urn:provider", P: "the provider"},
            {"@id": "urn:example:other", P: {"@id": IRI}},
            {"@id": "urn:example:other", "urn:q": "points at it, but it does not point back"},
        ]

        kept = triples(read(document).triples)

        assert subjects(kept) == {IRI, "urn:asset", "urn:provider"}
        assert len(kept) == 4

    def test_circles_end(self) -> None:
        document = [offering({"@id": "urn:a"}), {"@id": "urn:a", P: [{"@id": "urn:a"}, {"@id": IRI}]}]

        assert len(triples(read(document).triples)) == 4

    def test_what_stands_in_a_named_graph_is_not_said_of_it(self) -> None:
        document = [offering("kept"), {"@id": "urn:graph", "@graph": [{"@id": IRI, P: "not kept"}]}]

        assert values(read(document)) == {"kept"}

    def test_an_offering_that_stands_in_a_named_graph_only_is_none(self) -> None:
        assert "holds 0 resources" in refusal([{"@id": "urn:graph", "@graph": [offering()]}])

    def test_a_fifth_offering_s_worth_of_real_ones_round_trips(self) -> None:
        for made in made_up_offerings.generate(20, seed=5):
            description = read(made.description)
            document = list(ox.parse(made.description, format=ox.RdfFormat.JSON_LD, base_iri=SOURCE))

            assert description.graph == made.iri
            assert isomorphic(with_blank_nodes(description.triples), [quad.triple for quad in document])
            assert ox.parse(to_json_ld(description.triples), format=ox.RdfFormat.JSON_LD) is not None
            loaded = [quad.triple for quad in ox.parse(to_json_ld(description.triples), format=ox.RdfFormat.JSON_LD)]
            assert set(loaded) == set(triples(description.triples))

    def test_the_digest_is_that_of_the_text(self) -> None:
        description = read(offering("x"))

        assert description.digest == hashlib.sha256(description.triples.encode()).hexdigest()

    def test_relative_iris_are_the_source_s(self) -> None:
        assert values(read(offering({"@id": "../assets/2"}))) == {"https://provider.example/assets/2"}


class TestRisks:
    def test_iris_that_nodes_change_are_named(self) -> None:
        found = read(offering([{"@id": "https://p.example/a/../b"}, {"@id": "mailto:a@b.example"}, "c"]))

        assert found.risks == (
            "<https://p.example/a/../b>: its path has the segment . or ..",
            "<mailto:a@b.example>: it is an address for mail",
        )
        assert values(found) == {"https://p.example/a/../b", "mailto:a@b.example", "c"}

    @pytest.mark.parametrize("text", ["<https://p.example/a/../b>", "<mailto:a@b.example>", "a\u00a0b", "<x:>"])
    def test_a_text_is_at_no_risk(self, text: str) -> None:
        assert read(offering(text)).risks == ()


class TestWhatIsNoDescription:
    @pytest.mark.parametrize("document", [b"", b" \n", b"\xef\xbb\xbf"])
    def test_nothing(self, document: bytes) -> None:
        assert refusal(document) == "the description is empty"

    def test_an_offering_in_a_named_graph_is_told(self) -> None:
        document = {"@id": "https://p.example/g", "@graph": [{"@id": "https://p.example/1", "@type": OFFERING}]}

        assert "one stands in a named graph" in refusal(json.dumps(document).encode())

    def test_other_types_are_told(self) -> None:
        document = {"@id": "https://p.example/1", "@type": [OFFERING.replace("https", "http"), "urn:" + 500 * "t"]}

        said = refusal(json.dumps(document).encode())

        assert f"it holds resources of type <{OFFERING.replace('https', 'http')}>, <urn:ttt" in said
        assert len(said) < 500

    @pytest.mark.parametrize(
        "document", [b"{", b"<html>", b'{"@id": "\xff"}', b"\xff\xfe", b'{"@id": "\\ud800"}', b"NaN"]
    )
    def test_not_json(self, document: bytes) -> None:
        assert "not JSON" in refusal(document)

    @pytest.mark.parametrize(
        "document", [{"@context": 5}, {"@context": {"@version": 3}}, {"@id": 7}, offering({"@value": {}})]
    )
    def test_not_json_ld(self, document: Any) -> None:
        assert "not JSON-LD" in refusal(document)

    @pytest.mark.parametrize(
        "document", [None, [], {}, 5, "text", {"@id": IRI, P: "x"}, {"@id": IRI, P: {"@id": OFFERING}}]
    )
    def test_no_offering(self, document: Any) -> None:
        assert "holds 0 resources" in refusal(document)

    def test_an_offering_whose_iri_is_malformed_is_refused_with_the_reason(self) -> None:
        assert "'urn:example:a b' is not an absolute IRI" in refusal(offering(**{"@id": "urn:example:a b"}))

    def test_two_offerings(self) -> None:
        assert "holds 2 resources" in refusal([offering(), offering(**{"@id": "urn:example:other"})])

    def test_one_offering_typed_twice_is_one(self) -> None:
        assert read(offering(**{"@type": [OFFERING, OFFERING, "urn:Thing"]})).graph == IRI

    @pytest.mark.parametrize("name", [{}, {"@id": "_:offering"}])
    def test_an_offering_without_an_iri(self, name: dict[str, str]) -> None:
        assert "give it an @id" in refusal({"@type": OFFERING, P: "x", **name})

    @pytest.mark.parametrize(
        "forged",
        [
            offering({"@id": f"{skolem.PREFIX}0123/c14n0"}),
            offering(**{f"{skolem.PREFIX}0123/c14n0": "as a predicate"}),
            offering({"@value": "as a datatype", "@type": f"{skolem.PREFIX}x"}),
            [offering({"@id": "urn:a"}), {"@id": "urn:a", "@type": f"{skolem.PREFIX}0123/c14n0"}],
            {"@context": {"x": skolem.PREFIX}, **offering({"@id": "x:0123/c14n0"})},
        ],
    )
    def test_iris_that_stand_for_blank_nodes_cannot_be_forged(self, forged: Any) -> None:
        assert "stand for blank nodes" in refusal(forged)

    def test_an_offering_cannot_be_named_by_one_of_them(self) -> None:
        assert "cannot name a graph" in refusal({"@id": f"{skolem.PREFIX}0123/c14n0", "@type": OFFERING})

    def test_such_iris_may_be_talked_about(self) -> None:
        text = f"see <{skolem.PREFIX}0123/c14n0>"

        assert values(read(offering(text))) == {text}


class TestContexts:
    def test_one_that_is_written_out_is_used(self) -> None:
        assert values(read({"@context": {"says": P}, "@id": IRI, "@type": OFFERING, "says": "x"})) == {"x"}

    @pytest.mark.parametrize(
        "context",
        ["https://contexts.example/c", ["https://contexts.example/c"], [{"a": "urn:a"}, "https://contexts.example/c"]],
    )
    def test_a_remote_one_is_refused_by_name_and_never_fetched(self, context: Any) -> None:
        said = refusal({"@context": context, **offering()})

        assert "the context https://contexts.example/c, which is not at hand" in said
        assert "JSONLD_CONTEXTS" in said

    def test_one_deep_inside_is_found(self) -> None:
        assert "not at hand" in refusal(offering({"@id": "urn:a", P: [{"@context": "https://contexts.example/c"}]}))

    @pytest.mark.parametrize("key", [r"@conte\u0078t", r"\u0040context", r"\u0040\u0063ontext"])
    def test_one_behind_escapes_is_found(self, key: str) -> None:
        document = f'{{"{key}": "https://contexts.example/c", "@id": "{IRI}", "@type": "{OFFERING}"}}'

        assert "not at hand" in refusal(document.encode())

    def test_one_behind_another_of_the_same_name_is_not_fetched(self) -> None:
        document = (
            f'{{"@context": "https://contexts.example/c", "@context": {{}}, "@id": "{IRI}", "@type": "{OFFERING}"}}'
        )

        assert read(document.encode()).graph == IRI

    @pytest.mark.parametrize("at_hand", [{"@context": {"says": P}}, {"says": P}, [{"says": P}]])
    def test_one_at_hand_is_used(self, at_hand: Any) -> None:
        document = {"@context": ["https://contexts.example/c"], "@id": IRI, "@type": OFFERING, "says": "x"}

        assert values(read(document, contexts={"https://contexts.example/c": at_hand})) == {"x"}

    @pytest.mark.parametrize(
        "context",
        [{"@import": "https://contexts.example/c"}, {"T": {"@id": "urn:T", "@context": "https://contexts.example/c"}}],
    )
    def test_one_by_way_of_another_is_refused_by_name(self, context: Any) -> None:
        said = refusal({"@context": context, **offering()})

        assert "the context https://contexts.example/c, which is not at hand" in said

    def test_context_null_takes_names_away(self) -> None:
        document = {"@context": {"says": P}, **offering(), "says": {"@context": None, "@id": "urn:a", "says": "lost"}}

        assert values(read(document)) == {"urn:a"}

    def test_a_word_that_looks_like_a_context_is_only_a_word(self) -> None:
        assert values(read(offering('"@context": "https://contexts.example/c"'))) == {
            '"@context": "https://contexts.example/c"'
        }


class TestWhatIsTooMuch:
    """Each of these would take minutes, gigabytes or the process itself if it reached the parser as it is."""

    @pytest.mark.parametrize(
        ("opening", "core", "closing"),
        [
            (f'{{"{P}":', "1", "}"),
            ("[", "", "]"),
            ('{"@context":{"a":{"@id":"urn:a","@context":', "{}", "}}}"),
            ('{"@graph":[', "", "]}"),
            (f'{{"@reverse":{{"{P}":', "{}", "}}"),
        ],
    )
    @pytest.mark.parametrize("levels", [150, 100_000])
    def test_depth(self, opening: str, core: str, closing: str, levels: int) -> None:
        said = refusal((opening * levels + core + closing * levels).encode())

        assert "levels deep" in said

    def test_depth_of_an_unfinished_document(self) -> None:
        assert "deep" in refusal(b"[" * 1_000_000)

    def test_brackets_in_strings_are_not_depth(self) -> None:
        assert values(read(offering('\\"' + "[{" * 1000))) == {'\\"' + "[{" * 1000}

    def test_ordinary_depth_is_fine(self) -> None:
        nested: Any = "end"
        for _ in range(40):
            nested = {P: nested}

        assert len(triples(read(offering(nested)).triples)) == 42

    def test_short_names_for_a_long_iri(self) -> None:
        context = {"long": "urn:" + "x" * 990 + "/", "@vocab": "urn:y"}
        self.is_refused_soon(
            "once its names are written out",
            {"@context": context, **offering(), "z": [{f"long:{n}": n} for n in range(21_000)]},
        )

    def test_names_that_build_on_one_another(self) -> None:
        context = {"t0": "urn:"} | {f"t{n}": f"t{n - 1}:" + "x" * 3000 for n in range(1, 400)}
        self.is_refused_soon("more than 1000 characters", {"@context": context, **offering()})

    def test_a_long_vocabulary(self) -> None:
        self.is_refused_soon(
            "more than 1000 characters",
            {"@context": {"@vocab": "urn:" + "x" * 1_000_000}, **offering(), "a": [{"b": 1}] * 50_000},
        )

    def test_many_contexts(self) -> None:
        terms = {f"t{n}": f"urn:t{n}" for n in range(400)}
        self.is_refused_soon(
            "more than 100 contexts",
            {"@context": terms, **offering([{"@context": {}, "@id": f"urn:{n}"} for n in range(50_000)])},
        )

    def test_many_contexts_in_one(self) -> None:
        terms = {f"t{n}": f"urn:t{n}" for n in range(400)}
        self.is_refused_soon("more than 100 contexts", {"@context": [terms] + [{}] * 100_000, **offering()})

    def test_a_context_at_hand_asked_for_again_and_again(self) -> None:
        at_hand = {"https://contexts.example/c": {f"t{n}": f"urn:t{n}" for n in range(3000)}}
        nodes = [{"@context": ["https://contexts.example/c"] * 20, "@id": f"urn:{n}"} for n in range(2000)]
        self.is_refused_soon("its contexts take more than 100000 steps", offering(nodes), contexts=at_hand)

    def test_many_terms(self) -> None:
        self.is_refused_soon("more than 500", {"@context": {f"t{n}": f"urn:t{n}" for n in range(10_000)}, **offering()})

    @pytest.mark.parametrize("items", [list(range(49_000)), [1] * 49_000])
    def test_a_long_list_is_refused_before_it_is_canonicalised(
        self, items: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr("topology.rdf.offering_graph.canonical_text")

        assert "characters or more, over 10000000" in refusal(offering({"@list": items}))

    def test_many_triples(self) -> None:
        self.is_refused_soon("more than 100000 triples", offering(list(range(100_001))))

    @staticmethod
    def is_refused_soon(reason: str, document: Any, **arguments: Any) -> None:
        content = json.dumps(document).encode()
        assert len(content) <= 4 * 1024 * 1024, "more than a fetcher reads"
        started = time.process_time()
        assert reason in refusal(content, **arguments)
        assert time.process_time() - started < 30

    def test_a_large_offering_is_fine(self) -> None:
        described = [{"@id": f"urn:{n}", P: f"asset {n}"} for n in range(5000)]

        assert len(triples(read(offering(described)).triples)) == 10_001
