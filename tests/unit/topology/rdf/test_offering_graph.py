"""From a provider's document to the text that every node keeps: the same text for the same graph, and nothing from the rest."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catena_core.errors import RejectedError
from federation import skolem
from sandbox import made_up_offerings
from topology.rdf.offering_graph import Description, canonical_text, read_description, to_json_ld

CHECKOUT = Path(__file__).parents[4]
SOURCE = "https://provider.example/descriptions/1"
OFFERING = "https://w3id.org/sedimark/ontology#Offering"
IRI = "https://provider.example/offerings/1"
P = "https://vocabulary.example/p"


def offering(content: Any = None, **more: Any) -> dict[str, Any]:
    """Describe a small offering with a text."""
    return {"@id": IRI, "@type": OFFERING, P: [] if content is None else content, **more}


def read(document: Any, **arguments: Any) -> Description:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_description(content, **{"source": SOURCE, **arguments})


def refusal(document: Any, **arguments: Any) -> str:
    with pytest.raises(RejectedError) as refused:
        read(document, **arguments)
    return str(refused.value)


def triples(text: str) -> list[ox.Triple]:
    return [quad.triple for quad in ox.parse(text, format=ox.RdfFormat.N_TRIPLES)]


def values(description: Description) -> set[str]:
    said = [triple.object for triple in triples(description.triples) if triple.predicate.value == P]
    return {value.value for value in said if isinstance(value, (ox.Literal, ox.NamedNode))}


def subjects(graph: list[ox.Triple]) -> set[str]:
    return {triple.subject.value for triple in graph if isinstance(triple.subject, ox.NamedNode)}


def isomorphic(one: list[ox.Triple], other: list[ox.Triple]) -> bool:
    def canonical(graph: list[ox.Triple]) -> ox.Dataset:
        dataset = ox.Dataset(ox.Quad(*triple) for triple in graph)
        dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
        return dataset

    return canonical(one) == canonical(other)


def with_blank_nodes(text: str) -> list[ox.Triple]:
    """Return the graph as it was before blank nodes got IRIs."""

    def term(named: Any) -> Any:
        is_skolem = isinstance(named, ox.NamedNode) and named.value.startswith(skolem.PREFIX)
        return ox.BlankNode(named.value.rpartition("/")[2]) if is_skolem else named

    return [ox.Triple(term(t.subject), t.predicate, term(t.object)) for t in triples(text)]


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
    @pytest.mark.parametrize(
        "document", [b"", b"{", b"<html>", b'{"@id": "\xff"}', b"\xff\xfe", b'{"@id": "\\ud800"}', b"NaN"]
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
            {"@id": f"{skolem.PREFIX}0123/c14n0", "@type": OFFERING},
            {"@context": {"x": skolem.PREFIX}, **offering({"@id": "x:0123/c14n0"})},
        ],
    )
    def test_iris_that_stand_for_blank_nodes_cannot_be_forged(self, forged: Any) -> None:
        assert "stand for blank nodes" in refusal(forged)

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
        assert time.process_time() - started < 3

    def test_a_large_offering_is_fine(self) -> None:
        described = [{"@id": f"urn:{n}", P: f"asset {n}"} for n in range(5000)]

        assert len(triples(read(offering(described)).triples)) == 10_001


class TestBlankNodes:
    @settings(max_examples=60, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def test_neither_labels_nor_order_matter(self, seed: int) -> None:
        shuffle = random.Random(seed)
        made = made_up_offerings.generate(1, seed=seed % 7)[0]
        quads = list(ox.parse(made.description, format=ox.RdfFormat.JSON_LD, base_iri=SOURCE))
        names: dict[str, ox.BlankNode] = {}

        def relabelled(term: Any) -> Any:
            if isinstance(term, ox.BlankNode):
                return names.setdefault(term.value, ox.BlankNode(f"x{shuffle.randrange(10**12)}"))
            return term

        graph = [ox.Triple(relabelled(q.subject), q.predicate, relabelled(q.object)) for q in quads]
        shuffle.shuffle(graph)
        again = ox.serialize(graph, format=ox.RdfFormat.JSON_LD)

        assert names, "there is something to name"
        assert again is not None
        assert read(again) == read(made.description)

    def test_named_in_subject_and_object(self) -> None:
        kept = triples(read(offering([{P: "one"}, {P: {P: "two"}}])).triples)

        assert not any(isinstance(end, ox.BlankNode) for triple in kept for end in (triple.subject, triple.object))
        names = subjects(kept) - {IRI}
        assert len(names) == 3
        assert all(name.startswith(skolem.skolem_iri(IRI, "c14n")) for name in names)

    def test_those_of_two_graphs_are_never_the_same(self) -> None:
        one, other = read(offering({P: "x"})), read(offering({P: "x"}, **{"@id": "urn:example:other"}))

        assert not {t.subject for t in triples(one.triples)} & {t.subject for t in triples(other.triples)}

    @pytest.mark.parametrize(
        "text",
        [
            "_:c14n0",
            "_:c14n0 .",
            "> _:c14n0 .",
            '" . \n_:c14n0 <urn:p> _:c14n0 .\n<urn:s> <urn:p> _:c14n0 .',
            "\n_:c14n0 <urn:p> <urn:o> .\n",
            "\\1",
            "\u2028_:c14n0 <urn:p> <urn:o> .",
        ],
    )
    def test_literals_that_look_like_them_stay_as_they_are(self, text: str) -> None:
        description = read(offering([text, {P: "the blank node"}]))

        assert text in values(description)
        assert isomorphic(
            with_blank_nodes(description.triples),
            [
                q.triple
                for q in ox.parse(json.dumps(offering([text, {P: "the blank node"}])), format=ox.RdfFormat.JSON_LD)
            ],
        )

    @given(text=st.text())
    def test_any_literal_survives(self, text: str) -> None:
        description = read(offering([text, {P: text}]))

        assert values(description) >= {text}
        assert sorted(description.triples[:-1].split("\n")) == description.triples[:-1].split("\n")

    @pytest.mark.parametrize("line_break", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\r\n", "\n"])
    def test_a_line_break_in_a_literal_breaks_no_line(self, line_break: str) -> None:
        text = f"before{line_break}after"

        assert values(read(offering([text, "another"]))) == {text, "another"}


class TestSymmetry:
    """What looks alike costs; see the security considerations of RDFC-1.0."""

    @settings(max_examples=150, deadline=None)
    @given(
        nodes=st.integers(2, 30),
        predicates=st.integers(1, 3),
        data=st.data(),
    )
    def test_random_graphs_are_refused_at_once_or_named_soon(
        self, nodes: int, predicates: int, data: st.DataObject
    ) -> None:
        ends = st.integers(0, nodes - 1)
        edges = data.draw(st.sets(st.tuples(ends, st.integers(0, predicates - 1), ends), min_size=1, max_size=90))
        is_soon(edges)

    @pytest.mark.parametrize("size", [2, 3, 5, 6, 7, 8, 12, 30])
    @pytest.mark.parametrize(
        "shape", ["complete", "cycle", "wheel", "bipartite", "star", "cliques", "grid", "two ways"]
    )
    def test_symmetric_graphs_are_refused_at_once_or_named_soon(self, shape: str, size: int) -> None:
        pairs = {
            "complete": [(a, b) for a in range(size) for b in range(size) if a != b],
            "cycle": [(a, (a + 1) % size) for a in range(size)],
            "wheel": [(a, (a + 1) % size) for a in range(size)] + [(size, a) for a in range(size)],
            "bipartite": [(a, b) for a in range(size // 2) for b in range(size // 2, size)],
            "star": [(size, a) for a in range(size)],
            "cliques": [(a, b) for a in range(size) for b in range(size) if a != b and a // 3 == b // 3],
            "grid": [(a, b) for a in range(size) for b in (a + 1, a + 5) if b < size],
            "two ways": [pair for a in range(size) for pair in ((a, (a + 1) % size), ((a + 1) % size, a))],
        }
        is_soon({(a, 0, b) for a, b in pairs[shape]})

    @pytest.mark.parametrize(("nodes", "predicates"), [(2, 5000), (3, 1000), (6, 500), (7, 500)])
    def test_few_nodes_with_many_ties_are_refused_at_once_or_named_soon(self, nodes: int, predicates: int) -> None:
        is_soon({(a, p, b) for a in range(nodes) for b in range(nodes) if a != b for p in range(predicates)})

    def test_many_small_groups_are_named(self) -> None:
        graph = [blank(2 * n, 0, 2 * n + 1) for n in range(1000)]

        assert canonical_text(graph, IRI).count("\n") == 1000

    def test_a_contract_s_ordinary_symmetry_is_named(self) -> None:
        """Two permissions that say the same, each with two constraints that say the same."""
        duty = {P: [{P: "alike"}, {P: "alike"}]}

        assert len(triples(read(offering([duty, duty])).triples)) == 11

    @pytest.mark.parametrize("shape", ["chain", "cycle", "told apart"])
    def test_5000_in_a_row_do_not_end_the_process(self, shape: str) -> None:
        """In a process of its own, since a stack that overflows takes all with it."""
        script = f"""
