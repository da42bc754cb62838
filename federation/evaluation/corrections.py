"""Corrections for constructs that pyoxigraph 0.5 evaluates in another way than SPARQL 1.1.

It evaluates sub-selects and VALUES within ``GRAPH ?g`` once for all graphs, not in each graph by itself (section 18.6). There
it counts the graph's name among the variables that the sides of MINUS share.
It leaves the name of a graph unbound around another GRAPH (``QueryText.with_outer_graphs``).
It finds no path of length zero from a constant that is not in the graph (section 18.4; oxigraph/oxigraph#1815).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyoxigraph
from pyoxigraph import DefaultGraph, NamedNode, Quad, Store

from federation.analysis.lexer import GraphBlock, QueryText
from federation.errors import TooLargeError

_PATH_END = NamedNode("urn:x-catena:path-end")
_MOST_TEXT = 8 * 1024 * 1024


def graph_by_graph(text: str, graphs: Sequence[str]) -> str:
    """Write each ``GRAPH ?g`` as the union of the same for each graph.

    The variable is known within the group, as the evaluator has it elsewhere. A name that is no graph matches nothing.

    Args:
        text: A query.
        graphs: The IRIs of the named graphs that it can reach.

    Raises:
        TooLargeError: The union would be too long.
    """
    query = QueryText(text)
    return _rewritten(query, query.graph_blocks(), 0, len(text), graphs)


def _rewritten(query: QueryText, blocks: Sequence[GraphBlock], start: int, end: int, graphs: Sequence[str]) -> str:
    """Write a part of a query, and the blocks in it."""
    parts, done = [], start
    for block in blocks:
        if block.start < done or block.end >= end:
            continue
        body = _rewritten(query, blocks, block.body, block.end, graphs)
        parts += [query.text[done : block.start], _written(query, block, body, graphs)]
        done = block.end + 1
    return "".join([*parts, query.text[done:end]])


def _written(query: QueryText, block: GraphBlock, body: str, graphs: Sequence[str]) -> str:
    name = block.name.text
    as_it_is = f"GRAPH {name} {{ {body}\n}}"
    if block.name.kind != "variable":
        return as_it_is if _value(query, name) in graphs else f"{{ {as_it_is} FILTER(false) }}"
    if len(body) * len(graphs) > _MOST_TEXT:
        raise TooLargeError(
            f"the group of GRAPH {name[:100]} would have to be evaluated in {len(graphs)} graphs, one by one; choose some with "
            "FROM NAMED"
        )
    if block.is_select:
        body = f"{{ {body}\n}}"
    choices = [f"{{ GRAPH <{graph}> {{ VALUES {name} {{ <{graph}> }} {body}\n}} }}" for graph in graphs]
    return _union(choices) if choices else f"{{ {as_it_is} FILTER(false) }}"


def _value(query: QueryText, name: str) -> str:
    """Return the IRI that a token stands for."""
    solutions = Store().query(f"{query.prologue}SELECT ({name} AS ?name) {{}}")
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    return str(next(solutions)["name"].value)


def _union(groups: Sequence[str]) -> str:
    """Write a union that is nested as little as can be: the evaluator recurses into it."""
    if len(groups) == 1:
        return groups[0]
    middle = len(groups) // 2
    return f"{{ {_union(groups[:middle])} UNION {_union(groups[middle:])} }}"


@contextmanager
def path_ends(store: Store, ends: Sequence[str], text: str) -> Iterator[None]:
    """Let constants be nodes of every graph that a query reads for a while, by triples that it cannot see.

    A store never frees the place of a removed triple, so named graphs, of which there are many, get them only where needed.

    Args:
        store: The store.
        ends: As in ``Plan.path_ends``.
        text: The query.
    """
    document = "".join(f"_:catena <{_PATH_END.value}> {end} .\n" for end in ends)
    triples = [quad.triple for quad in pyoxigraph.parse(document, pyoxigraph.RdfFormat.N_TRIPLES)]
    graphs = [DefaultGraph(), *(store.named_graphs() if may_read_named_graphs(text) else ())] if ends else []
    quads = [Quad(t.subject, t.predicate, t.object, graph) for t in triples for graph in graphs]
    store.extend(quads)
    try:
        yield
    finally:
        for quad in quads:
            store.remove(quad)


def may_read_named_graphs(text: str) -> bool:
    """Return whether a query may contain GRAPH; the analysis finds no ends of paths in one that escapes its letters."""
    return "graph" in text.lower()
