"""The catalogue as connectors of a data space read it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from federation.engine import Engine
from sandbox.made_up_offerings import generate
from tests.helpers.catalogue import REQUEST
from tests.helpers.gateway import Serving
from topology.gateway.api.app import create_app
from topology.gateway.harvesting import dsp


class TestDataspace:
    def test_request_gets_the_offerings_that_have_a_contract_and_a_way(self, harvested: Serving) -> None:
        response = harvested.client.post("/catalog/request", json=REQUEST)
        message = response.get_json()

        assert (message["@type"], message["@context"]) == ("Catalog", [dsp.CONTEXT])
        assert {one["@id"] for one in message["dataset"]} == {one.iri for one in generate(3)}
        for dataset in message["dataset"]:
            assert dataset["hasPolicy"][0]["permission"][0]["action"] == "use"
            assert dataset["distribution"][0]["accessService"]["endpointURL"].startswith("https://")

    def test_request_gets_pages_with_links_by_the_protocols_names(self, harvested: Serving) -> None:
        response = harvested.client.post("/catalog/request?limit=2&offset=2", json=REQUEST)

        assert response.headers["Link"] == ('<?limit=2&offset=0>; rel="previous", <?limit=2&offset=4>; rel="next"')

    def test_request_may_bring_vocabularies_of_its_own(self, harvested: Serving) -> None:
        body = {**REQUEST, "@context": [dsp.CONTEXT, {"edc": "https://w3id.org/edc/v0.0.1/ns/"}]}

        assert harvested.client.post("/catalog/request", json=body).get_json()["@type"] == "Catalog"

    @pytest.mark.parametrize(
        "body",
        [
            [],
            {},
            {**REQUEST, "@type": "ContractRequestMessage"},
            {**REQUEST, "@context": ["https://w3id.org/dspace/2024/1/context.json"]},
            {**REQUEST, "@context": dsp.CONTEXT},
            {**REQUEST, "filter": ["anything"]},
            {**REQUEST, "filter": {"offset": 0}},
        ],
    )
    def test_request_that_is_none_gets_an_error_of_the_protocol(self, harvested: Serving, body: Any) -> None:
        response = harvested.client.post("/catalog/request", json=body)

        assert response.status_code == 400
        assert response.get_json()["@type"] == "CatalogError"
        assert response.get_json()["reason"]

    def test_dataset_is_found_by_its_iri_and_by_its_address(self, harvested: Serving) -> None:
        made_up = generate(1)[0]

        for identifier in (quote(made_up.iri, safe=""), made_up.iri, made_up.address):
            message = harvested.client.get(f"/catalog/datasets/{identifier}").get_json()
            assert (message["@id"], message["@context"]) == (made_up.iri, [dsp.CONTEXT])
        missing = harvested.client.get("/catalog/datasets/0xb")
        assert (missing.status_code, missing.get_json()["@type"]) == (404, "CatalogError")

    def test_dataset_that_cannot_be_read_now_is_not_told_to_be_gone(self, serving: Serving, many: Serving) -> None:
        for site, identifier, reason in (
            (serving, "0xb", "no node that holds 0xb answers: c"),
            (serving, "https://p.example/2", "no node that holds https://p.example/2 answers: c"),
            (many, "0x01", "no node holds 0x01 yet"),
        ):
            response = site.client.get(f"/catalog/datasets/{identifier}")
            assert (response.status_code, response.get_json()["@type"]) == (503, "CatalogError")
            assert response.get_json()["reason"][0].startswith(reason)
            assert response.headers["Retry-After"]

    @pytest.mark.parametrize(("partial_answers", "status"), [(True, 200), (False, 503)])
    def test_request_while_offerings_may_be_missing_is_answered_as_the_operator_says(
        self, engine: Engine, serving: Serving, partial_answers: bool, status: int
    ) -> None:
        app = create_app(engine, serving.directory, lambda: serving.view, partial_answers=partial_answers)

        assert app.test_client().post("/catalog/request", json=REQUEST).status_code == status

    def test_dataset_that_the_protocol_has_no_words_for_says_so(self, serving: Serving) -> None:
        response = serving.client.get("/catalog/datasets/0xa")

        assert response.status_code == 404
        assert "no contract that this protocol can express" in response.get_json()["reason"][0]

    def test_versions_are_told(self, harvested: Serving) -> None:
        (version,) = harvested.client.get("/.well-known/dspace-version").get_json()["protocolVersions"]

        assert version == {"version": "2025-1", "path": "/", "binding": "HTTPS"}
