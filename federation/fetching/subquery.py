"""What the nodes are asked: one SELECT query of our own making for all the quads that a query can see.

One request per node, whatever the number of patterns: a node answers it from one state of its data, so that no graph is seen
half before and half after a change, and blank nodes keep their labels within it. UNION of the patterns was also as fast as any
other form on pyoxigraph and Fuseki, and faster than a request for each.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote_plus

from federation.analysis.plan import Block, Dataset, Pattern, is_portable

QUAD = ("s", "p", "o")
_KIND, _GRAPH = "k", "g"
_MARKED = re.compile(r"\0(\d+)\0")
_MOST_BRANCHES = 200
# Servers bound what they read of a form; Jetty, below Fuseki, at 200,000 bytes unless told otherwise.
_MOST_TEXT = 100_000
_MOST_SENT = 190_000

Terms = frozenset[str] | None
"""The N-Triples forms of the terms that can stand somewhere; ``None``: any."""


class _Branch(NamedTuple):
    subject: Terms
    predicate: Terms
    object: Terms
    graph: Terms

    def covers(self, other: _Branch) -> bool:
        return all(mine is None or (its is not None and its <= mine) for mine, its in zip(self, other, strict=True))


class Request(NamedTuple):
    """A query for quads.

    Attributes:
        text: A SELECT query. A row that only has a graph says that the graph exists.
        columns: Its variables: subject, predicate, object and graph; with blocks, the kind of row, then the variables of a
            block, three of which are those of a quad, and the graph.
        blocks: What rows of each kind but the empty one are matches of.
        graphs: The graphs that it looks into; ``None``: all.
    """

    text: str
    columns: tuple[str, ...]
    blocks: Mapping[bytes, Block]
    graphs: frozenset[str] | None


def request(
    patterns: Iterable[Pattern],
    graph_names: Iterable[str],
    dataset: Dataset,
    blocks: Iterable[Block] = (),
    watched: Container[Block] = (),
    only: frozenset[str] | None = None,
) -> Request | None:
    """The request for the quads of a dataset that match any of some patterns, or take part in a match of some blocks.

    Args:
        patterns: As in ``Plan.patterns``.
        graph_names: As in ``Plan.graph_names``.
        dataset: Where the patterns look.
        blocks: As in ``Plan.blocks``.
        watched: Those of them whose rows have to be told from others.
        only: The only graphs of the dataset to look into; ``None``: all.

    Returns:
        The request, or ``None`` when nothing can be seen. It may ask for more than it looks into.
    """
    patterns, graph_names, blocks = tuple(patterns), tuple(graph_names), tuple(blocks)
    within = dataset if only is None else dataset.within(only)
    exact = _request(patterns, graph_names, within, blocks, watched)
    if exact is None or not _is_too_long(exact.text):
        return exact
    # A list of graphs can be too long, and the rest of it not.
    unlisted = exact if only is None else _request(patterns, graph_names, dataset, blocks, watched)
    assert unlisted is not None
    if not _is_too_long(unlisted.text):
        return unlisted._replace(graphs=exact.graphs)
    everything = _text(_Branch(None, None, None, None))
    names = frozenset[str]() if not graph_names else None
    return Request(_query(_columns(0), [everything], names), _columns(0), {}, exact.graphs)


def _request(
    patterns: Iterable[Pattern],
    graph_names: Iterable[str],
    dataset: Dataset,
    blocks: Iterable[Block],
    watched: Container[Block],
) -> Request | None:
    blocks = [block for block in blocks if dataset.graphs_of(block) != frozenset()]
    plain = [block for block in blocks if block not in watched and _is_plain(block)]
    blocks = [block for block in blocks if block not in plain]
    found = [_branch(pattern, dataset) for pattern in patterns] + [_branch_of(block, dataset) for block in plain]
    branches = _merged(branch for branch in found if branch.graph is None or branch.graph)
    names = _united([dataset.reachable(name) for name in graph_names])
    graphs = _united([*(_iris(branch.graph) for branch in branches), *map(dataset.graphs_of, blocks), names])
    if not branches and not blocks and names == frozenset():
        return None
    kinds = {f"<urn:block:{n}>": block for n, block in enumerate(blocks)}
    texts = [_text(branch) for branch in branches]
    texts += [_block_text(kind, block, dataset.graphs_of(block)) for kind, block in kinds.items()]
    columns = _columns(max((block.width for block in blocks), default=0))
    text = _query(columns, texts, names)
    return Request(text, columns, {kind.encode(): block for kind, block in kinds.items()}, graphs)


def _is_too_long(text: str) -> bool:
    return len(text) > _MOST_TEXT or len(quote_plus(text)) > _MOST_SENT


def _columns(width: int) -> tuple[str, ...]:
    """The variables of a request for quads, and, where ``width`` is not 0, for matches of blocks of so many variables."""
    return (*([_KIND] if width else []), *map(_variable, range(max(width, len(QUAD)))), _GRAPH)


def _variable(number: int) -> str:
    return QUAD[number] if number < len(QUAD) else f"v{number}"


def _named(found: re.Match[str]) -> str:
    return f"?{_variable(int(found[1]))}"


def _query(columns: Iterable[str], texts: Iterable[str], names: frozenset[str] | None) -> str:
    texts = list(texts)
    if names is None or names:
        texts.append(f"{{ {_values(_GRAPH, _terms(names))}GRAPH ?g {{}} }}")
    return f"SELECT {' '.join('?' + c for c in columns)} WHERE {{ {' UNION '.join(texts)} }}"


def _block_text(kind: str, block: Block, graphs: frozenset[str] | None) -> str:
    values = "".join(_values(_variable(number), frozenset(terms)) for number, terms in block.values)
    triples = " . ".join(
        " ".join(f"?{_variable(int(term[1:]))}" if term.startswith("?") else term for term in triple)
        for triple in block.triples
    )
    filters = "".join(f" FILTER({_MARKED.sub(_named, condition)})" for condition in block.conditions)
    return f"{{ {_values(_GRAPH, _terms(graphs))}{values}GRAPH ?g {{ {triples}{filters} }} BIND({kind} AS ?{_KIND}) }}"


def _branch(pattern: Pattern, dataset: Dataset) -> _Branch:
    return _Branch(
        _one(pattern.subject), _one(pattern.predicate), _one(pattern.object), _terms(dataset.graphs_of(pattern))
    )


def _is_plain(block: Block) -> bool:
    """Whether it only says which terms can stand where in one pattern."""
    variables = [term for triple in block.triples for term in triple if term.startswith("?")]
    return len(block.triples) == 1 and not block.conditions and len(variables) == len(set(variables))


def _branch_of(block: Block, dataset: Dataset) -> _Branch:
    values = {f"?{number}": frozenset(terms) for number, terms in block.values}
    (triple,) = block.triples
    places = [values.get(term) if term.startswith("?") else frozenset({term}) for term in triple]
    return _Branch(places[0], places[1], places[2], _terms(dataset.graphs_of(block)))


def _merged(branches: Iterable[_Branch]) -> list[_Branch]:
    """The same quads in fewer branches: those that differ in one place only become one, those within another go."""
    merged = list(dict.fromkeys(branches))
    for place in range(len(_Branch._fields)):
        groups: dict[tuple[Terms, ...], list[Terms]] = {}
        for branch in merged:
            groups.setdefault(branch[:place] + branch[place + 1 :], []).append(branch[place])
        merged = [_Branch._make((*others[:place], _united(terms), *others[place:])) for others, terms in groups.items()]
    if len(merged) > _MOST_BRANCHES:
        return [_Branch(None, None, None, _united([branch.graph for branch in merged]))]
    return [branch for branch in merged if not any(other.covers(branch) for other in merged if other is not branch)]


def _text(branch: _Branch) -> str:
    values = "".join(_values(column, terms) for column, terms in zip((*QUAD, _GRAPH), branch, strict=True))
    return f"{{ {values}GRAPH ?g {{ ?s ?p ?o }} }}"


def _values(column: str, terms: Terms) -> str:
    """The terms that a column can have; nothing where some servers would miss some, which asks for more than these."""
    if terms is None or not all(map(is_portable, terms)):
        return ""
    return f"VALUES ?{column} {{ {' '.join(sorted(terms))} }} "


def _one(term: str | None) -> Terms:
    return None if term is None else frozenset({term})


def _terms(iris: frozenset[str] | None) -> Terms:
    return None if iris is None else frozenset(f"<{iri}>" for iri in iris)


def _iris(terms: Terms) -> frozenset[str] | None:
    return None if terms is None else frozenset(term[1:-1] for term in terms)


def _united(sets: Iterable[Terms]) -> Terms:
    united: set[str] = set()
    for terms in sets:
        if terms is None:
            return None
        united |= terms
    return frozenset(united)
