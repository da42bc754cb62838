"""The patterns of a query, from its syntax tree.

The tree is rdflib's (`rdflib.plugins.sparql.parser`), with prefixed names and paths resolved: parts with a name, and lists of
parts. The evaluation semantics are those of https://www.w3.org/TR/sparql11-query/#sparqlAlgebraEval and, for paths, of section
18.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pyparsing import ParseResults
from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.term import BNode, Identifier, URIRef, Variable

from federation.analysis.bgp_pushdown import Triple, as_triples, pushed_bgps, sample_triples
from federation.analysis.filter_pushdown import FilterPushdown, PushedFilter
from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern, PushedBGP, Seed, Walk
from federation.analysis.portable_terms import PortableTerms

PathPattern = tuple[Identifier, Identifier | Path, Identifier]
"""A triple pattern, or a path between two nodes."""

_MOST_GRAPHS = 50


@dataclass(frozen=True)
class _Context:
    """A place in the query.

    Attributes:
        graph: The active graph, as in ``Pattern.graph``.
        anchored: Variables whose values count only where other fetched patterns bring them along as nodes: a zero-length path
            from them need not match all nodes of the graph.
        filters: The filters that hold for every solution.
        outer: Patterns outside of the group, in the same graph, of which each match in the group counts only together with a
            match of all of them.
        outer_filters: Filters that hold for these.
        is_joined: Whether it is no part that is optional, subtracted or tested.
    """

    graph: str = DEFAULT_GRAPH
    anchored: frozenset[Identifier] = frozenset()
    filters: tuple[PushedFilter, ...] = ()
    outer: tuple[PathPattern, ...] = ()
    outer_filters: tuple[PushedFilter, ...] = ()
    is_joined: bool = True

    def after(self, steps: Iterable[PathPattern], filters: Iterable[PushedFilter]) -> _Context:
        """Return the place of a part that is optional, subtracted or tested, after other patterns of its group.

        Patterns further out say nothing about it: a match less of an optional part of an optional part can let a solution
        appear. Nor does a filter on other variables, which the part may leave unbound.
        """
        outer = tuple(steps)
        bound = {str(term) for step in outer for term in step if isinstance(term, Variable)}
        holding = tuple(pushed_filter for pushed_filter in filters if pushed_filter.variables <= bound)
        return replace(self, outer=outer, outer_filters=holding, is_joined=False)


@dataclass
class PatternCollector:
    """Collects the patterns of a query.

    Attributes:
        portable: The constants that all servers read alike; other constants count as variables.
        takes_some: Whether any solutions may be enough; only then it collects ``samples``.
        unseen: As :func:`~federation.analysis.unseen.unseen` returns it.
        patterns: The patterns, in the order of the text; some may repeat.
        bgps: The basic graph patterns to push down.
        joins: Those of the default graph whose patterns narrow each other.
        walks: Paths that are followed from constants.
        others: The patterns that none of them contains.
        whole: The basic graph pattern of which nodes send only the terms that count; ``None`` where they send every match.
        samples: Each basic graph pattern, with one step for each path, whether nodes can narrow it or not. None that is
            optional, subtracted or tested.
        seed: As in ``Plan.seed``: a subject of the last of these.
        can_be_sampled: Whether ``samples`` has all of them.
        graph_names: As in ``Plan.graph_names``.
        services: The terms after SERVICE.
        path_ends: As in ``Plan.path_ends``.
        sees_any_triple: Whether some pattern matches triples with any predicate.
    """

    portable: PortableTerms
    takes_some: bool = False
    unseen: frozenset[Identifier] | None = None
    patterns: list[Pattern] = field(default_factory=list)
    bgps: list[PushedBGP] = field(default_factory=list)
    joins: list[PushedBGP] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)
    others: list[Pattern] = field(default_factory=list)
    whole: PushedBGP | None = None
    samples: list[PushedBGP] = field(default_factory=list)
    can_be_sampled: bool = True
    seed: Seed | None = None
    graph_names: set[str] = field(default_factory=set)
    services: frozenset[Identifier] = frozenset()
    path_ends: set[str] = field(default_factory=set)
    sees_any_triple: bool = False

    def query(self, tree: CompValue, graph: str = DEFAULT_GRAPH) -> None:
        """Collect from a query or a sub-select: nothing outside of it narrows its matches.

        Args:
            tree: Its part of the syntax tree.
            graph: The active graph around it.
        """
        for key, value in tree.items():
            if key != "template":
                self._visit(value, _Context(graph))

    def _visit(self, part: Any, context: _Context) -> None:
        """Visit any part of the tree; expressions too, since they may contain EXISTS."""
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
        """Visit a group, whose triple patterns are joined: each may anchor the variables of the others.

        Patterns joined to the group from outside anchor them too, since that join drops solutions with other values. They do
        not anchor the optional, subtracted or tested parts of the group: one match more or less there can change solutions
        that the join keeps. Only variables that the solutions tested there surely bind anchor those parts.
        """
        parts = list(group.part or ())
        steps = [step for part in parts for step in _steps(part)]
        joined = _anchored(steps, context.anchored)
        filters = (*context.filters, *FilterPushdown(self.portable).of_group(parts))
        before: list[PathPattern] = []
        for part in parts:
            if part.name in ("GraphGraphPattern", "GroupOrUnionGraphPattern"):
                within = replace(context, anchored=joined, filters=filters)
            elif part.name == "Filter":
                within = _Context(context.graph, joined & _nodes(steps)).after(steps, filters)
            else:
                anchored = _anchored(before, context.anchored) & _nodes(before)
                within = _Context(context.graph, anchored).after(before, filters)
            if part.name != "TriplesBlock":
                self._visit(part, within)
            before += _steps(part)
        for joined_steps in _joined_steps(parts):
            self._joined(joined_steps, replace(context, anchored=joined, filters=filters))

    def _joined(self, steps: list[PathPattern], context: _Context) -> None:
        """Push down the parts of a basic graph pattern that nodes can join or filter; fetch the rest as it is."""
        triples: list[Triple] = []
        for step in steps:
            parts = as_triples(*step)
            found = len(self.patterns)
            self._step(step, context)
            if parts is not None:
                triples += parts
            elif walk := self._walk(step, context.graph):
                self.walks.append(walk)
                self.others += [pattern for pattern in self.patterns[found:] if pattern.predicate is None]
            else:
                self.others += self.patterns[found:]
        sampled = [triple for step in steps for triple in sample_triples(*step)]
        if not self.takes_some or not context.is_joined:
            sampled = []
        samples = pushed_bgps(context.graph, sampled, context.filters, self.portable, always=True)
        self.samples += [bgp for bgp, _ in samples]
        self.seed = next((seed for found in samples for seed in _seeds(*found)), self.seed)
        self.can_be_sampled &= sum(len(members) for _, members in samples) == len(sampled)
        if self.unseen is not None and all(as_triples(*step) is not None for step in steps):
            self.whole = self._whole(triples, self.unseen, context)
        pushed: list[Triple] = []
        for bgp, members in pushed_bgps(context.graph, triples, context.filters, self.portable):
            (self.joins if bgp.graph == DEFAULT_GRAPH and len(bgp.triples) > 1 else self.bgps).append(bgp)
            pushed += members
        rest = [triple for triple in triples if not any(triple is one for one in pushed)]
        pushed += self._narrowed_from_outside(rest, context)
        for subject, predicate, object_ in (triple for triple in triples if not any(triple is one for one in pushed)):
            for link in predicate if isinstance(predicate, tuple) else (predicate,):
                pattern = self._pattern(context.graph, subject, link, object_)
                self.others += [pattern] if pattern else []

    def _whole(self, triples: list[Triple], unseen: frozenset[Identifier], context: _Context) -> PushedBGP | None:
        """Return the only basic graph pattern of a query, where nodes find all matches and send fewer rows than triples.

        With two ends of triples among the terms that count, they would send each combination of these.
        """
        unseen |= {term for triple in triples for term in triple if isinstance(term, BNode)}
        found = pushed_bgps(context.graph, triples, context.filters, self.portable, always=True, unseen=unseen)
        if len(found) != 1 or len(found[0][1]) < len(triples):
            return None
        ((bgp, _),) = found
        subjects = {subject for subject, _, _ in bgp.triples}
        ends = [end for _, _, end in bgp.triples if end.startswith("?") and end not in subjects]
        told = [end for end in ends if int(end[1:]) not in bgp.hidden]
        joins_few = bgp.graph != DEFAULT_GRAPH and (len(told) < 2 or bool(bgp.values or bgp.filters))
        return bgp if len(triples) == 1 or (joins_few and bgp.hidden) else None

    def _narrowed_from_outside(self, triples: list[Triple], context: _Context) -> list[Triple]:
        """Let patterns outside of a group narrow patterns in it that nothing else narrows.

        Within GRAPH, a node repeats the matches outside with each of those inside: only where they are few.

        Returns:
            Those that are narrowed.
        """
        outer = [triple for step in context.outer for triple in as_triples(*step) or ()]
        is_default = context.graph == DEFAULT_GRAPH
        if not outer or not triples:
            return []
        narrowed = []
        filters = (*context.outer_filters, *context.filters)
        for bgp, members in pushed_bgps(context.graph, [*outer, *triples], filters, self.portable):
            mine = [triple for triple in members if any(triple is one for one in triples)]
            if mine and len(mine) < len(members) and (is_default or _finds_few(bgp)):
                (self.joins if is_default else self.bgps).append(bgp)
                narrowed += mine
        return narrowed

    def _graph(self, part: CompValue, context: _Context) -> None:
        """Visit GRAPH: it makes another graph active, and nothing anchors nodes of that yet."""
        for name in self._names(part.term, context.filters):
            if not _needs_a_triple(part.graph):
                self.graph_names.add(name)
            self._visit(part.graph, _Context(name, filters=context.filters, is_joined=context.is_joined))

    def _names(self, term: Identifier, filters: Iterable[PushedFilter]) -> list[str]:
        """Return the graphs that GRAPH looks into."""
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
        """Visit a sub-select, which is evaluated on its own, and may count or cut its solutions."""
        self.query(part, context.graph)

    def _service(self, part: CompValue, context: _Context) -> None:
        """Skip the patterns that another server matches."""
        self.services |= {part.term}

    def _step(self, step: PathPattern, context: _Context) -> None:
        subject, link, object_ = step
        ends = self.portable.term(subject), self.portable.term(object_)
        for near, predicate, far in _links(ends[0], link, ends[1]):
            self._add(context.graph, near, self.portable.term(predicate), far)
            self.sees_any_triple |= not isinstance(predicate, URIRef)
        if not _nullable(link):
            return
        self.sees_any_triple |= _is_variable(subject) and _is_variable(object_)
        for node, end in zip((subject, object_), ends, strict=True):
            if not _is_variable(node):
                self.path_ends |= {constant} if (constant := self.portable.constant(node)) else set()
                # pyoxigraph matches a constant with itself only where it is a node of the graph.
                self._add(context.graph, end, None, None)
                self._add(context.graph, None, None, end)
        if _is_variable(subject) and _is_variable(object_) and not {subject, object_} & context.anchored:
            self._add(context.graph, None, None, None)

    def _walk(self, step: PathPattern, graph: str) -> Walk | None:
        """Return the walk along a path from an end that is a constant; ``None`` where it could go through any triple."""
        subject, link, object_ = step
        start = self.portable.iri(subject)
        links = _directed(link, start is not None)
        start = start or self.portable.iri(object_)
        known = [(ahead, self.portable.term(predicate)) for ahead, predicate in links or ()]
        if start is None or not known or any(predicate is None for _, predicate in known):
            return None
        ways = [sorted({term for ahead, term in known if ahead is way and term}) for way in (True, False)]
        return Walk(graph, start, tuple(ways[0]), tuple(ways[1]))

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


def _finds_few(bgp: PushedBGP) -> bool:
    """Return whether it names a subject, or the possible terms of a subject or object."""
    listed = {f"?{number}" for number, _ in bgp.values}
    return any(not subject.startswith("?") or {subject, object_} & listed for subject, _, object_ in bgp.triples)


def _seeds(bgp: PushedBGP, triples: Iterable[Triple]) -> Iterator[Seed]:
    """Yield the variables by which solutions can be chosen: those that are subjects, and so no literals."""
    for (subject, _, _), (name, _, _) in zip(triples, bgp.triples, strict=True):
        if isinstance(subject, Variable):
            yield Seed(str(subject), bgp, int(name[1:]))


def _is_variable(term: Identifier) -> bool:
    return isinstance(term, Variable | BNode)


def _steps(part: CompValue) -> list[PathPattern]:
    """Read a triples block, which rdflib keeps as flat lists of subject, predicate, object, subject, …"""
    if part.name != "TriplesBlock":
        return []
    return [
        (triples[n], triples[n + 1], triples[n + 2])
        for triples in part.triples or ()
        for n in range(0, len(triples), 3)
    ]


def _joined_steps(parts: Iterable[CompValue]) -> list[list[PathPattern]]:
    """Return the basic graph patterns of a group: triple patterns with only filters between them (section 18.2.2.5)."""
    runs: list[list[PathPattern]] = [[]]
    for part in parts:
        if part.name == "TriplesBlock":
            runs[-1] += _steps(part)
        elif part.name != "Filter":
            runs.append([])
    return [run for run in runs if run]


def _nodes(steps: Iterable[PathPattern]) -> frozenset[Identifier]:
    """Return the variables that stand for nodes of the graph."""
    return frozenset(node for subject, _, object_ in steps for node in (subject, object_) if _is_variable(node))


def _anchored(steps: Iterable[PathPattern], outer: frozenset[Identifier]) -> frozenset[Identifier]:
    """Return the variables that any of the patterns binds to nodes of fetched triples, directly or along paths."""
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
    """Return whether a path can have zero length."""
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
    """Yield the triple patterns whose matches a path can go through, as subject, predicate, object.

    Args:
        near: The constant at its start, if there is one.
        link: A predicate, a variable, or a path.
        far: The constant at its end.
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
        yield near, None, far  # an unknown kind of path


def _directed(link: Identifier | Path, ahead: bool) -> list[tuple[bool, URIRef]] | None:
    """List the predicates of a path, each with whether the path follows it from subject to object; ``None``: any."""
    if isinstance(link, InvPath):
        return _directed(link.arg, not ahead)
    if isinstance(link, MulPath):
        return _directed(link.path, ahead)
    if isinstance(link, SequencePath | AlternativePath):
        parts = [_directed(part, ahead) for part in link.args]
        return None if None in parts else [one for part in parts if part for one in part]
    return [(ahead, link)] if isinstance(link, URIRef) else None


def _needs_a_triple(group: CompValue) -> bool:
    """Return whether a group matches only in graphs with a triple that one of its patterns brings along."""
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
