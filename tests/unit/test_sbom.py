"""The bill of materials of a release names what the wheel brings and needs, and nothing else."""

from __future__ import annotations

import json

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from catena_core.version import __version__
from tests.sbom import bill, needed


def test_bill_names_each_package_that_the_catalogue_needs_and_no_tool() -> None:
    names = {one["name"] for one in bill()["components"]}

    assert {"confluent-kafka", "pyoxigraph", "rdflib", "pyjwt", "cryptography", "redis", "werkzeug"} <= names
    assert {"@codemirror/state", "d3-force"} <= names
    assert names.isdisjoint({"pytest", "mypy", "catena-links", "esbuild"})


def test_bill_is_one_that_other_programs_read() -> None:
    model = pytest.importorskip("cyclonedx.model.bom")
    written = bill()
    read = model.Bom.from_json(json.loads(json.dumps(written)))

    assert read.metadata.component.name == "catena-links"
    assert {str(one.purl) for one in read.components} == {one["purl"] for one in written["components"]}
    assert len(read.components) == len(written["components"])


def test_bill_is_that_of_the_tree_not_of_an_older_installation() -> None:
    assert bill()["metadata"]["component"]["version"] == __version__


def test_needed_follows_extras_of_extras() -> None:
    assert canonicalize_name("cryptography") in needed(Requirement("pyjwt[crypto]"))
    assert canonicalize_name("cryptography") not in needed(Requirement("pyjwt"))
