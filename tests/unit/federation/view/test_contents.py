"""Contents of graphs become N-Quads, with blank nodes in place of the IRIs that stand for them."""

from __future__ import annotations

import pyoxigraph
import pytest

from federation.fetching.merge import MergedQuads
from federation.skolem import PREFIX, skolem_iri
from federation.view import contents
from federation.view.contents import ContentReader, by_graph

BLANK, OTHER = (skolem_iri("urn:g", label) for label in ("c14n0", "c14n1"))


class Known(dict[tuple[str, str], str]):
    """The descriptions that are known, by graph and digest."""

    def content(self, graph: str, digest: str) -> str | None:
        return self.get((graph, digest))


def read(known: dict[str, str], graphs: dict[str, str] | None = None) -> list[dict[str, bytes]]:
    """Read graphs whose digest is ``d``."""
    reader = ContentReader(Known({(graph, "d"): text for graph, text in known.items()}), PREFIX)
    digests = dict.fromkeys(known, "d") if graphs is None else graphs
    return list(reader.portions(digests, digests))


@pytest.mark.parametrize(
    ("triples", "query"),
    [
        ('<urn:s> <urn:p> <urn:o> .\n<urn:s> <urn:p> "a .\\n" .\n', "{ <urn:s> <urn:p> <urn:o>, 'a .\\n' }"),
        (f"<{BLANK}> <urn:p> <{BLANK}> .\n", "{ ?b <urn:p> ?b FILTER(isBlank(?b)) }"),
        (f"<{BLANK}> <urn:p> <{OTHER}> .\n", "{ ?b <urn:p> ?c FILTER(isBlank(?b) && isBlank(?c) && ?b != ?c) }"),
        (f'<urn:s> <urn:p> "in <{BLANK}> .\\n" .\n', f"{{ <urn:s> <urn:p> 'in <{BLANK}> .\\n' }}"),
        (f'<{BLANK}> <urn:p> "a b <{OTHER}> c"@en .\n', f"{{ ?b <urn:p> 'a b <{OTHER}> c'@en FILTER(isBlank(?b)) }}"),
        (f"<urn:s> <urn:p> <{PREFIX}a-b/c%20d> .\n", "{ <urn:s> <urn:p> ?b FILTER(isBlank(?b)) }"),
    ],
)
def test_content_is_that_of_the_graph(triples: str, query: str) -> None:
    [portion] = read({"urn:g": triples})

    store = pyoxigraph.Store()
    store.load(portion["urn:g"], pyoxigraph.RdfFormat.N_QUADS)
    assert len(store) == triples.count(" .\n")
    assert bool(store.query(f"ASK {{ GRAPH <urn:g> {query} }}"))


def test_content_that_is_not_known_any_more_is_left_out() -> None:
    known = {"urn:g": "<urn:s> <urn:p> <urn:o> .\n"}

    assert [set(portion) for portion in read(known, {"urn:none": "d", "urn:g": "d", "urn:h": "d"})] == [{"urn:g"}]
    assert read(known, {"urn:g": "another"}) == []
    assert read({}) == []


def test_graph_without_triples_is_read_as_such() -> None:
    assert read({"urn:g": ""}) == [{"urn:g": b""}]


def test_portions_are_bounded_and_bring_each_graph_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_BYTES_AT_ONCE", 100)
    known = {f"urn:{n}": f"<urn:s> <urn:p> <urn:{n}> .\n" for n in range(7)}

    portions = read(known)

    assert [graph for portion in portions for graph in portion] == list(known)
    line = len(b"<urn:s> <urn:p> <urn:0> <urn:0> .\n")
    assert {len(portion) for portion in portions[:-1]} == {100 // line + 1}


def test_by_graph_gives_each_graph_its_lines() -> None:
    merged = MergedQuads(frozenset(), None, PREFIX, 10)
    merged.named = [
        b"<urn:s>\t<urn:p>\t<urn:o>\t<urn:g>",
        b'_:b\t<urn:p>\t"a\\tb"\t<urn:h>',
        b"_:b\t<urn:p>\t_:b\t<urn:g>",
    ]

    found = by_graph(merged)

    assert set(found) == {"urn:g", "urn:h"}
    for graph, count in (("urn:g", 2), ("urn:h", 1)):
        quads = list(pyoxigraph.parse(found[graph], pyoxigraph.RdfFormat.N_QUADS))
        assert [str(quad.graph_name) for quad in quads] == [f"<{graph}>"] * count
    assert by_graph(MergedQuads(frozenset(), None, PREFIX, 10)) == {}
