"""DESCRIBE, the one form that needs data beyond its patterns.

The description of a resource is its concise bounded description (https://www.w3.org/Submission/CBD/), without reified
statements: the triples of the default graph with the resource as subject, and the same for every blank node met as an object.
"""

from __future__ import annotations

import re

from federation.analysis.plan import ANY_NAMED_GRAPH, DEFAULT_GRAPH, Pattern
from federation.evaluation.pool import Result
from federation.execution import QueryExecution
from federation.fetching.hedging import Reselected
from federation.fetching.merge import skolem_suffix

_TSV = "text/tab-separated-values"
_MOST_RESOURCES = 1000
_NAMED_ONLY = re.compile(
    r"SELECT ((?:\(<(?:https?://|urn:)[^<>\"{}|^`\\\x00-\x20]+> AS \?described_\d+_\)\s*)+)\{\}\s*$"
)
_IRI = re.compile(r"<[^<>\"{}|^`\\\x00-\x20]+>")


def describe(execution: QueryExecution, text: str, media_type: str) -> Result | Reselected:
    """Answer a DESCRIBE query.

    Args:
        execution: The query over the selected nodes.
        text: The query.
        media_type: The format of the answer.

    Returns:
        The description, or ``Reselected`` when the query has to start again from other nodes.

    Raises:
        SourceFailedError: Some nodes did not answer.
        QueryRefusedError: The query cannot be evaluated, or not within the limits.
        QueryTimeoutError: The answer took too long.
    """
    resources = _named(execution.plan.resources) or _found(execution)
    if isinstance(resources, Reselected):
        return resources

    # The description consists of the triples fetched for the resources; the query itself is not evaluated again: with more
    # triples around, a LIMIT without an order could choose other resources. Each round asks for all of them once more, so that
    # each node answers the last one, which finds nothing new, from one state.
    described: set[str] = set()
    while "" not in resources and len(described | resources) <= _MOST_RESOURCES:
        described |= resources
        description = execution.fetch(Pattern(DEFAULT_GRAPH, resource) for resource in sorted(described))
        if isinstance(description, Reselected):
            return description
        description.retain(described)
        resources = {_asked_for(execution, f"_:{label}") for label in description.blank_objects()} - described
        if not resources:
            return execution.evaluate("CONSTRUCT WHERE { ?s ?p ?o }", description, media_type)

    everything = execution.fetch((Pattern(DEFAULT_GRAPH), Pattern(ANY_NAMED_GRAPH)), {ANY_NAMED_GRAPH})
    if isinstance(everything, Reselected):
        return everything
    return execution.evaluate(text, everything, media_type)


def _named(query: str) -> set[str]:
    """Return the resources of a query that lists nothing but full IRIs, which needs no evaluation."""
    named = _NAMED_ONLY.search(query)
    return set(_IRI.findall(named[1])) if named else set()


def _found(execution: QueryExecution) -> set[str] | Reselected:
    merged = execution.fetch_for_query()
    if isinstance(merged, Reselected):
        return merged
    found = execution.evaluate(execution.plan.resources, merged, _TSV).whole().decode()
    terms = {term for line in found.split("\n")[1:] for term in line.split("\t") if term.startswith(("<", "_:"))}
    return {_asked_for(execution, term) for term in terms}


def _asked_for(execution: QueryExecution, term: str) -> str:
    """Return the IRI, in angle brackets, by which the nodes know a resource.

    It is empty for resources that subqueries cannot name: the nodes' own blank nodes, and invalid IRIs in their data.
    """
    if term.startswith("_:"):
        suffix = skolem_suffix(term[2:])
        term = "" if suffix is None else f"<{execution.backend.skolem}{suffix}>"
    return term if _IRI.fullmatch(term) else ""
