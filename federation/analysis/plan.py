"""The outcome of a query's analysis."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

Form = Literal["SELECT", "ASK", "CONSTRUCT", "DESCRIBE"]
FORMS: tuple[Form, ...] = get_args(Form)

# The graph of a pattern that does not name one. No IRI is empty or begins with a question mark.
DEFAULT_GRAPH = ""
ANY_NAMED_GRAPH = "?"

_DOT_SEGMENT = re.compile(r"[/:]\.{1,2}(?:[/?#>]|$)")


class Pattern(msgspec.Struct, frozen=True, array_like=True):
    """A quad pattern.

    Attributes:
        graph: ``DEFAULT_GRAPH``, ``ANY_NAMED_GRAPH``, or the IRI of one named graph.
        subject: The only possible subject, in N-Triples form; ``None``: any.
        predicate: The only possible predicate; ``None``: any.
        object: The only possible object; ``None``: any.
    """

    graph: str
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None


class PushedBGP(msgspec.Struct, frozen=True, array_like=True):
    """A basic graph pattern of one graph that a node joins and filters.

    A query that joins these triple patterns uses only their matches that take part in a match of the whole: the join drops
    the others. Terms are in N-Triples form; variables are ``?0``, ``?1`` …, numbered in each basic graph pattern.

    Attributes:
        graph: As in ``Pattern.graph``.
        triples: Subject, predicate and object of each triple pattern.
        values: The possible terms of a variable, by its number; nothing for variables that can have any.
        filters: SPARQL expressions, the number of each variable between zero characters; each is true wherever the query's
            filters are.
        hidden: Variables, by number, whose terms do not count: one match stands for all that have the same other terms.
        path: A constant and a path from it, to the first variable; empty: none.
    """

    graph: str
    triples: tuple[tuple[str, str, str], ...]
    values: tuple[tuple[int, tuple[str, ...]], ...] = ()
    filters: tuple[str, ...] = ()
    hidden: tuple[int, ...] = ()
    path: str = ""

    @property
    def width(self) -> int:
        """The number of its variables."""
        return 1 + max(int(term[1:]) for triple in self.triples for term in triple if term.startswith("?"))

    @property
    def shown(self) -> tuple[int, ...]:
        """The variables that are not hidden."""
        return tuple(number for number in range(self.width) if number not in self.hidden)


class Walk(msgspec.Struct, frozen=True, array_like=True):
    """A path of any length from a constant: it goes through no triple that following its predicates from there does not find.

    Attributes:
        graph: As in ``Pattern.graph``.
        start: The constant, an IRI in N-Triples form.
        forward: The predicates that it follows from subject to object.
        backward: The predicates that it follows from object to subject.
    """

    graph: str
    start: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]


class Seed(msgspec.Struct, frozen=True, array_like=True):
    """A variable by which some solutions of a query can be chosen.

    Attributes:
        variable: Its name.
        bgp: A basic graph pattern that binds it.
        number: Its number there.
    """

    variable: str
    bgp: PushedBGP
    number: int


class Plan(msgspec.Struct, frozen=True):
    """Everything that the engine needs to know of a query's text.

    Attributes:
        form: The query form.
        patterns: Patterns of all quads on which the answer can depend. A store that holds these quads of a dataset, and any
            others of that dataset, gives the same answer as the whole dataset.
        bgps: Basic graph patterns to push down. Their matches, with those of ``joins``, ``walks`` and ``others``, are enough
            for the answer, and fewer than those of ``patterns``.
        joins: Basic graph patterns of the default graph, whose matches may combine triples of several nodes.
        walks: Paths that are followed from constants.
        others: The patterns that none of them contains.
        samples: Basic graph patterns whose first matches within one graph may give some solutions; none where they cannot.
        seed: For a query of which any solutions are wanted, but which finds wrong ones over some of the quads.
        graph_names: The named graphs whose mere existence counts: ``ANY_NAMED_GRAPH``, or IRIs of graphs.
        from_default: The IRIs of the FROM clauses.
        from_named: The IRIs of the FROM NAMED clauses.
        has_dataset: Whether there is any such clause.
        resources: For DESCRIBE: a SELECT query for the resources to describe. Empty for other forms.
        is_volatile: Whether the answer may change with each request: the query depends on the time, on random values, on new
            ones, or on other servers.
        services: The IRIs of the other servers that the query calls.
        is_monotone: Whether each solution over some of the quads is a solution over all of them, in any order.
        graph_by_graph: Whether what stands within GRAPH has to be evaluated in each graph by itself: a sub-select, or a group
            that VALUES can make match without a triple.
        path_ends: Constants at the ends of paths of any length, in N-Triples form: each has a path of length zero to itself,
            in the graph or not. None where the query could see the triples that tell the evaluator of them.
        columns: For ``SELECT *``: its variables in the order in which the text has them; the evaluator would sort them.
            The specification leaves their order open (SPARQL 1.1 Query, section 16.1).
        pulls_everything: The reason why the analysis gave up and the patterns match everything; empty when it did not.
    """

    form: Form
    patterns: tuple[Pattern, ...]
    bgps: tuple[PushedBGP, ...] = ()
    joins: tuple[PushedBGP, ...] = ()
    walks: tuple[Walk, ...] = ()
    others: tuple[Pattern, ...] = ()
    samples: tuple[PushedBGP, ...] = ()
    seed: Seed | None = None
    graph_names: frozenset[str] = frozenset()
    from_default: tuple[str, ...] = ()
    from_named: tuple[str, ...] = ()
    has_dataset: bool = False
    resources: str = ""
    is_volatile: bool = False
    services: tuple[str, ...] = ()
    is_monotone: bool = False
    graph_by_graph: bool = False
    path_ends: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    pulls_everything: str = ""

    @property
    def is_sampled_whole(self) -> bool:
        """Whether all matches of ``samples`` within one graph are all that the query can match."""
        alike = [
            Pattern(bgp.graph, *(None if term.startswith("?") else term for term in triple))
            for bgp in self.samples
            for triple in bgp.triples
            # A path from a variable to itself goes through other triples than one step of it.
            if not bgp.values and not bgp.filters and len(bgp.triples) == 1 and len(set(triple)) == len(triple)
        ]
        bgps = tuple(msgspec.structs.replace(bgp, hidden=()) for bgp in self.bgps)
        return not self.joins and not self.walks and (bgps, list(self.others)) in ((self.samples, []), ((), alike))

    def widened(self, reason: str) -> Plan:
        """Return the plan that fetches everything, which is right for every query.

        Args:
            reason: The reason.
        """
        everything = (Pattern(DEFAULT_GRAPH), Pattern(ANY_NAMED_GRAPH))
        return msgspec.structs.replace(
            self,
            patterns=everything,
            bgps=(),
            joins=(),
            walks=(),
            others=everything,
            samples=(),
            seed=None,
            graph_names=frozenset({ANY_NAMED_GRAPH}),
            pulls_everything=reason,
        )


class Dataset(msgspec.Struct, frozen=True):
    """The RDF dataset of a query (SPARQL 1.1 Query, section 13.2).

    Attributes:
        default: The graphs whose set-union is the default graph; ``None``: all named graphs.
        named: The graphs that GRAPH can reach; ``None``: all named graphs.
        given: Whether the query or the request names its dataset.
        overrides: Whether the request names it, which overrides the query (SPARQL 1.1 Protocol, section 2.1.4).
    """

    default: frozenset[str] | None
    named: frozenset[str] | None
    given: bool = False
    overrides: bool = False

    def graphs_of(self, pattern: Pattern | PushedBGP) -> frozenset[str] | None:
        """Return the graphs that a pattern looks into; ``None``: all named graphs."""
        if pattern.graph == DEFAULT_GRAPH:
            return self.default
        return self.reachable(pattern.graph)

    def reachable(self, name: str) -> frozenset[str] | None:
        """Return the graphs that ``GRAPH name`` reaches, for an IRI or ``ANY_NAMED_GRAPH``; ``None``: all."""
        if name == ANY_NAMED_GRAPH:
            return self.named
        return frozenset({name}) if self.named is None or name in self.named else frozenset()

    def within(self, graphs: frozenset[str]) -> Dataset:
        """Return the part of the dataset that is in some graphs."""
        return msgspec.structs.replace(
            self,
            default=graphs if self.default is None else self.default & graphs,
            named=graphs if self.named is None else self.named & graphs,
        )


def is_portable(term: str) -> bool:
    """Return whether every server takes a term in a query for the same one.

    Jena, and so Fuseki, resolves the IRIs of a query even where they are absolute (RFC 3986, section 5.2): it takes
    ``<http://a.example/b/../c>`` for ``<http://a.example/c>``. It keeps the IRIs of data as they were sent, so it does not find
    the graph or the term of that name. Oxigraph finds it.

    Args:
        term: An IRI, or an IRI or a literal in N-Triples form.
    """
    return term.startswith('"') or not _DOT_SEGMENT.search(term)
