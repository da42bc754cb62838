"""Contracts in the words of the Dataspace Protocol: said exactly, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.datasets import dataset_from
from topology.gateway.harvesting.dsp import dataset_message

IRI = "https://p.example/1"
HEAD = """
@prefix : <https://p.example/> . @prefix dct: <http://purl.org/dc/terms/> . @prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix s: <https://w3id.org/sedimark/ontology#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
:1 a s:Offering ; dct:title "one" ; s:hasAsset :asset ; s:hasOfferingContract :contract .
:asset s:isProvidedBy :way . :way dcat:endpointURL "https://p.example/data"^^xsd:anyURI .
"""


def message(contract: str, more: str = "") -> dict[str, Any] | None:
    """Return the message about an offering with this contract."""
    dataset = dataset_from(HEAD + f":contract {contract} . {more}", IRI)
    assert dataset is not None
    return dataset_message(dataset)


def test_contract_with_constraints_and_duties_is_said_in_full() -> None:
    found = message(
        """odrl:permission [ odrl:action odrl:use ;
             odrl:constraint [ odrl:leftOperand odrl:spatial ; odrl:operator odrl:isAnyOf ; odrl:rightOperand :a, :b ] ;
             odrl:duty [ odrl:action [ odrl:action odrl:compensate ; odrl:refinement
               [ odrl:leftOperand odrl:payAmount ; odrl:operator odrl:eq ; odrl:rightOperand 2.5 ] ] ] ]"""
    )

    assert found is not None
    (offer,) = found["hasPolicy"]
    assert (offer["@id"], offer["@type"]) == ("https://p.example/contract", "Offer")
    amount = {"@value": "2.5", "@type": "http://www.w3.org/2001/XMLSchema#decimal"}
    assert offer["permission"] == [
        {
            "action": "use",
            "constraint": [
                {
                    "leftOperand": "spatial",
                    "operator": "isAnyOf",
                    "rightOperand": ["https://p.example/a", "https://p.example/b"],
                }
            ],
            "duty": [
                {
                    "action": "compensate",
                    "constraint": [{"leftOperand": "payAmount", "operator": "eq", "rightOperand": amount}],
                }
            ],
        }
    ]
    (way,) = found["distribution"]
    assert way["accessService"]["endpointURL"] == "https://p.example/data"


@pytest.mark.parametrize(
    "contract",
    [
        "a s:OfferingContract",
        "odrl:obligation [ odrl:action odrl:attribute ]",
        "odrl:permission [ odrl:target :1 ]",
        "odrl:permission [ odrl:action odrl:use, odrl:sell ]",
        "odrl:permission [ odrl:action odrl:use ; odrl:constraint [ odrl:and ( [] [] ) ] ]",
        "odrl:permission [ odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand :x ; odrl:operator :own ; "
        "odrl:rightOperand 1 ] ]",
        "odrl:permission [ odrl:action odrl:use ; odrl:constraint [ odrl:leftOperand :x ; odrl:operator odrl:eq ] ]",
        "odrl:permission [ odrl:action [] ]",
        "odrl:permission [ odrl:action [ odrl:action [ odrl:action [ odrl:action [ odrl:action odrl:use ] ] ] ] ]",
    ],
)
def test_contract_that_the_protocol_cannot_express_is_left_out(contract: str) -> None:
    assert message(contract) is None


def test_contract_that_goes_in_circles_ends() -> None:
    circle = ":c odrl:action :d . :d odrl:action :c ."

    assert message("odrl:permission [ odrl:action :c ]", circle) is not None
    assert message("odrl:permission _:p", "_:p odrl:action odrl:use ; odrl:duty _:p .") is not None
