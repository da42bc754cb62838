"""The sandbox's DLT-Booth and provider, over HTTP."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import requests

from sandbox.made_up_offerings import SandboxOffering, generate
from tests.unit.sandbox.conftest import Server, started

JSON_LD = {"Content-Type": "application/ld+json"}


def addresses(booth: Server) -> list[str]:
    found: list[str] = booth.get("offerings").json()["addresses"]
    return found


def listed(booth: Server, seed: int) -> tuple[str, SandboxOffering]:
    """Another offering put on the ledger, and its address there."""
    offering = generate(1, seed)[0]
    answer = booth.post("offerings", data=offering.description, headers=JSON_LD)
    assert answer.status_code == 201
    return answer.json()["address"], offering


def test_it_prints_where_it_is(booth: Server) -> None:
    assert re.fullmatch(r"booth http://127\.0\.0\.1:\d+/api\n", booth.announcement)


def test_offerings_are_listed_in_order(booth: Server) -> None:
    assert addresses(booth)[:12] == [offering.address for offering in generate(12, seed=7)]


def test_a_record_leads_to_the_description_that_it_gives_the_hash_of(booth: Server) -> None:
    for offering in generate(12, seed=7):
        record = booth.get(f"offerings/{offering.address}").json()
        assert set(record) == {"address", "descriptionUri", "descriptionHash", "owner", "name"}
        assert (record["address"], record["owner"], record["name"]) == (offering.address, offering.owner, offering.name)
        description = requests.get(record["descriptionUri"], timeout=10)
        assert description.headers["Content-Type"] == "application/ld+json"
        assert description.content == offering.description
        assert hashlib.sha256(description.content).hexdigest() == record["descriptionHash"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/offerings/0xunknown"),
        ("GET", "/descriptions/0xunknown"),
        ("DELETE", "/api/offerings/0xunknown"),
        ("PUT", "/descriptions/0xunknown"),
    ],
)
def test_unknown_addresses_are_not_found(booth: Server, method: str, path: str) -> None:
    answer = booth.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {"status": "error", "message": "Nothing is listed at 0xunknown."}


def test_an_unchanged_description_is_not_sent_again(booth: Server) -> None:
    path = f"/descriptions/{addresses(booth)[0]}"
    etag = booth.get(path).headers["ETag"]
    for known in (etag, f'"other", {etag}', "*", f"W/{etag}"):
        answer = booth.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert booth.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_replaced_description_has_another_hash_and_tag(booth: Server) -> None:
    address, _ = listed(booth, seed=101)
    before = booth.get(f"/descriptions/{address}")
    assert booth.put(f"/descriptions/{address}", data=b'{"not": "yet valid"').status_code == 204
    after = booth.get(f"/descriptions/{address}", headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.content) == (200, b'{"not": "yet valid"')
    record = booth.get(f"offerings/{address}").json()
    assert record["descriptionHash"] == hashlib.sha256(after.content).hexdigest()
    assert addresses(booth).count(address) == 1


def test_a_delisted_offering_is_gone(booth: Server) -> None:
    address, _ = listed(booth, seed=102)
    assert address in addresses(booth)
    assert booth.delete(f"offerings/{address}").status_code == 204
    assert address not in addresses(booth)
    assert booth.get(f"offerings/{address}").status_code == 404
    assert booth.get(f"/descriptions/{address}").status_code == 404


def test_a_new_offering_is_listed_as_it_came(booth: Server) -> None:
    address, offering = listed(booth, seed=103)
    record = booth.get(f"offerings/{address}").json()
    assert (address, record["owner"], record["name"]) == (offering.address, offering.owner, offering.name)
    assert booth.get(f"/descriptions/{address}").content == offering.description


def test_the_same_offering_listed_twice_has_two_addresses(booth: Server) -> None:
    (first, _), (second, _) = listed(booth, seed=104), listed(booth, seed=104)
    assert first != second
    assert booth.get(f"/descriptions/{first}").content == booth.get(f"/descriptions/{second}").content


def test_an_offering_may_be_described_elsewhere(booth: Server) -> None:
    registration = {"descriptionUri": "http://elsewhere.example/d", "owner": "did:x:1", "name": "Elsewhere"}
    address = booth.post("offerings", json=registration).json()["address"]
    assert booth.get(f"offerings/{address}").json() == {**registration, "address": address, "descriptionHash": ""}
    assert booth.get(f"/descriptions/{address}").status_code == 404
    assert booth.put(f"/descriptions/{address}", data=b"{}").status_code == 404
    assert booth.delete(f"offerings/{address}").status_code == 204


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{", "application/ld+json", "Not JSON-LD"),
        (b"{}", "application/ld+json", "one sedimark:Offering, not 0"),
        (
            b'{"@graph": [{"@id": "a:1", "@type": "T"}, {"@id": "a:2", "@type": "T"}]}'.replace(
                b'"T"', b'"https://w3id.org/sedimark/ontology#Offering"'
            ),
            "application/ld+json",
            "one sedimark:Offering, not 2",
        ),
        (b'{"owner": "x"}', "application/json", "Not a registration"),
    ],
)
def test_what_is_no_offering_is_not_listed(booth: Server, body: bytes, content_type: str, message: str) -> None:
    before = addresses(booth)
    answer = booth.post("offerings", data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert addresses(booth) == before


def test_descriptions_are_bounded(booth: Server) -> None:
    answer = booth.put(f"/descriptions/{addresses(booth)[0]}", data=b" " * 1_100_000)
    assert (answer.status_code, answer.json()["status"]) == (413, "error")


def test_other_paths_and_methods_are_refused_in_json(booth: Server) -> None:
    assert booth.get("/nothing").json()["status"] == "error"
    refused = booth.put("offerings")
    assert (refused.status_code, refused.json()["status"], set(refused.headers["Allow"].split(","))) == (
        405,
        "error",
        {"GET", "HEAD", "POST"},
    )


def test_health_and_profile(booth: Server) -> None:
    assert booth.get("/health").json() == {"status": "healthy"}
    assert booth.get("/profile").json() == {"name": "Sandbox provider"}


def test_a_booth_with_a_file_and_a_catalogue_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "offerings.jsonld"
    made = generate(3, seed=9)
    file.write_text(json.dumps([json.loads(offering.description) for offering in made]))
    options = ("--offerings", str(file), "--catalogue-url", "http://own.example/catalogue", "--provider", "Own")
    with started("booth", *options) as booth:
        assert sorted(addresses(booth)) == sorted(offering.address for offering in made)
        assert booth.get("/profile").json() == {"name": "Own", "catalogue_url": "http://own.example/catalogue"}


def test_descriptions_are_linked_to_where_others_reach_them() -> None:
    with started("booth", "--count", "1", "--public-url", "http://booth.example:8085/") as booth:
        assert booth.announcement == "booth http://booth.example:8085/api\n"
