"""Random queries over nodes of each kind, with replicas, stale copies and deleted graphs, against one store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from federation.engine import Engine
from tests.differential.catalogue import Catalogue
from tests.differential.comparison import ask, compare, expected
from tests.differential.grammar import Query, queries
from tests.differential.rounds import TIMEOUT, few_rounds, rounds
from tests.differential.worlds import TANGLED, TIDY, World

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture(scope="module", params=[TANGLED, TIDY], ids=lambda world: world.name)
def world(request: pytest.FixtureRequest) -> World:
    world: World = request.param
    return world


@pytest.fixture(scope="module", autouse=True)
def few_rows() -> Iterator[None]:
    """These worlds are small: let nodes have more than the first rows that they are asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("federation.execution._FIRST_ROWS", 1)
        yield


@rounds
@given(
    query=queries(),
    down=st.sampled_from([None, None, 0, 1, 2, 3, 4]),
    fill=st.integers(0, 3),
)
def test_answer_is_that_of_one_store(
    query: Query,
    down: int | None,
    fill: int,
    catalogue: Catalogue,
    engine: Engine,
) -> None:
    avoided = frozenset[str]() if down is None else frozenset({catalogue.sources[down % len(catalogue.sources)].id})
    truth = expected(catalogue.reference(avoided), query)
    if truth is None or (truth.empty and fill):  # most that come to mind find nothing: few of these are asked
        reject()
    answer = ask(engine, query, lambda failed: catalogue.snapshot(avoided | failed))
    # On a machine with too much to do, a node may be given up although nobody else has its graphs.
    missing = avoided | frozenset(answer.missing)
    compare(answer, catalogue.reference(missing), query)
    if not answer.missing and avoided:
        compare(answer, catalogue.reference(), query)


@few_rounds
@given(query=queries(), fill=st.integers(0, 3))
def test_answer_of_the_view_is_that_of_one_store(
    query: Query, fill: int, catalogue: Catalogue, viewing_engine: Engine
) -> None:
    truth = expected(catalogue.reference(), query)
    if truth is None or query.has_dataset or (truth.empty and fill):  # the view answers none with a dataset
        reject()
    answer = ask(viewing_engine, query, catalogue.snapshot)
    while answer.tier != "view":  # after a pause it fetches providers' graphs again
        answer = ask(viewing_engine, query, catalogue.snapshot)
    compare(answer, catalogue.reference(), query)
