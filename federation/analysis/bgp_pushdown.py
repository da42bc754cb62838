"""Basic graph patterns that nodes can join and filter.

The evaluator joins the triple patterns of a basic graph pattern in one graph. So of all their matches it can use only those
that take part in a match of the whole (SPARQL 1.1 Query, section 18.3.1: a solution of a basic graph pattern maps every one
of its patterns into the graph). A node that has the graph can find these. In the default graph the matches may come from
several nodes; ``fetching.semi_join`` fetches them.

Nodes may compare literals by term where the evaluator compares values. So a node joins only variables that are a subject or a
predicate somewhere, where no literal can be. Other variables get a name of their own in each place, which matches more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from rdflib.paths import AlternativePath, InvPath, MulPath, NegatedPath, Path, SequencePath
from rdflib.term import BNode, Identifier, URIRef, Variable

from federation.analysis.filter_pushdown import PushedFilter
from federation.analysis.plan import PushedBGP
from federation.analysis.portable_terms import PortableTerms, number_test

Triple = tuple[Identifier, Identifier | tuple[Identifier, ...], Identifier]
"""Subject, predicate or the predicates to choose from, and object."""

_MOST_TRIPLES = 30


def as_triples(subject: Identifier, link: Identifier | Path, object_: Identifier) -> list[Triple] | None:
    """Write a path as triple patterns that bind the same terms.

    Args:
        subject: Its start.
        link: A predicate, a variable, or a path.
        object_: Its end.

    Returns:
        The patterns, or ``None`` when no fixed number of them has the same matches.
    """
    if isinstance(link, InvPath):
        return as_triples(object_, link.arg, subject)
    if isinstance(link, SequencePath):
        nodes = [subject, *(BNode() for _ in link.args[1:]), object_]
        parts = [as_triples(near, part, far) for near, part, far in zip(nodes, link.args, nodes[1:], strict=False)]
        return None if None in parts else [triple for part in parts if part for triple in part]
    if isinstance(link, AlternativePath):
        choices = tuple(arg for arg in link.args if isinstance(arg, URIRef))
        return [(subject, choices, object_)] if len(choices) == len(link.args) else None
    return None if isinstance(link, Path) else [(subject, link, object_)]


def sample_triples(subject: Identifier, link: Identifier | Path, object_: Identifier) -> list[Triple]:
    """Write a path as triple patterns that bind some of the same terms: those of one step where it can have any length.

    Args:
        subject: Its start.
        link: A predicate, a variable, or a path.
        object_: Its end.
    """
    if isinstance(link, MulPath):
        return sample_triples(subject, link.path, object_)
    if isinstance(link, InvPath):
        return sample_triples(object_, link.arg, subject)
    if isinstance(link, SequencePath):
        nodes = [subject, *(BNode() for _ in link.args[1:]), object_]
        steps = zip(nodes, link.args, nodes[1:], strict=False)
        return [triple for step in steps for triple in sample_triples(*step)]
    if isinstance(link, NegatedPath):
        return [(subject, BNode(), object_)]
    if isinstance(link, AlternativePath):
        return as_triples(subject, link, object_) or sample_triples(subject, link.args[0], object_)
    return [] if isinstance(link, Path) else [(subject, link, object_)]


def pushed_bgps(
    graph: str,
    triples: Sequence[Triple],
    filters: Iterable[PushedFilter],
    portable: PortableTerms,
    always: bool = False,
    unseen: Set[Identifier] = frozenset(),
) -> list[tuple[PushedBGP, list[Triple]]]:
    """Split triple patterns that are joined in one graph into basic graph patterns to push down.

    Args:
        graph: As in ``Pattern.graph``.
        triples: The patterns.
        filters: The filters that hold for each of their solutions.
        portable: The constants that all servers read alike.
        always: Whether to push down also patterns that are better fetched as they are.
        unseen: The variables and blank nodes whose terms do not count.

    Returns:
        Each basic graph pattern with its triple patterns.
    """
    return [
        (bgp, group)
        for group in _connected(triples)
        if len(group) <= _MOST_TRIPLES
        and (bgp := _pushed_bgp(graph, group, list(filters), portable, always, unseen)) is not None
    ]


def _pushed_bgp(
    graph: str,
    triples: Sequence[Triple],
    filters: Sequence[PushedFilter],
    portable: PortableTerms,
    always: bool,
    unseen: Set[Identifier],
) -> PushedBGP | None:
    """Build a basic graph pattern; unless ``always``, if fetching it is less than fetching each of its triple patterns."""
    joined = _subjects(triples)
    numbers: dict[object, str] = {}
    values: dict[int, frozenset[str]] = {}
    bound: dict[str, list[str]] = {}
    tests: list[str] = []
    selective, narrows = False, always

    def named(term: Identifier, place: object) -> str:
        """Name a variable for a term; a term that may be a literal gets another variable in each place."""
        name = numbers.setdefault(term if term in joined else place, f"?{len(numbers)}")
        if isinstance(term, Variable) and name not in bound.setdefault(str(term), []):
            bound[str(term)].append(name)
        return name

    made = []
    for n, (subject, predicate, object_) in enumerate(triples):
        ends = []
        for place, term in (("s", subject), ("o", object_)):
            known = portable.term(term)
            name = known or named(term, (n, place))
            selective |= known is not None
            ends.append(name)
            if forms := portable.in_languages(term):
                values[int(name[1:])] = frozenset(forms)
                narrows = True
            elif amount := portable.number(term):
                tests.append(number_test(f"\0{name[1:]}\0", "=", amount))
                narrows = True
        if isinstance(predicate, tuple):
            link = named(BNode(), (n, "p"))
            known_links = [portable.term(item) for item in predicate]
            if None not in known_links:
                values[int(link[1:])] = frozenset(item for item in known_links if item)
        else:
            known = portable.term(predicate)
            link = known or named(predicate, (n, "p"))
        made.append((ends[0], link, ends[1]))
    narrows |= selective and len(triples) > 1
    for pushed_filter in filters:
        if not pushed_filter.variables <= bound.keys():
            continue
        narrows = True
        if pushed_filter.text:
            tests.append(pushed_filter.about({name: f"\0{bound[name][0][1:]}\0" for name in pushed_filter.variables}))
        else:
            for name in (name for variable in pushed_filter.variables for name in bound[variable]):
                number = int(name[1:])
                values[number] = values.get(number, pushed_filter.values) & pushed_filter.values
    if not narrows or not numbers:
        return None
    return PushedBGP(
        graph,
        tuple(made),
        tuple((number, tuple(sorted(terms))) for number, terms in sorted(values.items())),
        tuple(dict.fromkeys(tests)),
        tuple(sorted(int(numbers[term][1:]) for term in joined & unseen)),
    )


def _subjects(triples: Iterable[Triple]) -> frozenset[Identifier]:
    """Find the variables to join: those in several places, one of them a subject or a predicate, and those in one place."""
    places = Counter(term for triple in triples for term in triple if isinstance(term, Variable | BNode))
    no_literals = {term for subject, predicate, _ in triples for term in (subject, predicate)}
    return frozenset(term for term, times in places.items() if times == 1 or term in no_literals)


def _connected(triples: Sequence[Triple]) -> list[list[Triple]]:
    """Group the patterns that share joined variables: a product of patterns that share none would be large."""
    joined = _subjects(triples)
    groups: list[tuple[set[object], list[Triple]]] = []
    for triple in triples:
        terms: set[object] = {term for term in triple if term in joined}
        members = [triple]
        for other in [group for group in groups if group[0] & terms]:
            groups.remove(other)
            terms |= other[0]
            members = [*other[1], *members]
        groups.append((terms, members))
    return [members for _, members in groups]
