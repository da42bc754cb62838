"""The quads that a query can see, from its syntax tree.

The tree is rdflib's (`rdflib.plugins.sparql.parser`), prefixed names and paths resolved: parts with a name, and lists of parts.
Evaluation semantics are those of https://www.w3.org/TR/sparql11-query/#sparqlAlgebraEval and, for paths, of section 18.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pyparsing import ParseResults
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.term import BNode, Identifier, URIRef, Variable

from federation.analysis.bgp_pushdown import Triple, bgps, simple
from federation.analysis.filter_pushdown import FilterPushdown, PushedFilter
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern, PushedBGP
from federation.analysis.portable_terms import PortableTerms

PathPattern = tuple[Identifier, Identifier | Path, Identifier]
"""A triple pattern, or a path between two nodes."""

_MOST_GRAPHS = 50


@dataclass(frozen=True)
class _Context:
    """Where in the query the walk is.

    Attributes:
        graph: The active graph, as in ``Pattern.graph``.
        anchored: Variables that only count where they are bound to nodes that other pulled patterns bring along: from them,
            a zero-length path need not see all nodes of the graph.
        filters: What holds for every solution that counts.
    """

    graph: str = DEFAULT_GRAPH
    anchored: frozenset[Identifier] = frozenset()
    filters: tuple[PushedFilter, ...] = ()


@dataclass
class PatternCollector:
    """Collects what a query can see.

    Attributes:
        portable: Reads constants; those that it says nothing of are taken for variables.
        patterns: What has been found, in the order of the text; some may repeat.
        bgps: Those of the patterns that nodes can join or filter.
        joins: Those of the default graph that narrow each other.
        others: Those that they cannot.
        graph_names: As in ``Plan.graph_names``.
        services: What stands after SERVICE.
    """

    portable: PortableTerms
    patterns: list[Pattern] = field(default_factory=list)
    bgps: list[PushedBGP] = field(default_factory=list)
    joins: list[PushedBGP] = field(default_factory=list)
    others: list[Pattern] = field(default_factory=list)
    graph_names: set[str] = field(default_factory=set)
    services: frozenset[Identifier] = frozenset()

    def query(self, tree: CompValue, graph: str = DEFAULT_GRAPH) -> None:
        """Collect from a query or a sub-select: nothing outside of it narrows what it sees.

        Args:
            tree: Its part of the syntax tree.
            graph: The active graph around it.
        """
        for key, value in tree.items():
            if key != "template":
                self._visit(value, _Context(graph))

    def _visit(self, part: Any, context: _Context) -> None:
        """Any part of the tree; expressions too, since EXISTS may stand in them."""
        if isinstance(part, CompValue):
            visitor = _VISITORS.get(part.name)
            if visitor:
                visitor(self, part, context)
            else:
                self._visit(list(part.values()), context)
        elif isinstance(part, list | tuple | ParseResults):
            for item in part:
                self._visit(item, context)

    def _group(self, group: CompValue, context: _Context) -> None:
        """A group, whose triple patterns are joined: each may anchor the variables of the others.

        What is joined to the group from outside anchors them too, since solutions with other values are lost in that join.
        It does not reach into what is optional, subtracted or tested in the group: there one match more or less can change
        solutions that are not lost. Only what the solutions tested there surely bind anchors those parts.
        """
        parts = list(group.part or ())
        steps = [step for part in parts for step in _steps(part)]
        joined = _anchored(steps, context.anchored)
        filters = (*context.filters, *FilterPushdown(self.portable).of_group(parts))
        before: list[PathPattern] = []
        for part in parts:
            if part.name in ("GraphGraphPattern", "GroupOrUnionGraphPattern"):
                anchored, holding = joined, filters
            elif part.name == "Filter":
                anchored, holding = joined & _nodes(steps), ()
            else:
                anchored, holding = _anchored(before, context.anchored) & _nodes(before), ()
            if part.name != "TriplesBlock":
                self._visit(part, _Context(context.graph, anchored, holding))
            before += _steps(part)
        for joined_steps in _joined_steps(parts):
            self._joined(joined_steps, _Context(context.graph, joined, filters))

    def _joined(self, steps: list[PathPattern], context: _Context) -> None:
        """A basic graph pattern: what nodes can join or filter becomes bgps, and the rest is pulled as it is."""
        triples: list[Triple] = []
        for step in steps:
            parts = simple(*step)
            found = len(self.patterns)
            self._step(step, context)
            if parts is None:
                self.others += self.patterns[found:]
            else:
                triples += parts
        pushed: list[Triple] = []
        for bgp, members in bgps(context.graph, triples, context.filters, self.portable):
            (self.joins if bgp.graph == DEFAULT_GRAPH and len(bgp.triples) > 1 else self.bgps).append(bgp)
            pushed += members
        for subject, predicate, object_ in (triple for triple in triples if not any(triple is one for one in pushed)):
            for link in predicate if isinstance(predicate, tuple) else (predicate,):
                pattern = self._pattern(context.graph, subject, link, object_)
                self.others += [pattern] if pattern else []

    def _graph(self, part: CompValue, context: _Context) -> None:
        """GRAPH: another active graph, about whose nodes nothing is known yet."""
        for name in self._names(part.term, context.filters):
            if not _needs_a_triple(part.graph):
                self.graph_names.add(name)
            self._visit(part.graph, _Context(name, filters=context.filters))

    def _names(self, term: Identifier, filters: Iterable[PushedFilter]) -> list[str]:
        """The graphs that GRAPH looks into."""
        if not isinstance(term, Variable):
            return [str(term)] if self.portable.term(term) else [ANY_NAMED_GRAPH]
        choices = [
            pushed_filter.values
            for pushed_filter in filters
            if pushed_filter.variables == {str(term)} and pushed_filter.values
        ]
        names = frozenset.intersection(*choices) if choices else frozenset()
        if not choices or len(names) > _MOST_GRAPHS:
            return [ANY_NAMED_GRAPH]
        return sorted(name[1:-1] for name in names if name.startswith("<"))

    def _sub_select(self, part: CompValue, context: _Context) -> None:
        """A sub-select is evaluated on its own, and may count or cut what it finds."""
        self.query(part, context.graph)

    def _service(self, part: CompValue, context: _Context) -> None:
        """What another server is asked sees nothing here, whatever stands in it."""
        self.services |= {part.term}

    def _step(self, step: PathPattern, context: _Context) -> None:
        subject, link, object_ = step
        ends = self.portable.term(subject), self.portable.term(object_)
        for near, predicate, far in _links(ends[0], link, ends[1]):
            self._add(context.graph, near, self.portable.term(predicate), far)
        if not _nullable(link):
            return
        for node, end in zip((subject, object_), ends, strict=True):
            if not _is_variable(node):
                # pyoxigraph matches a constant with itself only where it is a node of the graph.
                self._add(context.graph, end, None, None)
                self._add(context.graph, None, None, end)
        if _is_variable(subject) and _is_variable(object_) and not {subject, object_} & context.anchored:
            self._add(context.graph, None, None, None)

    def _add(self, graph: str, subject: str | None, predicate: str | None, object_: str | None) -> None:
        is_literal = subject is not None and subject.startswith('"')
        if not is_literal:  # no triple has a literal for its subject
            self.patterns.append(Pattern(graph, subject, predicate, object_))

    def _pattern(self, graph: str, subject: Identifier, link: Identifier, object_: Identifier) -> Pattern | None:
        terms = (self.portable.term(subject), self.portable.term(link), self.portable.term(object_))
        return None if terms[0] and terms[0].startswith('"') else Pattern(graph, *terms)


_VISITORS: Mapping[str, Callable[[PatternCollector, CompValue, _Context], None]] = MappingProxyType(
    {
        "GroupGraphPatternSub": PatternCollector._group,
        "FakeGroupGraphPatten": PatternCollector._group,  # rdflib's name for the pattern of CONSTRUCT WHERE
        "GraphGraphPattern": PatternCollector._graph,
        "SubSelect": PatternCollector._sub_select,
        "ServiceGraphPattern": PatternCollector._service,
    }
)


def _is_variable(term: Identifier) -> bool:
    return isinstance(term, Variable | BNode)


def _steps(part: CompValue) -> list[PathPattern]:
    """The triple patterns of a bgp, which rdflib keeps as flat lists of subject, predicate, object, subject, ..."""
    if part.name != "TriplesBlock":
        return []
    return [
        (triples[n], triples[n + 1], triples[n + 2])
        for triples in part.triples or ()
        for n in range(0, len(triples), 3)
    ]


def _joined_steps(parts: Iterable[CompValue]) -> list[list[PathPattern]]:
    """The basic graph patterns of a group: triple patterns with nothing but filters between them (section 18.2.2.5)."""
    runs: list[list[PathPattern]] = [[]]
    for part in parts:
        if part.name == "TriplesBlock":
            runs[-1] += _steps(part)
        elif part.name != "Filter":
            runs.append([])
    return [run for run in runs if run]


def _nodes(steps: Iterable[PathPattern]) -> frozenset[Identifier]:
    """The variables that stand for nodes of the graph."""
    return frozenset(node for subject, _, object_ in steps for node in (subject, object_) if _is_variable(node))


def _anchored(steps: Iterable[PathPattern], outer: frozenset[Identifier]) -> frozenset[Identifier]:
    """The variables that are bound to nodes of pulled triples, by any of the steps, directly or along paths."""
    anchored = set(outer)
    nullable = []
    for step in steps:
        if _nullable(step[1]):
            nullable.append(step)
        else:
            anchored |= _nodes([step])
    while True:
        reached = [
            step for step in nullable if any(not _is_variable(node) or node in anchored for node in (step[0], step[2]))
        ]
        if _nodes(reached) <= anchored:
            return frozenset(anchored)
        anchored |= _nodes(reached)


def _nullable(link: Identifier | Path) -> bool:
    """Whether a path can have zero length."""
    if isinstance(link, InvPath):
        return _nullable(link.arg)
    if isinstance(link, SequencePath):
        return all(_nullable(part) for part in link.args)
    if isinstance(link, AlternativePath):
        return any(_nullable(part) for part in link.args)
    if isinstance(link, MulPath):
        return link.mod != "+" or _nullable(link.path)
    return False


def _links(
    near: str | None, link: Identifier | Path, far: str | None
) -> Iterator[tuple[str | None, Identifier | None, str | None]]:
    """The triple patterns whose matches a path can go through, as subject, predicate, object.

    Args:
        near: The constant that the path starts from, if it does.
        link: A predicate, a variable, or a path.
        far: The constant that it leads to.
    """
    if isinstance(link, InvPath):
        yield from _links(far, link.arg, near)
    elif isinstance(link, SequencePath):
        last = len(link.args) - 1
        for n, part in enumerate(link.args):
            yield from _links(near if n == 0 else None, part, far if n == last else None)
    elif isinstance(link, AlternativePath):
        for part in link.args:
            yield from _links(near, part, far)
    elif isinstance(link, MulPath):
        once = link.mod == "?"
        yield from _links(near if once else None, link.path, far if once else None)
    elif isinstance(link, NegatedPath):
        yield near, None, far
        if not all(isinstance(part, URIRef) for part in link.args):  # inverse ones are among them
            yield far, None, near
    elif isinstance(link, Identifier):
        yield near, link, far
    else:
        yield near, None, far  # a kind of path that this does not know


def _needs_a_triple(group: CompValue) -> bool:
    """Whether a group matches only in graphs with a triple that one of its patterns brings along."""
    if group.name == "SubSelect":
        return False
    return any(
        (part.name == "GroupOrUnionGraphPattern" and all(map(_needs_a_triple, part.graph)))
        or any(
            not _nullable(link) or (_is_variable(subject) and _is_variable(object_))
            for subject, link, object_ in _steps(part)
        )
        for part in group.part or ()
    )
