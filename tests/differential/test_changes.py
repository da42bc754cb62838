"""Graphs that are replaced, deleted and added between queries: the view never shows earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.engine import Answer, Engine
from federation.source_selection import Snapshot
from tests.differential.catalogue import Catalogue, over_view, put
from tests.differential.comparison import ask, compare, same
from tests.differential.grammar import Query, queries
from tests.differential.graphs import EX, PREFIXES
from tests.differential.reference import Result
from tests.differential.rounds import TIMEOUT, few_rounds
from tests.differential.worlds import TANGLED, World

pytestmark = pytest.mark.timeout(TIMEOUT)

SnapshotFor = Callable[[frozenset[str]], Snapshot]

_UNTIL_IT_IS = 1_000_000

PLACES = [f"{EX}g/{n}" for n in range(1, 9)]
TEXTS = [
    ":a :p :b ; :n 1 , 'x'@en . :b :p :c .",
    ":a :p :c ; :n 2 . :b :q :a ; :n 'x' .",
    ":e :q :a . :q :p :n .",
    ":a :n '01'^^xsd:integer , 'K' . :c :p [ :q :b ; :n 'x' ] .",
    ":d :q <https://catena.invalid/.well-known/genid/g/c14n0> . <https://catena.invalid/.well-known/genid/g/c14n0> :n 1 .",
    ":stranger :nothing :stranger .",
]
USUAL = [
    Query(text)
    for text in (
        "SELECT * { ?x :p ?y }",
        "SELECT * { ?x :p ?y ; :n ?n }",
        "SELECT * { GRAPH ?g { ?x :n ?n FILTER(?n = 1) } }",
        "SELECT (COUNT(*) AS ?c) { ?x ?k ?y }",
        "SELECT ?g (COUNT(*) AS ?c) { GRAPH ?g { ?x ?k ?y } } GROUP BY ?g",
        "SELECT ?g { GRAPH ?g { } }",
        "SELECT * { GRAPH ?g { OPTIONAL { ?x :q ?y } } }",
        "SELECT * { ?x :q ?y OPTIONAL { ?y :n ?n } }",
        "SELECT * { GRAPH g:1 { ?x :p ?y } }",
        "SELECT * { ?x :p* ?y }",
        "ASK { :a :p :c }",
        "DESCRIBE :a",
        "SELECT * { ?x :p ?y . ?y :q ?z FILTER NOT EXISTS { ?x :n 2 } }",
    )
]


class Memory(dict[str, str]):
    """Keeps answers."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keep a text for as long as the test goes on."""
        self[key] = text


@pytest.fixture(scope="module")
def catalogue(five_sandbox_nodes: list[str]) -> Catalogue:
    return Catalogue(five_sandbox_nodes[:3], TANGLED)


@pytest.fixture(scope="module")
def viewers(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """Engines with a view: one keeps it on disk, and the other whole answers as well."""
    directory = str(tmp_path_factory.mktemp("view"))
    with (
        over_view(catalogue, cache_ttl=600, workers=1, view_directory=directory) as one,
        over_view(catalogue, cache_ttl=600, workers=1, store=Memory()) as other,
    ):
        yield [one, other]


def asked_again(engine: Engine, query: Query, snapshot_for: SnapshotFor, times: int = 5) -> Iterator[Answer]:
    """Answers, until one comes from the view."""
    for _ in range(times):
        answer = ask(engine, query, snapshot_for)
        yield answer
        assert engine.view is not None and engine.view.state != "off", engine.view
        if answer.tier == "view" or query.has_dataset:
            return


changes = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(PLACES[:3]), st.sampled_from(TEXTS)),
    st.tuples(st.just("place"), st.sampled_from(PLACES), st.sampled_from(TEXTS)),
    st.tuples(st.just("withdraw"), st.sampled_from(PLACES), st.just("")),
)
steps = st.lists(
    st.one_of(changes, st.sampled_from(USUAL), st.sampled_from(USUAL), st.sampled_from(USUAL), queries()),
    min_size=2,
    max_size=8,
)


