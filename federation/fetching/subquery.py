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

from federation.analysis.plan import Dataset, Pattern, PushedBGP, is_portable

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


class Subquery(NamedTuple):
    """A query for quads.

    Attributes:
        text: A SELECT query. A row that only has a graph says that the graph exists.
        columns: Its variables: subject, predicate, object and graph; with bgps, the kind of row, then the variables of a
            bgp, three of which are those of a quad, and the graph.
        bgps: What rows of each kind but the empty one are matches of.
        graphs: The graphs that it looks into; ``None``: all.
    """

    text: str
    columns: tuple[str, ...]
    bgps: Mapping[bytes, PushedBGP]
    graphs: frozenset[str] | None


def subquery(
    patterns: Iterable[Pattern],
    graph_names: Iterable[str],
    dataset: Dataset,
    bgps: Iterable[PushedBGP] = (),
    watched: Container[PushedBGP] = (),
    only: frozenset[str] | None = None,
) -> Subquery | None:
    """The request for the quads of a dataset that match any of some patterns, or take part in a match of some bgps.

    Args:
        patterns: As in ``Plan.patterns``.
        graph_names: As in ``Plan.graph_names``.
        dataset: Where the patterns look.
        bgps: As in ``Plan.bgps``.
        watched: Those of them whose rows have to be told from others.
        only: The only graphs of the dataset to look into; ``None``: all.

    Returns:
        The request, or ``None`` when nothing can be seen. It may ask for more than it looks into.
    """
    patterns, graph_names, bgps = tuple(patterns), tuple(graph_names), tuple(bgps)
    within = dataset if only is None else dataset.within(only)
    exact = _subquery(patterns, graph_names, within, bgps, watched)
    if exact is None or not _is_too_long(exact.text):
        return exact
    # A list of graphs can be too long, and the rest of it not.
    unlisted = exact if only is None else _subquery(patterns, graph_names, dataset, bgps, watched)
    assert unlisted is not None
    if not _is_too_long(unlisted.text):
        return unlisted._replace(graphs=exact.graphs)
    everything = _text(_Branch(None, None, None, None))
    names = frozenset[str]() if not graph_names else None
    return Subquery(_query(_columns(0), [everything], names), _columns(0), {}, exact.graphs)


def _subquery(
    patterns: Iterable[Pattern],
    graph_names: Iterable[str],
    dataset: Dataset,
    bgps: Iterable[PushedBGP],
    watched: Container[PushedBGP],
) -> Subquery | None:
    bgps = [bgp for bgp in bgps if dataset.graphs_of(bgp) != frozenset()]
    plain = [bgp for bgp in bgps if bgp not in watched and _is_plain(bgp)]
    bgps = [bgp for bgp in bgps if bgp not in plain]
    found = [_branch(pattern, dataset) for pattern in patterns] + [_branch_of(bgp, dataset) for bgp in plain]
    branches = _merged(branch for branch in found if branch.graph is None or branch.graph)
    names = _united([dataset.reachable(name) for name in graph_names])
    graphs = _united([*(_iris(branch.graph) for branch in branches), *map(dataset.graphs_of, bgps), names])
    if not branches and not bgps and names == frozenset():
        return None
    kinds = {f"<urn:block:{n}>": bgp for n, bgp in enumerate(bgps)}
    texts = [_text(branch) for branch in branches]
    texts += [_bgp_text(kind, bgp, dataset.graphs_of(bgp)) for kind, bgp in kinds.items()]
    columns = _columns(max((bgp.width for bgp in bgps), default=0))
    text = _query(columns, texts, names)
    return Subquery(text, columns, {kind.encode(): bgp for kind, bgp in kinds.items()}, graphs)


def _is_too_long(text: str) -> bool:
    return len(text) > _MOST_TEXT or len(quote_plus(text)) > _MOST_SENT


def _columns(width: int) -> tuple[str, ...]:
    """The variables of a request for quads, and, where ``width`` is not 0, for matches of bgps of so many variables."""
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


def _bgp_text(kind: str, bgp: PushedBGP, graphs: frozenset[str] | None) -> str:
    values = "".join(_values(_variable(number), frozenset(terms)) for number, terms in bgp.values)
    triples = " . ".join(
        " ".join(f"?{_variable(int(term[1:]))}" if term.startswith("?") else term for term in triple)
        for triple in bgp.triples
    )
    filters = "".join(f" FILTER({_MARKED.sub(_named, pushed_filter)})" for pushed_filter in bgp.filters)
    return f"{{ {_values(_GRAPH, _terms(graphs))}{values}GRAPH ?g {{ {triples}{filters} }} BIND({kind} AS ?{_KIND}) }}"


def _branch(pattern: Pattern, dataset: Dataset) -> _Branch:
    return _Branch(
        _one(pattern.subject), _one(pattern.predicate), _one(pattern.object), _terms(dataset.graphs_of(pattern))
    )


def _is_plain(bgp: PushedBGP) -> bool:
    """Whether it only says which terms can stand where in one pattern."""
    variables = [term for triple in bgp.triples for term in triple if term.startswith("?")]
    return len(bgp.triples) == 1 and not bgp.filters and len(variables) == len(set(variables))


def _branch_of(bgp: PushedBGP, dataset: Dataset) -> _Branch:
    values = {f"?{number}": frozenset(terms) for number, terms in bgp.values}
    (triple,) = bgp.triples
    places = [values.get(term) if term.startswith("?") else frozenset({term}) for term in triple]
    return _Branch(places[0], places[1], places[2], _terms(dataset.graphs_of(bgp)))


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
