"""The analysis of a query's text.

SPARQL's algebra reads the dataset in two ways only: it matches triple patterns and paths against the active graph, and it asks
which named graphs exist (GRAPH). So an answer depends only on the quads that match the text's patterns, each in its graph;
filters, joins and aggregates only ever narrow that. Where a construct matches more than its terms say, the analysis widens the
pattern until it is safe: zero-length paths match every node of the graph, negated property sets every predicate.

rdflib parses the query; the analysis walks its syntax tree and does not use its algebra. pyoxigraph evaluates the query later,
so it decides which texts are queries and which terms they have. The analysis widens a constant that the two parsers read
differently to "any", and a query that rdflib cannot parse to everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import msgspec
import pyoxigraph
import rdflib
from rdflib.plugins.sparql.algebra import translatePath, translatePName, translatePrologue, traverse
from rdflib.plugins.sparql.parser import parseQuery
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.term import Identifier, Variable

from federation.analysis.lexer import QueryText, Token
from federation.analysis.long_lists import read_terms, short_lists
from federation.analysis.patterns import PatternCollector
from federation.analysis.plan import FORMS, Plan
from federation.analysis.portable_terms import PortableTerms
from federation.analysis.services import service_tokens
from federation.analysis.syntax_errors import syntax_error
from federation.analysis.unseen import unseen
from federation.errors import QueryRefusedError, UpdateRefusedError

_IMPLIED = frozenset(map(str, (rdflib.RDF.type, rdflib.RDF.first, rdflib.RDF.rest, rdflib.RDF.nil)))


class AnalysisTimeoutError(BaseException):
    """The search for a query's patterns takes too long; not an ``Exception``, which parsers catch."""


def analyse(text: str, bounded: Callable[[], AbstractContextManager[object]] = nullcontext) -> Plan:
    """Analyse a query.

    Args:
        text: The query as it was sent.
        bounded: Makes a context that bounds the time of the search for patterns. It raises ``AnalysisTimeoutError`` in it; then
            the plan fetches everything.

    Returns:
        The plan.

    Raises:
        QuerySyntaxError: The text is not a SPARQL 1.1 query.
        QueryRefusedError: It is an update, or the servers that it calls with SERVICE are in doubt.
    """
    query = QueryText(text)
    called, variables = _check(query)
    query = QueryText(query.with_outer_graphs())
    default, named = query.dataset()
    plan = Plan(
        form=next(form for form in FORMS if form == query.form),
        patterns=(),
        from_default=_graph_names(query, default),
        from_named=_graph_names(query, named),
        has_dataset=bool(default or named),
        is_volatile=query.is_volatile or bool(called),
        services=_services(query, called),
        resources=query.resources_query() if query.form == "DESCRIBE" else "",
        is_monotone=query.is_monotone,
        graph_by_graph=any(block.by_itself for block in query.graph_blocks()),
        columns=query.in_order(variables) if query.star else (),
    )
    if re.search(r"\\[uU]", text):
        return plan.widened("it has \\u escapes, which the two parsers replace at different times")
    try:
        with bounded():
            shortened, lists = short_lists(query)
            tree = _syntax_tree(shortened, bool(called))
            visible = PatternCollector(PortableTerms(_constant_texts(query), lists), query.takes_some, unseen(tree))
            visible.query(tree)
        _compare(visible.services, called)
    except QueryRefusedError:
        raise
    except AnalysisTimeoutError:
        return plan.widened("its analysis took too long")
    except Exception as error:  # rdflib and pyparsing raise many kinds, bare Exception and RecursionError among them
        return plan.widened(f"its analysis failed: {type(error).__name__}: {str(error)[:200]}")
    whole = visible.whole
    return msgspec.structs.replace(
        plan,
        patterns=tuple(dict.fromkeys(visible.patterns)),
        bgps=(whole,) if whole else tuple(dict.fromkeys(visible.bgps)),
        joins=() if whole else tuple(dict.fromkeys(visible.joins)),
        walks=() if whole else tuple(dict.fromkeys(visible.walks)),
        others=() if whole else tuple(dict.fromkeys(visible.others)),
        samples=tuple(dict.fromkeys(visible.samples)) if plan.is_monotone and visible.can_be_sampled else (),
        seed=None if plan.is_monotone else visible.seed,
        graph_names=frozenset(visible.graph_names),
        graph_by_graph=plan.graph_by_graph
        or (bool(visible.graph_names) and any(block.has_values for block in query.graph_blocks())),
        path_ends=tuple(sorted(visible.path_ends)) if query.form != "DESCRIBE" and not visible.sees_any_triple else (),
    )


