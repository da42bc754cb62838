"""The IRIs that stand for blank nodes."""

from __future__ import annotations

import pytest

from federation.fetching.merge import skolem_label, skolem_suffix
from federation.fetching.terms import valid_iri
from federation.skolem import PREFIX, skolem_iri

GRAPHS = ["urn:g", "urn:G", "https://p.example/ö?q#f", ""]


@pytest.mark.parametrize("graph", GRAPHS)
def test_skolem_iri_is_a_plain_iri_that_a_blank_node_is_made_of_and_back(graph: str) -> None:
    iri = skolem_iri(graph, "c14n0")

    assert valid_iri(iri) == iri
    suffix = iri.removeprefix(PREFIX)
    label = skolem_label(suffix.encode()).decode()
    assert label.isascii() and label.replace("_", "").isalnum()
    assert skolem_suffix(label) == suffix


def test_skolem_iris_are_told_apart_by_graph_and_label_and_stay_the_same() -> None:
    iris = {skolem_iri(graph, label) for graph in GRAPHS for label in ("c14n0", "c14n1")}

    assert len(iris) == 2 * len(GRAPHS)
    # Nodes keep them: another form would make every stored graph differ from its description.
    assert skolem_iri("urn:g", "c14n0") == f"{PREFIX}e036c16b9618d36c6aac7643/c14n0"
