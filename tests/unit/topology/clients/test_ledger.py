"""The ledger's door: what it lists and says is taken as it is meant, and nonsense is told from silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.odd_server import OddServer, closed_port, saying, saying_json
from tests.helpers.sandbox_servers import Sandbox
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.ledger import Ledger, LedgerEntry, NotListedError

WHOLE = {"descriptionUri": "https://p.example/d", "descriptionHash": "ab", "owner": "0x1", "name": "One"}


@pytest.fixture
def ledger(server: OddServer) -> Ledger:
    return Ledger(f"{server.url}/api", WebClient(5, 1_000_000))


def lists(server: OddServer, content: Any) -> None:
    server.answers["/api/offerings"] = saying_json(content)


def says(server: OddServer, content: Any, address: str = "0xa") -> None:
    server.answers[f"/api/offerings/{address}"] = saying_json(content)


def test_a_booth_s_listing_and_entries(booth: Sandbox) -> None:
    ledger = Ledger(booth.url, WebClient(5))

    addresses = ledger.addresses().addresses
    entry = ledger.entry(addresses[0])

    assert len(addresses) == len(set(addresses)) == 3
    assert entry.description_uri == f"{booth.origin}/descriptions/{addresses[0]}"
    assert entry.owner and entry.name and len(entry.description_hash) == 64


def test_an_address_listed_twice_counts_once_and_the_order_is_the_ledger_s(server: OddServer, ledger: Ledger) -> None:
    lists(server, {"addresses": ["b", "a", "b", "c", "a"]})

    assert ledger.addresses().addresses == ["b", "a", "c"]


def test_entries_that_are_no_addresses_are_left_out_and_counted(server: OddServer, ledger: Ledger) -> None:
    lists(server, {"addresses": ["", "x" * 256, "y" * 257, None, 7, ["a"], {"a": 1}, "x" * 256]})

    assert ledger.addresses() == (["x" * 256], 6)


@pytest.mark.parametrize(
    "junk",
    [
        b"1e999",
        b"-" + b"9" * 5000,
        rb'"\ud800"',
        b'"\xff"',
        b'"a\nb"',
        rb'"a\u0000b"',
        b'" "',
        b'".."',
        b"NaN",
        b"[" * 50 + b"]" * 50,
    ],
)
def test_an_entry_that_stricter_readers_refuse_costs_itself_alone(
    server: OddServer, ledger: Ledger, junk: bytes
) -> None:
    server.answers["/api/offerings"] = saying(b'{"addresses": ["a", ' + junk + b', "b"]}')

    assert ledger.addresses() == (["a", "b"], 1)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'\xef\xbb\xbf{"descriptionUri": "https://p.example/d", "name": "N"}', "N"),
        (rb'{"descriptionUri": "https://p.example/d", "name": "a\ud800b"}', "a?b"),
        (rb'{"descriptionUri": "https://p.example/d", "name": "a", "\ud800": 1}', "a"),
        (b'{"descriptionUri": "https://p.example/d", "name": "a\x01\nb"}', r"a\x01\nb"),
        ('{"descriptionUri": "https://p.example/d", "name": "gpj\u202efdp.exe"}'.encode(), r"gpj\u202efdp.exe"),
        (b'{"descriptionUri": "https://p.example/d", "name": "a\xffb"}', "a\ufffdb"),
        (b'{"descriptionUri": "https://p.example/d", "price": NaN}', ""),
        (b'{"descriptionUri": "https://p.example/d", "price": 1e999}', ""),
        (b'{"descriptionUri": "https://p.example/d", "price": -' + b"9" * 5000 + b"}", ""),
    ],
)
def test_a_member_of_an_entry_that_stricter_readers_refuse_costs_itself_alone(
    server: OddServer, ledger: Ledger, body: bytes, name: str
) -> None:
    server.answers["/api/offerings/0xa"] = saying(body)

    assert ledger.entry("0xa") == LedgerEntry("https://p.example/d", name=name)


def test_an_address_listed_in_other_letters_counts_once(server: OddServer, ledger: Ledger) -> None:
    first, other = "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77"
    lists(server, {"addresses": [first, other, first.lower(), "Ab", "aB"]})

    assert ledger.addresses() == ([first, other, "Ab", "aB"], 0)


@pytest.mark.parametrize("field", ["descriptionHash", "description_hash"])
def test_a_hash_is_read_by_both_names_of_its_field(server: OddServer, ledger: Ledger, field: str) -> None:
    entry = {name: value for name, value in WHOLE.items() if name != "descriptionHash"}
    says(server, {**entry, field: "cd"})

    assert ledger.entry("0xa").description_hash == "cd"


def test_fields_that_are_not_known_do_not_matter(server: OddServer, ledger: Ledger) -> None:
    lists(server, {"addresses": ["a"], "total": 1, "next": None})
    says(server, {**WHOLE, "block": {"height": 5}})

    assert ledger.addresses().addresses == ["a"]
    assert ledger.entry("0xa").name == "One"


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"addresses": None},
        {"addresses": "a"},
        {"addresses": [1]},
        {"addresses": [None]},
        {"addresses": {"a": 1}},
    ],
)
def test_a_listing_in_another_shape_is_not_taken_for_an_empty_one(
    server: OddServer, ledger: Ledger, content: Any
) -> None:
    """An empty listing removes every offering, so nothing is guessed."""
    lists(server, content)

    with pytest.raises(WebError, match="something else than expected"):
        ledger.addresses()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"addresses": [', b'{"addresses": ["\xff"]}', b"[" * 200_000])
def test_a_listing_that_is_no_json_is_an_error(server: OddServer, ledger: Ledger, body: bytes) -> None:
    server.answers["/api/offerings"] = saying(body)

    with pytest.raises(WebError, match="something else than expected"):
        ledger.addresses()


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
def test_a_listing_with_another_status_is_an_error(server: OddServer, ledger: Ledger, status: int) -> None:
    body = b"" if status == 204 else b'{"addresses": []}'
    server.answers["/api/offerings"] = saying(body, status)

    with pytest.raises(WebError, match=f"status {status}"):
        ledger.addresses()


def test_a_listing_that_is_too_large_is_refused(server: OddServer, ledger: Ledger) -> None:
    server.answers["/api/offerings"] = server.endless

    with pytest.raises(UnsafeError):
        ledger.addresses()


def test_a_booth_that_is_away_is_an_error() -> None:
    with pytest.raises(WebError):
        Ledger(f"http://127.0.0.1:{closed_port()}/api", WebClient(5)).addresses()


def test_an_entry_s_fields(server: OddServer, ledger: Ledger) -> None:
    says(server, WHOLE)

    assert ledger.entry("0xa") == LedgerEntry("https://p.example/d", "ab", "0x1", "One")


@pytest.mark.parametrize(
    "absent",
    [
        {},
        {"descriptionHash": None, "owner": None, "name": None},
        {"description_hash": 5, "owner": {"id": "0xa"}, "name": ["a", 1.5]},
    ],
)
def test_what_an_entry_leaves_out_or_has_as_anything_but_a_text_is_empty(
    server: OddServer, ledger: Ledger, absent: Any
) -> None:
    says(server, {"descriptionUri": "https://p.example/d", **absent})

    assert ledger.entry("0xa") == LedgerEntry("https://p.example/d", "", "", "")


@pytest.mark.parametrize(
    "content",
    [{}, {"descriptionUri": None}, {"description_uri": "https://p.example/d"}, [WHOLE], "text"],
)
def test_an_entry_in_another_shape_is_an_error(server: OddServer, ledger: Ledger, content: Any) -> None:
    says(server, content)

    with pytest.raises(WebError, match="something else than expected"):
        ledger.entry("0xa")


def test_an_address_without_an_entry_is_not_listed(ledger: Ledger) -> None:
    with pytest.raises(NotListedError, match="not known to the ledger"):
        ledger.entry("0xa")


def test_an_address_that_a_dlt_booth_does_not_know_is_not_listed(server: OddServer, ledger: Ledger) -> None:
    body = json.dumps({"error": "Other error: execution reverted\x1b[2J"}).encode()
    server.answers["/api/offerings/0xa"] = saying(body, 500, Content_Type="text/html; charset=utf-8")

    with pytest.raises(NotListedError, match="execution reverted") as failed:
        ledger.entry("0xa")
    assert str(failed.value).isprintable()


def test_the_sandbox_s_booth_says_so_too(booth: Sandbox) -> None:
    with pytest.raises(NotListedError):
        Ledger(booth.url, WebClient(5)).entry("0x0000000000000000000000000000000000000000")


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"error": 5}', b"[]", b""])
def test_a_page_of_a_broken_booth_says_nothing_about_being_listed(
    server: OddServer, ledger: Ledger, body: bytes
) -> None:
    server.answers["/api/offerings/0xa"] = saying(body, 500, Content_Type="text/html")

    with pytest.raises(WebError) as failed:
        ledger.entry("0xa")
    assert not isinstance(failed.value, NotListedError)


def test_names_and_owners_of_strangers_are_cut(server: OddServer, ledger: Ledger) -> None:
    says(server, {**WHOLE, "name": "n" * 5000, "owner": "o" * 5000})

    entry = ledger.entry("0xa")

    assert (len(entry.name), len(entry.owner)) == (500, 500)


def test_an_endless_uri_is_refused(server: OddServer, ledger: Ledger) -> None:
    says(server, {**WHOLE, "descriptionUri": "http://p.example/" + "d" * 5000})

    with pytest.raises(UnsafeError, match="more than 4096 characters"):
        ledger.entry("0xa")


def test_another_status_says_nothing_about_being_listed(server: OddServer, ledger: Ledger) -> None:
    server.answers["/api/offerings/0xa"] = saying(json.dumps(WHOLE).encode(), 500)

    with pytest.raises(WebError) as failed:
        ledger.entry("0xa")
    assert not isinstance(failed.value, NotListedError)


@pytest.mark.parametrize("address", ["a/b", "a b", "a?b=c", "a#b", "ä", "a%2Fb", "\x00"])
def test_any_address_stays_one_step_of_the_path(server: OddServer, ledger: Ledger, address: str) -> None:
    with pytest.raises(NotListedError):
        ledger.entry(address)

    (asked,) = server.asked
    assert asked.path.startswith("/api/offerings/")
    assert not set("/?# ") & set(asked.path.removeprefix("/api/offerings/"))


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [("descriptions/1", "/api/descriptions/1"), ("/descriptions/1", "/descriptions/1"), ("../d", "/d")],
)
def test_a_relative_description_is_the_booth_s(server: OddServer, ledger: Ledger, uri: str, absolute: str) -> None:
    says(server, {"descriptionUri": uri})

    assert ledger.entry("0xa").description_uri == server.url + absolute


def test_a_description_that_is_no_address_is_refused(server: OddServer, ledger: Ledger) -> None:
    says(server, {"descriptionUri": "http://[::1"})

    with pytest.raises(UnsafeError, match="not an address"):
        ledger.entry("0xa")


@pytest.mark.parametrize("uri", [" https://p.example/d ", "https://p.example/d\n", "\thttps://p.example/d"])
def test_white_space_around_a_description_s_address_is_no_part_of_it(
    server: OddServer, ledger: Ledger, uri: str
) -> None:
    says(server, {"descriptionUri": uri})

    assert ledger.entry("0xa").description_uri == "https://p.example/d"


@pytest.mark.parametrize("uri", ["", " "])
def test_an_entry_without_an_address_of_a_description_is_refused(server: OddServer, ledger: Ledger, uri: str) -> None:
    says(server, {"descriptionUri": uri})

    with pytest.raises(UnsafeError, match="names no description"):
        ledger.entry("0xa")