import pyoxigraph as ox
from catena_core.errors import RejectedError
from topology.rdf.offering_graph import canonical_text
count, shape = 5000, {shape!r}
node = [ox.BlankNode(f"b{{n}}") for n in range(count)]
p = ox.NamedNode("urn:p")
triples = [ox.Triple(node[n], p, node[n + 1]) for n in range(count - 1)]
if shape == "cycle":
    triples.append(ox.Triple(node[-1], p, node[0]))
if shape == "told apart":
    triples += [ox.Triple(node[n], p, ox.Literal(str(n))) for n in range(count)]
try:
    print("lines", canonical_text(triples, "urn:g").count(chr(10)))
except RejectedError as error:
    print("refused", error)
"""
        ended = subprocess.run(
            [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=240
        )

        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith("lines 9999" if shape == "told apart" else "refused too many blank nodes")


def blank(one: int, predicate: int, other: int) -> ox.Triple:
    return ox.Triple(ox.BlankNode(f"b{one}"), ox.NamedNode(f"urn:p{predicate}"), ox.BlankNode(f"b{other}"))


def is_soon(edges: set[tuple[int, int, int]]) -> None:
    started = time.process_time()
    try:
        text = canonical_text([blank(*edge) for edge in edges], IRI)
    except RejectedError as error:
        assert "look alike" in str(error)
    else:
        assert text.count("\n") == len(edges)
    assert time.process_time() - started < 2


_NAMES = st.sampled_from(["_:a", "_:b", "_:c", "_:d", "<https://x.example/1>", "<https://x.example/2>"])
_LITERALS = st.text(max_size=3).map(lambda text: str(ox.Literal(text)))
_ROWS = st.tuples(_NAMES, st.sampled_from(["<https://x.example/p>", "<https://x.example/q>"]), _NAMES | _LITERALS)


@settings(deadline=None)
@given(st.lists(_ROWS, max_size=8))
def test_canonical_text_of_nodes_that_differ_by_themselves_is_that_of_the_whole_algorithm(
    rows: list[tuple[str, str, str]],
) -> None:
    dataset = ox.Dataset(ox.parse("".join(f"{' '.join(row)} .\n" for row in rows), format=ox.RdfFormat.N_TRIPLES))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    prefix = skolem.skolem_iri(IRI, "")
    expected = {
        " ".join(f"<{prefix}{term.value}>" if isinstance(term, ox.BlankNode) else str(term) for term in quad.triple)
        + " ."
        for quad in dataset
    }
    assert canonical_text(rows, IRI).split("\n")[:-1] == sorted(expected)