def _check(query: QueryText) -> tuple[list[Token], list[str]]:
    """Let the evaluator's parser accept the query, and refuse all that it would do besides answering.

    Returns:
        The token after each SERVICE, and the names of the result's variables; none where there is a SERVICE.
    """
    if query.is_update:
        raise UpdateRefusedError("this is a query endpoint: updates go to the ledger, not here")
    called = service_tokens(query)
    text = _calling_nobody(query, called)
    result = None
    try:
        result = pyoxigraph.Store().query(text)
    except SyntaxError as error:
        raise syntax_error(text, str(error), query.text) from None
    except RuntimeError as error:
        # The evaluator begins at once. Functions that it does not know come first, then the variables without a server.
        if not called or "service name" not in str(error):
            raise
    if not query.form:
        raise QueryRefusedError("the kind of query cannot be told from the text")
    if called or not isinstance(result, pyoxigraph.QuerySolutions):
        return called, []
    return called, [variable.value for variable in result.variables]


def _calling_nobody(query: QueryText, called: Sequence[Token]) -> str:
    """Replace the servers that the query calls by variables of the same length."""
    text = query.text
    for token in reversed(called):
        text = f"{text[: token.start]}?{'_' * max(len(token.text) - 1, 1)}{text[token.end :]}"
    return text


def _graph_names(query: QueryText, tokens: Sequence[Token]) -> tuple[str, ...]:
    if any(token.kind not in ("iri", "name") for token in tokens):
        raise QueryRefusedError("the FROM clauses cannot be read; write the IRIs of the graphs in full, in <…>")
    if not tokens:
        return ()
    return tuple(term.value for term in read_terms(query, tokens) if isinstance(term, pyoxigraph.NamedNode))


def _services(query: QueryText, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(term.value for term in read_terms(query, tokens))) if tokens else ()


def _compare(seen: frozenset[Identifier], called: Sequence[Token]) -> None:
    """Refuse a query in which rdflib finds another SERVICE than the lexer: the evaluator might call either."""
    if len(seen) > len({token.text for token in called}) or any(isinstance(term, Variable) for term in seen):
        raise QueryRefusedError(
            "SERVICE is refused: what it calls cannot be told for sure; write it apart from other words"
        )


def _constant_texts(query: QueryText) -> frozenset[str]:
    """Return the IRIs of the query, and the texts of its literals, as the evaluator reads them."""
    tokens = list({token.text: token for token in query.body if token.kind in ("iri", "name", "string")}.values())
    return _IMPLIED | {term.value for term in read_terms(query, tokens)}


def _syntax_tree(text: str, calls: bool) -> CompValue:
    """Parse with rdflib, and resolve prefixed names and paths.

    Args:
        text: The query's text.
        calls: Whether it has a SERVICE.
    """
    if calls:
        # rdflib looks for the first one again, and takes a "#" before it in its line for the beginning of a comment.
        first = next(token.start for token in QueryText(text).tokens if token.keyword == "SERVICE")
        text = f"{text[:first]}\n{text[first:]}"
    tree = parseQuery(text)
    prologue = translatePrologue(tree[0], None, None, None)
    query = traverse(tree[1], visitPost=partial(translatePName, prologue=prologue))
    resolved: CompValue = traverse(query, visitPost=translatePath)
    return resolved
