"""What a query can see: the outcome of its analysis."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

Form = Literal["SELECT", "ASK", "CONSTRUCT", "DESCRIBE"]
FORMS: tuple[Form, ...] = get_args(Form)

# Where a pattern looks, when that is not the IRI of one graph. No IRI is empty or begins with a question mark.
DEFAULT_GRAPH = ""
ANY_NAMED_GRAPH = "?"

_DOT_SEGMENT = re.compile(r"[/:]\.{1,2}(?:[/?#>]|$)")


class Pattern(msgspec.Struct, frozen=True, array_like=True):
    """Quads that a query may see.

    Attributes:
        graph: ``DEFAULT_GRAPH``, ``ANY_NAMED_GRAPH``, or the IRI of one named graph.
        subject: The one term that can stand there, in N-Triples form; ``None``: any.
        predicate: The same.
        object: The same.
    """

    graph: str
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None


class PushedBGP(msgspec.Struct, frozen=True, array_like=True):
    """Triple patterns of one graph that a node joins and filters for us.

    A query that has these patterns joined sees of their matches only those that take part in a match of the whole bgp: the
    others are lost in that join. Terms are in N-Triples form; variables are ``?0``, ``?1`` … in each bgp anew.

    Attributes:
        graph: As in ``Pattern.graph``.
        triples: Subject, predicate and object of each pattern.
        values: The terms that a variable can have, by its number; nothing for variables that can have any.
        filters: SPARQL expressions, the number of each variable between zero characters; each is true wherever the query's
            filters are.
    """

    graph: str
    triples: tuple[tuple[str, str, str], ...]
    values: tuple[tuple[int, tuple[str, ...]], ...] = ()
    filters: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many variables it has."""
        return 1 + max(int(term[1:]) for triple in self.triples for term in triple if term.startswith("?"))


class Plan(msgspec.Struct, frozen=True):
    """All that the engine needs to know of a query's text.

    Attributes:
        form: The query form.
        patterns: The quads that evaluating it can depend on. A store that holds these quads of a dataset, and any others
            of that dataset, gives the query the answer that the whole dataset gives.
        bgps: The same with less: all matches of these bgps, of ``joins`` and of ``others`` are as good as those of
            ``patterns``.
        joins: Blocks of the default graph, whose matches may be put together from several nodes.
        others: The patterns that neither covers.
        graph_names: Where the mere existence of a named graph counts: ``ANY_NAMED_GRAPH``, or IRIs of graphs.
        from_default: The IRIs of the FROM clauses.
        from_named: The IRIs of the FROM NAMED clauses.
        has_dataset: Whether there is any such clause.
        resources: For DESCRIBE: a SELECT query for the resources to describe. Empty for other forms.
        is_volatile: Whether it may give another answer each time, since it asks for the time, for something random or new, or
            other servers.
        services: The IRIs of the other servers that it calls.
        pulls_everything: Why the analysis gave up and the patterns match everything; empty when it did not.
    """

    form: Form
    patterns: tuple[Pattern, ...]
    bgps: tuple[PushedBGP, ...] = ()
    joins: tuple[PushedBGP, ...] = ()
    others: tuple[Pattern, ...] = ()
    graph_names: frozenset[str] = frozenset()
    from_default: tuple[str, ...] = ()
    from_named: tuple[str, ...] = ()
    has_dataset: bool = False
    resources: str = ""
    is_volatile: bool = False
    services: tuple[str, ...] = ()
    pulls_everything: str = ""

    def widened(self, reason: str) -> Plan:
        """The plan that pulls everything, which is right for every query.

        Args:
            reason: Why.
        """
        everything = (Pattern(DEFAULT_GRAPH), Pattern(ANY_NAMED_GRAPH))
        return msgspec.structs.replace(
            self,
            patterns=everything,
            bgps=(),
            joins=(),
            others=everything,
            graph_names=frozenset({ANY_NAMED_GRAPH}),
            pulls_everything=reason,
        )


class Dataset(msgspec.Struct, frozen=True):
    """The RDF dataset that a query is asked over (SPARQL 1.1 Query, section 13.2).

    Attributes:
        default: The graphs whose set-union is the default graph; ``None``: all named graphs.
        named: The graphs that GRAPH can reach; ``None``: all named graphs.
        given: Whether the query or the request names its dataset.
        overrides: Whether the request names it, whatever the query says (SPARQL 1.1 Protocol, section 2.1.4).
    """

    default: frozenset[str] | None
    named: frozenset[str] | None
    given: bool = False
    overrides: bool = False

    def graphs_of(self, pattern: Pattern | PushedBGP) -> frozenset[str] | None:
        """The graphs that a pattern or a bgp looks into; ``None``: all named graphs."""
        if pattern.graph == DEFAULT_GRAPH:
            return self.default
        return self.reachable(pattern.graph)

    def reachable(self, name: str) -> frozenset[str] | None:
        """The graphs that ``GRAPH name`` reaches, where ``name`` is an IRI or ``ANY_NAMED_GRAPH``; ``None``: all."""
        if name == ANY_NAMED_GRAPH:
            return self.named
        return frozenset({name}) if self.named is None or name in self.named else frozenset()

    def within(self, graphs: frozenset[str]) -> Dataset:
        """As much of it as these graphs are."""
        return msgspec.structs.replace(
            self,
            default=graphs if self.default is None else self.default & graphs,
            named=graphs if self.named is None else self.named & graphs,
        )


def is_portable(term: str) -> bool:
    """Whether every server takes a term in a query for the same one.

    Jena, and so Fuseki, resolves the IRIs of a query even where they are absolute (RFC 3986, section 5.2): it takes
    ``<http://a.example/b/../c>`` for ``<http://a.example/c>``, and does not find the graph or the term of that name, which it
    keeps as it was sent. Oxigraph finds it.

    Args:
        term: An IRI, or an IRI or a literal in N-Triples form.
    """
    return term.startswith('"') or not _DOT_SEGMENT.search(term)
