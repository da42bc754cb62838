"""The text of a graph depends on neither labels nor order, and is made soon or refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import Any

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catena_core.errors import RejectedError
from federation import skolem
from sandbox import made_up_offerings
from tests.helpers.offering_graph import (
    CHECKOUT,
    IRI,
    SOURCE,
    P,
    isomorphic,
    offering,
    read,
    subjects,
    triples,
    values,
    with_blank_nodes,
)
from topology.rdf.offering_graph import canonical_text


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
    assert time.process_time() - started < 30


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
