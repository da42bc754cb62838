"""Random SPARQL queries over the terms of the small worlds.

Few variables stand for nodes, and few triple patterns for each query: that bounds how many solutions there are. Left out is
what SPARQL leaves open: the order among ties, so a LIMIT comes with an order that has none; SAMPLE; the order within
GROUP_CONCAT, and of additions that floating point rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.differential.expressions import conditions, values
from tests.differential.graphs import EX

PROLOGUE = f"""PREFIX : <{EX}> PREFIX g: <{EX}g/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
"""
MOST_PATTERNS = 6

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Query:
    """A query with the dataset that it is asked over.

    Attributes:
        text: It, without the prologue.
        default: The graphs of the default graph, where the query or the request names any.
        named: The graphs that GRAPH reaches, the same.
        by_request: Whether it is the request that names them.
        ordered: Whether the order of the solutions counts.
        limit: How many of the solutions are asked for, whichever; the text does not say it.
    """

    text: str
    default: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    by_request: bool = False
    ordered: bool = False
    limit: int | None = None

    @property
    def has_dataset(self) -> bool:
        return bool(self.default or self.named)


GRAPHS = [f"{EX}g/{name}" for name in ("1", "2", "3", "4", "5", "6", "own", "both", "deleted", "none")]


def _one_of(texts: str, separator: str | None = None) -> st.SearchStrategy[str]:
    return st.sampled_from([text.strip() for text in texts.split(separator)])


_nodes = st.sampled_from(
    [
        "?x",
        "?y",
        "?x",
        "?z",
        "?x",
        "?y",
        "?x",
        "?y",
        "?z",
        ":a",
        ":b",
        ":c",
        ":d",
        ":e",
        "?k",
        "<https://example.org/a>",
    ]
)
_ends = _nodes | st.sampled_from(["?n", "1", "'x'", "'x'@en", "g:2", "[]", "?g"])
_values = st.one_of(
    *[st.just("?n")] * 5,
    _one_of("?m ?m ?x ?n"),
    _one_of("1 1.0 'x' 'x'@en 'X'@EN 2 'K' '01'^^xsd:integer true 'x'@en-gb 'é' :n '' 1e0"),
)
_links = st.sampled_from([":p", ":q"] * 8 + [":nothing"])
_predicates = st.sampled_from([":p", ":q", ":n", ":nothing"])
_graph_terms = st.sampled_from(["?g", "?g", "?g", "?h", "?x", *(f"<{name}>" for name in GRAPHS), ":none"])
_paths = st.recursive(
    _predicates | _links,
    lambda path: st.one_of(
        st.builds("^({})".format, path),
        st.builds("({}){}".format, path, st.sampled_from("*+?")),
        st.builds("({}/{})".format, path, path),
        st.builds("({}|{})".format, path, path),
        st.builds("!({}|^{})".format, _predicates, _predicates),
        st.builds("!{}".format, _predicates),
        st.builds("!^{}".format, _predicates),
    ),
    max_leaves=3,
)
_data = _one_of(
    """?x { :a } | ?x { :a :b :stranger } | ?y { UNDEF :c } | ?n { 1 'x' 'x'@en } | ?n { 1.0 } | ?g { g:1 g:2 } | ?x { }
    | (?x ?y) { (:a UNDEF) (UNDEF :b) } | (?x ?n) { (:b 'x') (:a 1) (:a UNDEF) } | ?k { :p :q } | ?z { :d :d }
    | ?g { g:1 UNDEF }""",
    "|",
)
_aggregates = _one_of(
    """COUNT(*) | COUNT(*) | COUNT(?y) | COUNT(?n) | COUNT(DISTINCT ?n) | COUNT(DISTINCT ?x) | COUNT(DISTINCT *)
    | COUNT(?nowhere) | SUM(?n) | AVG(?m) | SUM(STRLEN(STR(?n))) | MIN(STR(?n)) | MAX(LCASE(STR(?n)))""",
    "|",
)
# What one block is asked for where repeated solutions count as one, or where they are counted.
_terms = _one_of(
    """DISTINCT ?x {} | DISTINCT ?n {} | DISTINCT ?g {} | DISTINCT ?k {} | DISTINCT ?x ?g {} | DISTINCT ?y (STR(?n) AS ?t) {}
    | (COUNT(DISTINCT ?x) AS ?a) (MAX(STR(?n)) AS ?b) {} | (SUM(DISTINCT STRLEN(STR(?n))) AS ?a) {}
    | ?g (COUNT(DISTINCT ?n) AS ?a) {} GROUP BY ?g | ?k (MIN(STR(?x)) AS ?a) {} GROUP BY ?k HAVING (COUNT(DISTINCT ?y) > 1)
    | ?n {} GROUP BY ?n | (COUNT(*) AS ?a) {} | ?g (COUNT(*) AS ?a) {} GROUP BY ?g | ?k (COUNT(?x) AS ?a) {} GROUP BY ?k
    | ?x (COUNT(?n) AS ?a) (COUNT(*) AS ?b) {} GROUP BY ?x HAVING (COUNT(*) > 1) | (SUM(?n) AS ?a) (COUNT(?x) AS ?b) {}
    | ?n (COUNT(*) AS ?a) {} GROUP BY ?n | ?k ?g {}""",
    "|",
)


@st.composite
def queries(draw: Draw) -> Query:
    """Queries, nearly all of them valid."""
    kind = draw(
        st.sampled_from(
            ["usual", "usual", "all", "distinct", "terms", "top", "groups", "count", "ask", "construct", "describe"]
        )
    )
    query = _Writer(draw)
    groups = {"usual": query.usual, "terms": query.alone}
    group = groups[kind]() if kind in groups else query.group(draw(st.integers(1, 3)))
    dataset = draw(st.sampled_from([*[""] * 9, "query", "request", "both"]))
    default = tuple(draw(st.lists(st.sampled_from(GRAPHS), max_size=3, unique=True))) if dataset else ()
    named = tuple(draw(st.lists(st.sampled_from(GRAPHS), max_size=3, unique=True))) if dataset else ()
    clauses = ""
    if dataset == "query":
        clauses = "".join([*(f"FROM <{name}> " for name in default), *(f"FROM NAMED <{name}> " for name in named)])
    elif dataset == "both":
        clauses = "FROM g:1 FROM NAMED g:2 "
    if not (default or named):
        clauses = ""
    body = f"{clauses}WHERE {group}"
    if kind == "top":
        text = query.top(group, clauses)
    elif kind == "distinct":
        chosen = draw(st.sampled_from(["?x", "?g", "?x ?g", "?n", "?x ?y ?n", "(LCASE(STR(?n)) AS ?low)"]))
        text = f"SELECT DISTINCT {chosen} {body}"
    elif kind == "terms":
        text = f"SELECT {draw(_terms).format(body)}"
    elif kind in ("groups", "count"):
        text = query.aggregate(body, grouped=kind == "groups")
    elif kind == "ask":
        text = f"ASK {body}"
    elif kind == "construct":
        template = draw(
            st.sampled_from(["?x ?k ?n . ?x :in ?g , ?n", "?x :is ?n , ?y", "[] :is ?x , ?y ; :of ?g", "?g ?k ?x"])
        )
        text = f"CONSTRUCT {{ {template} }} {body}"
    elif kind == "describe":
        text = f"DESCRIBE {draw(st.sampled_from(['?x', '*', ':a ?y', '?g']))} {body}"
    else:
        text = f"SELECT * {body}"
    limit = None
    if kind in ("usual", "all", "distinct") or (kind == "terms" and " GROUP BY " not in text):
        limit = draw(st.sampled_from([None, None, None, 1, 2, 5, 1000]))
        if limit is None and draw(st.integers(0, 9)) == 9:
            text += f" VALUES {draw(_data)}"
    return Query(text, default, named, dataset in ("request", "both"), kind == "top", limit)


class _Writer:
    """Writes one query. Each method gives a text; groups have their braces."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._left = MOST_PATTERNS
        self._bound = 0
        self._names: set[str] = set()

    def usual(self) -> str:
        """What pages ask: a block with filters, in GRAPH or not, something optional, something beside it."""
        draw = self._draw
        graph = draw(st.sampled_from(["", "", "", "GRAPH ?g ", "GRAPH ?g ", f"GRAPH <{EX}g/1> "]))
        parts = [self._block()]
        for _ in range(draw(st.integers(0, 2))):
            parts.insert(draw(st.integers(0, len(parts))), self._filter())
        if draw(st.integers(0, 2)) == 0:
            beside = draw(st.sampled_from(["OPTIONAL {}", "FILTER NOT EXISTS {}", "MINUS {}", "FILTER EXISTS {}"]))
            parts.append(beside.format("{ " + self._block() + self._maybe_filter() + " }"))
        group = " ".join(parts)
        outside = draw(st.sampled_from(["", "", "values", "filter", "block"]))
        if graph:
            group = f"{graph}{{ {group} }}"
        if outside == "values":
            table = f"VALUES {draw(_data)}"
            group = f"{table} {group}" if draw(st.booleans()) else f"{group} {table}"
        elif outside == "filter":
            self._names |= {"?g"} if "?g" in graph else set()
            group += " " + self._filter()
        elif outside == "block":
            group += " " + self._block()
        return f"{{ {group} }}"

    def alone(self) -> str:
        """One block, in GRAPH or not, and perhaps a filter inside and outside of that."""
        graph = self._draw(st.sampled_from(["", "GRAPH ?g ", "GRAPH ?g ", "GRAPH ?x ", f"GRAPH <{EX}g/1> "]))
        group = self._block() + self._maybe_filter()
        group = f"{graph}{{ {group} }}" if graph else group
        self._names |= {"?g"} if "?g" in graph else set()
        return f"{{ {group} {self._maybe_filter()} }}"

    def group(self, depth: int) -> str:
        """Any group."""
        parts = [self._part(depth) for _ in range(self._draw(st.integers(1, 3)))]
        return "{ " + " ".join(parts) + " }"

    def top(self, group: str, clauses: str = "") -> str:
        """The first or next few, by an order without ties."""
        draw = self._draw
        chosen = draw(st.sampled_from([["?x"], ["?n"], ["?g"], ["?x", "?n"], ["?g", "?n"], ["?y", "?x"]]))
        named = " ".join(f"FILTER(!BOUND({name}) || !isBlank({name}))" for name in chosen)
        first = draw(st.sampled_from(["", *chosen, f"DESC({chosen[0]})", f"LCASE(STR({chosen[-1]}))"]))
        order = " ".join(f"STR({name}) DATATYPE({name}) LANG({name})" for name in chosen)
        bounds = draw(
            st.sampled_from(["LIMIT 2", "LIMIT 1 OFFSET 1", "OFFSET 2", "LIMIT 5", "LIMIT 0", "LIMIT 3 OFFSET 3"])
        )
        distinct = draw(st.sampled_from(["", "DISTINCT "]))
        selection = f"SELECT {distinct}{' '.join(chosen)} {clauses}"
        return f"{selection}WHERE {{ {group} {named} }} ORDER BY {first} {order} {bounds}"

    def aggregate(self, body: str, grouped: bool) -> str:
        """Solutions counted and added up."""
        draw = self._draw
        aggregates = draw(st.lists(_aggregates, min_size=1, max_size=2))
        projected = " ".join(f"({aggregate} AS ?a{n})" for n, aggregate in enumerate(aggregates))
        if not grouped:
            return f"SELECT {projected} {body}"
        key = draw(st.sampled_from(["?x", "?g", "?n", "?y", "?x ?g", "(LANG(?n) AS ?l)", "(DATATYPE(?n) AS ?l)"]))
        shown = "?l" if "?l" in key else key
        conditions = ["(COUNT(*) > 1)", "(COUNT(DISTINCT ?n) = 1)", "(MIN(STR(?n)) < 'x')", "(SUM(?n) > 2)"]
        having = draw(st.sampled_from(["", "", "", *(f"HAVING {condition}" for condition in conditions)]))
        return f"SELECT {shown} {projected} {body} GROUP BY {key} {having}"

    def _part(self, depth: int) -> str:
        draw = self._draw
        simple = ["block", "block", "block", "block", "path", "filter", "values", "bind"]
        kinds = [*simple, "optional", "minus", "union", "graph", "graph", "graph", "exists", "select", "group"]
        kind = draw(st.sampled_from(kinds if depth else simple))
        if kind == "path":
            return self._path()
        if kind == "filter":
            return self._filter()
        if kind == "values":
            return f"VALUES {draw(_data)}"
        if kind == "bind":
            expression = draw(values(self._scope()) | conditions(self._scope()))
            return f"BIND({expression} AS {self._new()})"
        if kind == "optional":
            return f"OPTIONAL {self.group(depth - 1)}"
        if kind == "minus":
            return f"MINUS {self.group(depth - 1)}"
        if kind == "union":
            return f"{self.group(depth - 1)} UNION {self.group(depth - 1)}"
        if kind == "graph":
            graph = draw(_graph_terms)
            if graph.startswith("?"):
                self._names.add(graph)
            return f"GRAPH {graph} {self.group(depth - 1)}"
        if kind == "exists":
            return self._exists(depth - 1)
        if kind == "select":
            return f"{{ {self._sub_select(depth - 1)} }}"
        if kind == "group":
            return self.group(depth - 1)
        return self._block() + self._maybe_filter()

    def _exists(self, depth: int) -> str:
        draw = self._draw
        test = f"{draw(st.sampled_from(['', 'NOT ']))}EXISTS {self.group(depth)}"
        form = draw(st.sampled_from(["plain", "plain", "or", "bind"]))
        if form == "or":
            return f"FILTER({test} || {draw(conditions(self._scope()))})"
        if form == "bind":
            return f"BIND({test} AS {self._new()})"
        return f"FILTER {test}"

    def _sub_select(self, depth: int) -> str:
        kind = self._draw(st.sampled_from(["some", "some", "top", "groups", "count"]))
        group = self.group(depth)
        if kind == "top":
            return self.top(group)
        if kind in ("groups", "count"):
            return self.aggregate(group, grouped=kind == "groups")
        return f"SELECT {self._draw(st.sampled_from(['*', 'DISTINCT ?x', '?y', '?x ?n', 'DISTINCT *']))} {group}"

    def _filter(self) -> str:
        return f"FILTER({self._draw(conditions(self._scope()))})"

    def _maybe_filter(self) -> str:
        return f" {self._filter()}" if self._draw(st.integers(0, 3)) == 0 else ""

    def _block(self) -> str:
        """Triple patterns that hang together: a star, a chain, or both."""
        draw = self._draw
        count = min(draw(st.sampled_from([1, 1, 1, 2, 2, 3])), self._left)
        self._left -= count
        subject = draw(_nodes)
        text = ""
        for _ in range(count):
            form = draw(st.sampled_from(["value", "link", "value", "link", "any"]))
            if form == "value":
                link, end = ":n", draw(_values)
            elif form == "link":
                link, end = draw(_links), draw(_nodes)
            else:
                link, end = draw(st.sampled_from(["?k", "?k", "?x", ":n", ":p", "a"])), draw(_ends)
            self._names.update(term for term in (subject, link, end) if term.startswith("?"))
            text += f"{subject} {link} {end} . "
            if form == "link" and draw(st.booleans()):
                subject = end  # the chain goes on
        return text

    def _path(self) -> str:
        draw = self._draw
        if not self._left:
            return ""
        self._left -= 1
        subject, end = draw(_nodes), draw(_ends)
        self._names.update(term for term in (subject, end) if term.startswith("?"))
        return f"{subject} {draw(_paths)} {end} ."

    def _scope(self) -> tuple[str, ...]:
        """The variables that have been used so far, wherever they are bound."""
        return tuple(sorted(self._names))

    def _new(self) -> str:
        """A variable for BIND, which must not be bound before."""
        self._bound += 1
        name = f"?b{self._bound}"
        self._names.add(name)
        return name
