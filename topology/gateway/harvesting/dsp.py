"""Offerings in the messages of the Dataspace Protocol 2025-1 (https://w3id.org/dspace/2025/1/), catalogue part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from topology.gateway.harvesting.datasets import ODRL, RDF, Dataset, Graph, Term

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
VERSIONS = {"protocolVersions": [{"version": "2025-1", "path": "/", "binding": "HTTPS"}]}
"""The answer at ``/.well-known/dspace-version``."""

_XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"
# As the protocol's schema has them.
_OPERATORS = frozenset(
    (
        "eq",
        "gt",
        "gteq",
        "hasPart",
        "isA",
        "isAllOf",
        "isAnyOf",
        "isNoneOf",
        "isPartOf",
        "lt",
        "lteq",
        "neq",
        "term-lteq",
    )
)
_MOST_NESTED_ACTIONS = 3
_RULES = {name: f"{ODRL}{name}" for name in ("permission", "prohibition", "obligation")}


class _InexpressibleError(ValueError):
    """A contract says something that the protocol's schema has no place for."""


def catalogue_message(base: str, datasets: Iterable[Dataset]) -> dict[str, Any]:
    """Return a catalogue, of the offerings that the protocol has words for.

    Args:
        base: The gateway's address, without a slash at its end.
        datasets: The offerings.
    """
    found = [one for one in map(dataset_message, datasets) if one is not None]
    message: dict[str, Any] = {
        "@context": [CONTEXT],
        "@id": f"{base}/catalog",
        "@type": "Catalog",
        "participantId": base,
        "service": [{"@id": f"{base}/", "@type": "DataService", "endpointURL": base}],
    }
    return message | ({"dataset": found} if found else {})


def dataset_message(dataset: Dataset) -> dict[str, Any] | None:
    """Return an offering as a dataset.

    Returns:
        The dataset; ``None`` without a way to the data, or without a contract that the protocol can express. To leave a
        constraint out would offer more than its provider does.
    """
    try:
        policy = _offer(dataset)
    except _InexpressibleError:
        return None
    if policy is None or not dataset.distributions:
        return None
    return {
        "@id": dataset.iri,
        "@type": "Dataset",
        "dct:title": _texts(dataset.titles),
        "dct:description": _texts(dataset.descriptions),
        "dcat:keyword": _texts(dataset.keywords),
        "hasPolicy": [policy],
        "distribution": [
            {
                "@type": "Distribution",
                "format": one.format or "HttpData",
                "accessService": {
                    "@id": one.iri or one.access_url,
                    "@type": "DataService",
                    "endpointURL": one.access_url,
                },
            }
            for one in dataset.distributions
        ],
    }


def error_message(code: int, reason: str) -> dict[str, Any]:
    """Return an error of the protocol."""
    return {"@context": [CONTEXT], "@type": "CatalogError", "code": str(code), "reason": [reason]}


def _texts(terms: Iterable[Term]) -> list[dict[str, str]]:
    return [{"@value": one.text, **({"@language": one.lang} if one.lang else {})} for one in terms]


def _offer(dataset: Dataset) -> dict[str, Any] | None:
    graph, contract = dataset.graph, dataset.contract
    if contract is None:
        return None
    rules = {
        name: [_rule(graph, rule, may_have_duty=name == "permission") for rule in graph.values(contract, predicate)]
        for name, predicate in _RULES.items()
    }
    rules = {name: found for name, found in rules.items() if found}
    if not rules.keys() & {"permission", "prohibition"}:
        return None
    iri = contract.iri if contract.type == "uri" and contract.iri else f"{dataset.iri}#contract"
    profile = [one.text for one in graph.values(contract, f"{ODRL}profile")]
    return {"@id": iri, "@type": "Offer", **({"profile": profile} if profile else {}), **rules}


def _rule(graph: Graph, rule: Term, *, may_have_duty: bool = False) -> dict[str, Any]:
    actions = graph.values(rule, f"{ODRL}action")
    if len(actions) != 1:
        raise _InexpressibleError
    action, constraints = actions[0], graph.values(rule, f"{ODRL}constraint")
    # An action with refinements is a node of its own. Its refinements narrow the action as constraints narrow the rule.
    for _ in range(_MOST_NESTED_ACTIONS):
        inner = graph.values(action, f"{ODRL}action", f"{RDF}value")
        if len(inner) > 1 or (not inner and action.type == "bnode"):
            raise _InexpressibleError
        if inner:
            constraints += graph.values(action, f"{ODRL}refinement")
            action = inner[0]
    if action.type == "bnode":
        raise _InexpressibleError
    found: dict[str, Any] = {"action": _short(action.text)}
    if constraints:
        found["constraint"] = [_constraint(graph, one) for one in constraints]
    duties = graph.values(rule, f"{ODRL}duty") if may_have_duty else []
    if duties:
        found["duty"] = [_rule(graph, one) for one in duties]
    return found


def _constraint(graph: Graph, constraint: Term) -> dict[str, Any]:
    left, operator, right = (
        graph.values(constraint, f"{ODRL}{name}") for name in ("leftOperand", "operator", "rightOperand")
    )
    if not (len(left) == len(operator) == 1 and right):
        raise _InexpressibleError
    name = _short(operator[0].text)
    if name not in _OPERATORS:
        raise _InexpressibleError
    values = list(map(_operand, right))
    return {
        "leftOperand": _short(left[0].text),
        "operator": name,
        "rightOperand": values if len(values) > 1 else values[0],
    }


def _operand(term: Term) -> Any:
    if term.type == "literal" and term.datatype not in ("", _XSD_STRING):
        return {"@value": term.text, "@type": term.datatype}
    return term.text


def _short(name: str) -> str:
    """Return a term of ODRL by its name, as the protocol's context has it; others as they are."""
    return name.removeprefix(ODRL).removeprefix("odrl:")