@few_rounds
@given(steps=steps, down=st.sampled_from([None, None, None, 0, 1, 2]), answers=st.booleans())
def test_answers_are_those_of_the_graphs_as_they_are_by_now(
    steps: list[Query | tuple[str, str, str]],
    down: int | None,
    answers: bool,
    catalogue: Catalogue,
    viewers: list[Engine],
) -> None:
    """A graph that has been written, of which the gateway does not know yet, may be seen as it was, or as it is."""
    avoided = frozenset[str]() if down is None else frozenset({f"node{down}"})
    told: list[str] = []
    before: Catalogue | None = None
    _put_back(catalogue)
    for engine in viewers[answers : answers + 1]:
        for step in steps:
            if isinstance(step, Query):
                for answer in asked_again(engine, step, lambda failed: catalogue.snapshot(avoided | failed)):
                    told.append(f"ask {step.text}")
                    missing = avoided | frozenset(answer.missing)
                    if before is not None and same(answer, before.reference(missing), step):
                        continue
                    # The thread that follows all nodes may have added their graphs to the view since this query chose it.
                    if answer.tier == "view" and same(answer, catalogue.reference(), step):
                        continue
                    compare(answer, catalogue.reference(missing), step, told)
                continue
            told.append(" ".join(step))
            kind, name, turtle = step
            if kind == "write" and before is None and name in catalogue.placed:
                before = catalogue.write(name, PREFIXES + turtle)
                continue
            catalogue.acknowledge()
            before = None
            if kind == "withdraw" and name in catalogue.placed:
                catalogue.withdraw(name)
            elif kind == "place":
                catalogue.place(name, PREFIXES + turtle)
    catalogue.acknowledge()


def _put_back(catalogue: Catalogue) -> None:
    for name in {*catalogue.placed, *TANGLED.placed}:
        if name not in TANGLED.placed:
            catalogue.withdraw(name)
        elif catalogue.placed.get(name) != TANGLED.placed[name]:
            catalogue.place(name, TANGLED.placed[name])


def test_a_graph_that_was_withdrawn_does_not_exist_any_more(catalogue: Catalogue, viewers: list[Engine]) -> None:
    _put_back(catalogue)
    names = Query("SELECT ?g { GRAPH ?g { } }")
    nothing = Query("SELECT * { GRAPH ?g { OPTIONAL { ?x :nothing ?y } } }")
    one = Query("SELECT * { GRAPH g:4 { } }")
    for engine in viewers[:1]:
        for withdrawn in ([], [f"{EX}g/4"]):
            for name in withdrawn:
                catalogue.withdraw(name)
            for query in (nothing, names, one):
                for answer in asked_again(engine, query, catalogue.snapshot, _UNTIL_IT_IS):
                    compare(answer, catalogue.reference(), query)
                assert answer.tier == "view"


@pytest.mark.parametrize("whose", ["placed", "a provider's"])
def test_two_states_of_a_graph_are_not_mixed(whose: str, five_sandbox_nodes: list[str]) -> None:
    """The nodes have the new content already, and the gateway does not know of that."""
    name = f"{EX}g/changing"
    texts = [PREFIXES + f":s :left {n} ; :right {n} ; :other 1 ." for n in (1, 2)]
    world = World(
        "changing",
        {} if whose != "placed" else {name: texts[0]},
        provided={} if whose == "placed" else {name: texts[0]},
    )
    catalogue = Catalogue(five_sandbox_nodes[:3], world)
    left, both = Query("SELECT * { ?s :left ?l }"), Query("SELECT * { ?s :left ?l ; :right ?r }")
    with over_view(catalogue, workers=1) as engine:
        assert [answer.tier for answer in asked_again(engine, left, catalogue.snapshot, _UNTIL_IT_IS)][-1] == "view"
        for node in five_sandbox_nodes[:3]:
            if whose == "placed" or node == five_sandbox_nodes[2]:
                put(node, name, texts[1])
        found = [
            Result.read(answer.body, answer.media_type) for answer in asked_again(engine, both, catalogue.snapshot)
        ]
    one = '"{}"^^<http://www.w3.org/2001/XMLSchema#integer>'
    states = [[(f"<{EX}s>", one.format(n), one.format(n))] for n in (1, 2)]
    assert all(result.rows in states for result in found), found
