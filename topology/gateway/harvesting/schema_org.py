"""An offering as a ``Dataset`` of schema.org, which search engines read from its page (https://schema.org/Dataset)."""

from __future__ import annotations

from typing import Any

from topology.gateway.harvesting.datasets import Dataset, preferred


def as_dataset(dataset: Dataset, base: str) -> dict[str, Any]:
    """Return the JSON-LD of an offering.

    Args:
        dataset: The offering.
        base: The gateway's address, without a slash at its end.
    """
    found: dict[str, Any] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": dataset.iri,
        "url": dataset.page(base),
        "name": preferred(dataset.titles).text,
        "description": preferred(dataset.descriptions).text,
        "identifier": [one for one in (dataset.iri, dataset.listed.address) if one],
        "keywords": [one.text for one in dataset.keywords],
        "about": [{"@type": "DefinedTerm", "@id": iri, "name": name or iri} for iri, name in dataset.named_themes()],
        "license": dataset.licence or dataset.licence_text,
        "datePublished": dataset.issued,
        "creator": {"@type": "Organization", "name": dataset.publisher_name},
        "spatialCoverage": [{"@type": "Place", "@id": iri, "name": name or iri} for iri, name in dataset.places],
        "includedInDataCatalog": {"@type": "DataCatalog", "@id": f"{base}/catalog", "url": f"{base}/offerings"},
        "distribution": [
            {"@type": "DataDownload", "contentUrl": one.access_url, "encodingFormat": one.format}
            for one in dataset.distributions
        ],
    }
    return {name: value for name, value in found.items() if value}
