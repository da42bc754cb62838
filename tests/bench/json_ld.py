"""Scores the reader of descriptions by W3C's tests: ``python -m tests.bench.json_ld JSON-LD-API RDF-CANON``.

The arguments are checkouts of https://github.com/w3c/json-ld-api and https://github.com/w3c/rdf-canon. Tests that ask for an
option that Catena does not have are counted apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyoxigraph as ox

from catena_core.errors import RejectedError
from topology.rdf.json_ld import read_json_ld
from topology.rdf.offering_graph import check_symmetry

_HOME = "https://w3c.github.io/json-ld-api/tests/"
_CANONICAL = ox.CanonicalizationAlgorithm


class _Contexts(Mapping[str, Any]):
    """The files of the tests as contexts at hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, url: str) -> Any:
        path = self._folder / url.removeprefix(_HOME)
        if not url.startswith(_HOME) or not path.is_file():
            raise KeyError(url)
        return json.loads(path.read_text())

    def __iter__(self) -> Iterator[str]:
        return (f"{_HOME}{path.relative_to(self._folder)}" for path in self._folder.rglob("*.jsonld"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json_ld_api", type=Path)
    parser.add_argument("rdf_canon", type=Path)
    options = parser.parse_args()
    started = time.monotonic()
    print("JSON-LD 1.1 toRdf:", _score_json_ld(options.json_ld_api / "tests"))
    print("RDFC-1.0:", _score_canonical(options.rdf_canon / "tests"))
    print(f"{time.monotonic() - started:.1f} s")


def _score_json_ld(folder: Path) -> dict[str, int]:
    score: Counter[str] = Counter()
    for test in json.loads((folder / "toRdf-manifest.jsonld").read_text())["sequence"]:
        option = test.get("option", {})
        if "json-ld-1.0" in (option.get("specVersion"), option.get("processingMode")) or option.keys() & {
            "rdfDirection",
            "produceGeneralizedRdf",
        }:
            score["want another option"] += 1
            continue
        outcome = _json_ld_outcome(folder, test, option)
        score[outcome] += 1
        if outcome != "right":
            print(f"  {outcome}: {test['@id']} {test['name']}")
    return dict(score)


def _json_ld_outcome(folder: Path, test: dict[str, Any], option: dict[str, Any]) -> str:
    document = (folder / test["input"]).read_bytes()
    if "expandContext" in option:
        context = json.loads((folder / option["expandContext"]).read_text())["@context"]
        document = json.dumps({"@context": context, "@graph": [json.loads(document)]}).encode()
    is_refusal = "jld:NegativeEvaluationTest" in test["@type"]
    try:
        found = read_json_ld(document, option.get("base") or _HOME + test["input"], _Contexts(folder)).quads
    except RejectedError:
        return "right" if is_refusal else "refused without need"
    if is_refusal:
        return "read, though wrong"
    if "expect" not in test:
        return "right"
    expected = ox.parse((folder / test["expect"]).read_bytes(), format=ox.RdfFormat.N_QUADS)
    return "right" if _canonical(found) == _canonical(expected) else "wrong"


def _score_canonical(folder: Path) -> dict[str, int]:
    score: Counter[str] = Counter()
    for test in json.loads((folder / "manifest.jsonld").read_text())["entries"]:
        if test["type"] == "rdfc:RDFC10MapTest":
            continue
        dataset = ox.Dataset(ox.parse((folder / test["action"]).read_bytes(), format=ox.RdfFormat.N_QUADS))
        is_refusal = test["type"] == "rdfc:RDFC10NegativeEvalTest"
        try:
            check_symmetry(dataset)
        except RejectedError:
            score["right" if is_refusal else "refused on purpose"] += 1
            continue
        by_sha_384 = test.get("hashAlgorithm") == "SHA384"
        dataset.canonicalize(_CANONICAL.RDFC_1_0_SHA_384 if by_sha_384 else _CANONICAL.RDFC_1_0)
        written = ox.serialize(dataset, format=ox.RdfFormat.N_QUADS) or b""
        expected = b"" if is_refusal else (folder / test["result"]).read_bytes()
        score["right" if sorted(written.splitlines()) == sorted(expected.splitlines()) else "wrong"] += 1
    return dict(score)


def _canonical(quads: Any) -> ox.Dataset:
    dataset = ox.Dataset(quads)
    dataset.canonicalize(_CANONICAL.RDFC_1_0)
    return dataset


if __name__ == "__main__":
    main()
