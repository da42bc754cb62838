"""Random SPARQL queries over a few terms, so that their patterns match, join, and meet each other's graphs.

There are three variables for nodes only: that bounds how many solutions any combination of patterns can have.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential.graphs import PREFIXES

GRAPHS = {
    "https://example.org/g/1": ":a :p :b . :b :p :c . :c :q :a . :a :n 1 , '01'^^xsd:integer . :b :n 'x'@en .",
    "https://example.org/g/2": ":a :p :b . :b :q :b . :b :n 'x' , 2.0 . :d :p :d .",
    "https://example.org/g/3": ":c :p <https://catena.invalid/.well-known/genid/g/c14n0> . "
    "<https://catena.invalid/.well-known/genid/g/c14n0> :q :a ; :n 2 . :p :q :n .",
    "https://example.org/g/4": "<https://example.org/g/1> :q :a , <https://example.org/g/2> .",
    "https://example.org/g/5": ":e :n 'y' .",
}
GRAPHS = {name: PREFIXES + turtle for name, turtle in GRAPHS.items()}

_NODES = st.sampled_from(["?x", "?y", "?z", "?x", "?y", "?z", ":a", ":b", ":c", ":d", ":stranger"])
_OBJECTS = _NODES | st.sampled_from(["1", "'x'", "'x'@en", "<https://example.org/g/2>", "[]"])
_PREDICATES = st.sampled_from([":p", ":p", ":q", ":q", ":n", ":nothing"])
_GRAPH_NAMES = st.sampled_from(["?g", "?g", "?h", "?x", *(f"<{name}>" for name in GRAPHS), ":none"])
_VARIABLES = st.sampled_from(["?x", "?y", "?z"])

_PATHS = st.recursive(
    _PREDICATES,
    lambda path: st.one_of(
        st.builds("^{}".format, path.map("({})".format)),
        st.builds("({}){}".format, path, st.sampled_from("*+?")),
        st.builds("({}/{})".format, path, path),
        st.builds("({}|{})".format, path, path),
        st.builds("!({}|^{})".format, _PREDICATES, _PREDICATES),
    ),
    max_leaves=3,
)
_LINKS = st.one_of(_PREDICATES, _PREDICATES, _PATHS, st.sampled_from(["?k"]))
_TRIPLES = st.builds("{} {} {} .".format, _NODES, _LINKS, _OBJECTS)
_VALUES = st.builds(
    "VALUES {} {{ {} }}".format, _VARIABLES, st.sampled_from([":a", ":a :b", "UNDEF :c", ":stranger 1"])
)
_COMPARISONS = st.one_of(
    st.builds(
        "{} {} {}".format, _VARIABLES, st.sampled_from(["=", "!=", "<"]), _OBJECTS.filter(lambda text: text != "[]")
    ),
    st.builds("{}({})".format, st.sampled_from(["BOUND", "!BOUND", "isBlank", "isIRI", "isNumeric"]), _VARIABLES),
    st.builds("{} IN (:a, 1, 'x')".format, _VARIABLES),
)


def _larger(group: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Groups made of groups; each is a text with its braces."""
    filters = st.one_of(
        st.builds("FILTER({})".format, _COMPARISONS),
        st.builds("FILTER {}EXISTS {}".format, st.sampled_from(["", "NOT "]), group),
    )
    parts = st.one_of(
        _TRIPLES,
        st.builds("OPTIONAL {}".format, group),
        st.builds("MINUS {}".format, group),
        st.builds("{} UNION {}".format, group, group),
        st.builds("GRAPH {} {}".format, _GRAPH_NAMES, group),
        st.builds("{{ SELECT {} {} }}".format, st.sampled_from(["*", "DISTINCT ?x", "?y", "(COUNT(*) AS ?x)"]), group),
        group,
        filters,
        _VALUES,
    )
    return st.lists(parts, min_size=1, max_size=3).map(lambda texts: "{ " + " ".join(texts) + " }")


_GROUPS = st.recursive(
    st.lists(_TRIPLES, min_size=0, max_size=2).map(lambda texts: "{ " + " ".join(texts) + " }"), _larger, max_leaves=4
)
_ANY_GROUP = _larger(_GROUPS)

QUERIES = st.one_of(
    st.builds("SELECT * {}".format, _ANY_GROUP),
    st.builds("SELECT DISTINCT ?x ?g {}".format, _ANY_GROUP),
    st.builds("SELECT ?x (COUNT(*) AS ?n) (COUNT(DISTINCT ?y) AS ?m) {} GROUP BY ?x".format, _ANY_GROUP),
    st.builds("SELECT (COUNT(*) AS ?n) (EXISTS {} AS ?e) {}".format, _GROUPS, _ANY_GROUP),
    st.builds("ASK {}".format, _ANY_GROUP),
    st.builds("CONSTRUCT {{ ?x ?k ?y . ?x :in ?g }} WHERE {}".format, _ANY_GROUP),
    st.builds("DESCRIBE {} {}".format, st.sampled_from(["?x", "*", ":a ?y"]), _ANY_GROUP),
)
"""Queries, most of them valid."""
