"""The times that providers ask for, in every form that HTTP allows, and never beyond bounds."""

from __future__ import annotations

import time

import pytest

from topology.clients.advice import entity_tag, fresh_for, modified_at, retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("120", 120),
        (" 7 ", 7),
        ("999999999999", 1000),
        ("9" * 5000, 0),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("soon", 0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60),
        ("Fri Jan 15 08:01:00 2027", 60),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Fri, 99 Jan 9999999 07:00:00 GMT", 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(text: str, seconds: float) -> None:
    assert retry_after(503, {"retry-after": text} if text else {}, NOW, 1000) == seconds


def test_retry_after_as_a_date_is_one_of_the_servers_own_clock() -> None:
    headers = {"retry-after": "Fri, 15 Jan 2027 09:01:00 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}

    assert retry_after(503, headers, NOW, 1000) == 60


def test_too_many_requests_without_a_time_means_a_minute() -> None:
    assert retry_after(429, {}, NOW, 1000) == 60


def test_too_many_requests_may_ask_for_no_pause() -> None:
    assert retry_after(429, {"retry-after": "0"}, NOW, 1000) == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "public, MAX-AGE = 60 , must-revalidate"}, 60),
        ({"cache-control": 'max-age="60"'}, 60),
        ({"cache-control": "s-maxage=60"}, 0),
        ({"cache-control": "max-age=60, no-cache"}, 0),
        ({"cache-control": "no-store, max-age=60"}, 0),
        ({"cache-control": "max-age=-60"}, 0),
        ({"cache-control": "max-age=99999999"}, 1000),
        ({"cache-control": "max-age=60", "age": "20"}, 40),
        ({"cache-control": "max-age=60", "age": "100"}, 0),
        ({"cache-control": "max-age=60", "age": "old"}, 60),
        ({"expires": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60),
        ({"expires": "Fri, 15 Jan 2027 08:01:00 GMT", "date": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
        ({"expires": "0"}, 0),
        ({"expires": "Fri, 15 Jan 2027 08:01:00 GMT", "cache-control": "max-age=5"}, 5),
    ],
)
def test_fresh_for_as_the_provider_says(headers: dict[str, str], seconds: float) -> None:
    assert fresh_for(headers, NOW, 1000) == seconds


@pytest.mark.parametrize(("tag", "asked"), [('"a"', '"a"'), ('W/"a"', 'W/"a"'), ('"*"', '"*"'), ("*", ""), ("", "")])
def test_entity_tag_is_none_that_stands_for_any_content(tag: str, asked: str) -> None:
    assert entity_tag({"etag": tag}) == asked


@pytest.mark.parametrize(
    ("headers", "is_used"),
    [
        ({"last-modified": "Fri, 15 Jan 2027 07:59:00 GMT"}, True),
        ({"last-modified": "Fri, 15 Jan 2027 07:59:59 GMT"}, True),
        ({"last-modified": "Fri, 15 Jan 2027 08:00:00 GMT"}, False),
        ({"last-modified": "Fri, 15 Jan 2027 08:00:00 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}, False),
        ({"last-modified": "Fri, 15 Jan 2027 07:00:00 GMT", "date": "Fri, 15 Jan 2027 07:00:00 GMT"}, False),
        ({"last-modified": "Fri, 15 Jan 2027 09:00:00 GMT", "date": "Fri, 15 Jan 2027 09:00:05 GMT"}, True),
        ({"last-modified": "Wed, 21 Oct 2099 07:28:00 GMT"}, False),
        ({"last-modified": "yesterday"}, False),
        ({}, False),
    ],
)
def test_modified_at_is_a_date_that_tells_changes_apart(headers: dict[str, str], is_used: bool) -> None:
    assert modified_at(headers, NOW) == (headers["last-modified"] if is_used else "")


@pytest.mark.parametrize(
    "date", ["Fri Jan 15 08:01:00 2027", "Fri, 15 Jan 2027 08:01:00 -0000", "Fri, 15 Jan 2027 08:01:00"]
)
def test_date_without_a_zone_is_in_utc_wherever_the_fetcher_runs(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after(503, {"retry-after": date}, NOW, 1000) == 60
    finally:
        monkeypatch.undo()
        time.tzset()
