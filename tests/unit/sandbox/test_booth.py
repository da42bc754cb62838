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
        assert set(record) == {"descriptionUri", "description_hash", "owner", "name"}
        assert (record["owner"], record["name"]) == (offering.owner, offering.iri.rpartition("/")[2])
        description = requests.get(record["descriptionUri"], timeout=10)
        assert description.headers["Content-Type"] == "application/json"
        assert not {"ETag", "Last-Modified"} & set(description.headers)
        assert description.content == offering.description
        assert hashlib.sha256(description.content).hexdigest() == record["description_hash"]


def test_addresses_are_found_in_any_case_of_their_letters(booth: Server) -> None:
    address = addresses(booth)[0]
    assert booth.get(f"offerings/{address.lower()}").json() == booth.get(f"offerings/{address}").json()


def test_an_address_that_is_not_listed_is_an_error_of_the_server_as_in_a_dlt_booth(booth: Server) -> None:
    answer = booth.get("offerings/0xunknown")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/descriptions/0xunknown"),
        ("DELETE", "/descriptions/0xunknown"),
        ("DELETE", "/api/offerings/0xunknown"),
        ("PUT", "/descriptions/0xunknown"),
    ],
)
def test_unknown_addresses_are_not_found(lenient_booth: Server, method: str, path: str) -> None:
    answer = lenient_booth.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {"status": "error", "message": "Nothing is listed at 0xunknown."}


def test_an_unchanged_description_is_not_sent_again(lenient_booth: Server) -> None:
    path = f"/descriptions/{addresses(lenient_booth)[0]}"
    etag = lenient_booth.get(path).headers["ETag"]
    for known in (etag, f'"other", {etag}', "*", f"W/{etag}"):
        answer = lenient_booth.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert lenient_booth.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_replaced_description_has_another_hash_and_tag(lenient_booth: Server) -> None:
    address, _ = listed(lenient_booth, seed=101)
    before = lenient_booth.get(f"/descriptions/{address}")
    assert lenient_booth.put(f"/descriptions/{address}", data=b'{"not": "yet valid"').status_code == 204
    after = lenient_booth.get(f"/descriptions/{address}", headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.content) == (200, b'{"not": "yet valid"')
    record = lenient_booth.get(f"offerings/{address}").json()
    assert record["description_hash"] == hashlib.sha256(after.content).hexdigest()
    assert addresses(lenient_booth).count(address) == 1


def test_a_delisted_offering_is_gone(lenient_booth: Server) -> None:
    address, _ = listed(lenient_booth, seed=102)
    assert address in addresses(lenient_booth)
    assert lenient_booth.delete(f"offerings/{address}").status_code == 204
    assert address not in addresses(lenient_booth)
    assert lenient_booth.get(f"offerings/{address}").status_code == 500
    assert lenient_booth.get(f"/descriptions/{address}").status_code == 404


def test_the_listing_only_grows_and_descriptions_change_at_no_address(booth: Server) -> None:
    address, _ = listed(booth, seed=105)
    assert booth.delete(f"offerings/{address}").status_code == 405
    assert booth.put(f"/descriptions/{address}", data=b"{}").status_code == 405


def test_a_description_that_was_taken_down_is_missing_though_listed_for_ever(booth: Server) -> None:
    address, _ = listed(booth, seed=106)
    assert booth.delete(f"/descriptions/{address}").status_code == 204
    assert booth.get(f"/descriptions/{address}").status_code == 404
    assert address in addresses(booth)
    assert booth.get(f"offerings/{address}").status_code == 200


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
    registration = {"descriptionUri": "http://elsewhere.example/d", "owner": "0x01", "name": "Elsewhere"}
    address = booth.post("offerings", json={**registration, "descriptionHash": "ab"}).json()["address"]
    assert booth.get(f"offerings/{address}").json() == {**registration, "description_hash": "ab"}
    assert booth.get(f"/descriptions/{address}").status_code == 404


def test_a_registration_needs_its_url_only(booth: Server) -> None:
    address = booth.post("offerings", json={"descriptionUri": "http://elsewhere.example/d/7"}).json()["address"]
    record = booth.get(f"offerings/{address}").json()
    assert (record["name"], record["owner"][:2], len(record["owner"])) == ("7", "0x", 42)


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
    answer = booth.post("offerings", data=b" " * 1_100_000)
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
