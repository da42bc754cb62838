"""Subqueries for nodes: one SELECT query for all the quads that a query can match.

Each node gets one subquery, whatever the number of patterns. It answers that from one state of its data, so that the query
sees no graph half before and half after a change, and blank nodes keep their labels. A UNION of the patterns was as fast as
any other form on pyoxigraph and Fuseki, and faster than a request for each.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import msgspec

from federation.analysis.plan import Dataset, Pattern, PushedBGP, is_portable

QUAD = ("s", "p", "o")
_KIND, _GRAPH = "k", "g"
_MARKED = re.compile(r"\0(\d+)\0")
_MOST_BRANCHES = 200
_MOST_COMBINATIONS = 20
# Servers bound the size of a form; Jetty, below Fuseki, at 200,000 bytes unless configured otherwise.
_MOST_TEXT = 150_000
_MOST_SENT = 190_000
# The percent sign comes first, since it stands in all other codes; the code of the space is a plus sign, so the space is last.
_CODES = {c: quote_plus(c) for c in ("%", *map(chr, range(128))) if c != " " and quote_plus(c) != c}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

Terms = frozenset[str] | None
"""The possible terms of a place, in N-Triples form; ``None``: any."""


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
        columns: Its variables: subject, predicate, object and graph. With basic graph patterns: the kind of row, then the
            variables of a pattern, three of which are those of a quad, and the graph. With one alone: only its variables
            that are not hidden, and the graph.
        bgps: The basic graph pattern that rows of each kind match; rows of the empty kind are quads. With one alone: that one,
            by the empty kind, which its rows do not tell.
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
    most_rows: int = 0,
) -> Subquery | None:
    """Build the subquery for the quads of a dataset that match any of some patterns.

    Args:
        patterns: As in ``Plan.patterns``.
        graph_names: As in ``Plan.graph_names``.
        dataset: The dataset of the query.
        bgps: As in ``Plan.bgps``.
        watched: The basic graph patterns whose rows have to be told from others.
        only: The only graphs of the dataset to look into; ``None``: all.
        most_rows: The number of rows of each pattern after which a node may stop; 0: none.

    Returns:
        The subquery, or ``None`` when no quads can match. Nodes may send more than it looks into.
    """
    patterns, graph_names, bgps = tuple(patterns), tuple(graph_names), tuple(bgps)
    within = dataset if only is None else dataset.within(only)
    exact = _subquery(patterns, graph_names, within, bgps, watched, most_rows)
    if exact is None or not _is_too_long(exact.text):
        return exact
    # The list of graphs alone can make it too long.
    unlisted = exact if only is None else _subquery(patterns, graph_names, dataset, bgps, watched)
    assert unlisted is not None
    if not _is_too_long(unlisted.text):
        return unlisted._replace(graphs=exact.graphs)
    everything = _text(_Branch(None, None, None, None))
    names = frozenset[str]() if not graph_names else None
    return Subquery(_query(_columns(0), [everything], names), _columns(0), {}, exact.graphs)


def quoted(text: str) -> str:
    """Return a text as ``urllib.parse.quote_plus`` does, which takes six times as long: it looks at each character.

    Args:
        text: The text.
    """
    for character, code in _CODES.items():
        if character in text:
            text = text.replace(character, code)
    text = text.replace(" ", "+")
    return text if text.isascii() else _NOT_ASCII.sub(lambda found: quote(found[0]), text)


def sent(terms: Iterable[str]) -> int:
    """Return the number of bytes that terms take in a form."""
    return len(quoted(" ".join(terms))) + 1


def _subquery(
    patterns: Iterable[Pattern],
    graph_names: Iterable[str],
    dataset: Dataset,
    bgps: Iterable[PushedBGP],
    watched: Container[PushedBGP],
    most_rows: int = 0,
) -> Subquery | None:
    bgps = [bgp for bgp in bgps if dataset.graphs_of(bgp) != frozenset()]
    patterns, graph_names = list(patterns), list(graph_names)
    if len(bgps) == 1 and not patterns and not graph_names:
        return _alone(bgps[0], dataset.graphs_of(bgps[0]), most_rows)
    # Rows of several kinds have all columns.
    bgps = [msgspec.structs.replace(bgp, hidden=()) if bgp.hidden else bgp for bgp in bgps]
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
    if most_rows:
        texts = [f"{{ SELECT * WHERE {text} LIMIT {most_rows} }}" for text in texts]
    columns = _columns(max((bgp.width for bgp in bgps), default=0))
    text = _query(columns, texts, names)
    return Subquery(text, columns, {kind.encode(): bgp for kind, bgp in kinds.items()}, graphs)


def _alone(bgp: PushedBGP, graphs: frozenset[str] | None, most_rows: int) -> Subquery:
    """Build the subquery for one basic graph pattern, which sends nothing but the terms that are not known."""
    columns = (*map(_variable, bgp.shown), _GRAPH)
    text = f"{{ {_bgp_group(bgp, graphs)} }}"
    if most_rows:
        text = f"{{ {{ SELECT * WHERE {text} LIMIT {most_rows} }} }}"
    distinct = "DISTINCT " if bgp.hidden else ""
    text = f"SELECT {distinct}{' '.join('?' + column for column in columns)} WHERE {text}"
    return Subquery(text, columns, {b"": bgp}, graphs)


def _is_too_long(text: str) -> bool:
    return len(text) > _MOST_TEXT or len(quoted(text)) > _MOST_SENT


def _columns(width: int) -> tuple[str, ...]:
    """Return the variables of a subquery for quads or, unless ``width`` is 0, for matches of so many variables."""
    return (*([_KIND] if width else []), *map(_variable, range(max(width, len(QUAD)))), _GRAPH)


def _variable(number: int) -> str:
    return QUAD[number] if number < len(QUAD) else f"v{number}"


def _named(found: re.Match[str]) -> str:
    return f"?{_variable(int(found[1]))}"


def _query(columns: Iterable[str], texts: Iterable[str], names: frozenset[str] | None) -> str:
    texts = list(texts)
    if names is None or names:
        texts.append(_names_text(names))
    return f"SELECT {' '.join('?' + c for c in columns)} WHERE {{ {' UNION '.join(texts)} }}"


def _names_text(names: frozenset[str] | None) -> str:
    """Ask which graphs exist: those with triples, and those without that a server finds by an empty group.

    Not every server finds graphs so. For RDF4J an empty group has one solution, whatever graphs there are; it names none.
    """
    terms = _terms(names)
    if terms is None or not all(map(is_portable, terms)):
        return "{ GRAPH ?g {} FILTER(BOUND(?g)) } UNION { SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } } }"
    with_triples = f"{{ {_values(_GRAPH, terms)}FILTER EXISTS {{ GRAPH ?g {{ ?s ?p ?o }} }} }}"
    return f"{with_triples} UNION {{ GRAPH ?g {{}} FILTER(?g IN ({', '.join(sorted(terms))})) }}"


def _bgp_text(kind: str, bgp: PushedBGP, graphs: frozenset[str] | None) -> str:
    return f"{{ {_bgp_group(bgp, graphs)} BIND({kind} AS ?{_KIND}) }}"


def _bgp_group(bgp: PushedBGP, graphs: frozenset[str] | None) -> str:
    if bgp.path:
        return _path_group(bgp, graphs)
    subjects, predicates = ({triple[place] for triple in bgp.triples} for place in (0, 1))
    values, tests = _narrowed(
        (_variable(number), frozenset(terms), 0 if f"?{number}" in subjects else 2 if f"?{number}" in predicates else 1)
        for number, terms in bgp.values
    )
    triples = " . ".join(
        " ".join(f"?{_variable(int(term[1:]))}" if term.startswith("?") else term for term in triple)
        for triple in bgp.triples
    )
    tests += "".join(f" FILTER({_MARKED.sub(_named, pushed_filter)})" for pushed_filter in bgp.filters)
    # Within GRAPH: pyoxigraph joins VALUES from outside of a group with a filter only after matching the whole group.
    return f"{_values(_GRAPH, _terms(graphs))}GRAPH ?g {{ {values}{triples}{tests} }}"


def _path_group(bgp: PushedBGP, graphs: frozenset[str] | None) -> str:
    """Write a path from a constant and the triples at its ends; first the graphs that it begins in, since there may be many."""
    ((_, predicates),) = bgp.values
    begins = f"{{ SELECT DISTINCT ?g {{ GRAPH ?g {{ {bgp.path.partition(' ')[0]} ?p ?o }} }} }}"
    steps = f"{bgp.path} ?s . ?s ?p ?o FILTER(?p IN ({', '.join(predicates)}))"
    return f"{_values(_GRAPH, _terms(graphs))}{begins} GRAPH ?g {{ {steps} }}"


def _branch(pattern: Pattern, dataset: Dataset) -> _Branch:
    return _Branch(
        _one(pattern.subject), _one(pattern.predicate), _one(pattern.object), _terms(dataset.graphs_of(pattern))
    )


def _is_plain(bgp: PushedBGP) -> bool:
    """Return whether it only lists the possible terms of one triple pattern."""
    variables = [term for triple in bgp.triples for term in triple if term.startswith("?")]
    return len(bgp.triples) == 1 and not bgp.filters and len(variables) == len(set(variables))


def _branch_of(bgp: PushedBGP, dataset: Dataset) -> _Branch:
    values = {f"?{number}": frozenset(terms) for number, terms in bgp.values}
    (triple,) = bgp.triples
    places = [values.get(term) if term.startswith("?") else frozenset({term}) for term in triple]
    return _Branch(places[0], places[1], places[2], _terms(dataset.graphs_of(bgp)))


def _merged(branches: Iterable[_Branch]) -> list[_Branch]:
    """Merge branches that differ in one place only, and drop those within another, which keeps the quads."""
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
    values, tests = _narrowed(zip(QUAD, branch[:3], (0, 2, 1), strict=True))
    return f"{{ {_values(_GRAPH, branch.graph)}GRAPH ?g {{ {values}?s ?p ?o{tests} }} }}"


def _narrowed(places: Iterable[tuple[str, Terms, int]]) -> tuple[str, str]:
    """Write the possible terms of some columns as tables and as tests: servers try all combinations of two tables.

    Args:
        places: Each column, its terms, and how little these narrow: subjects (0) have few triples, predicates (2) many.

    Returns:
        Tables to stand before the patterns, and tests to stand after them.
    """
    tables, tests, combinations = "", "", 1
    known = [
        (column, terms, rank) for column, terms, rank in places if terms is not None and all(map(is_portable, terms))
    ]
    for column, terms, rank in sorted(known, key=lambda place: (place[2], len(place[1]))):
        combinations *= len(terms)
        if tables and (rank == 2 or combinations > _MOST_COMBINATIONS):
            tests += f" FILTER(?{column} IN ({', '.join(sorted(terms))}))"
        else:
            tables += _values(column, terms)
    return tables, tests


def _values(column: str, terms: Terms) -> str:
    """Write the possible terms of a column; nothing, which matches more, where some servers would miss some."""
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
