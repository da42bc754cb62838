"""The connector to Redis: its keys, times to live and counts."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from catena_core.errors import CodecError
from catena_core.stores import RedisConnector
from tests.helpers.stores import answer, bounded
from tests.helpers.waiting import eventually
from tests.servers import Redis


@pytest.fixture
def hashes(redis_server: Redis) -> Iterator[RedisConnector]:
    with RedisConnector(f"{redis_server.host}:{redis_server.port}") as connector:
        connector.set_defaults("people", "authors")
        yield connector


@pytest.mark.parametrize("value", [(1, "a"), {1, 2}, datetime.date(1815, 12, 10), 2**70], ids=repr)
def test_redis_holds_whatever_links_can_send(hashes: RedisConnector, value: Any) -> None:
    hashes.put("ada", value)

    assert hashes.get("ada") == (None, value)


def test_what_links_cannot_send_is_refused(hashes: RedisConnector) -> None:
    with pytest.raises(CodecError):
        hashes.put("ada", object())

    assert not hashes.exists("ada")


def test_redis_keys_are_read_by_people(hashes: RedisConnector) -> None:
    hashes.put("ada", 1)
    hashes.put(7, 1)
    hashes.put("ada", 1, "people", "readers")

    assert sorted(hashes.client.keys()) == [b"people:authors#7", b"people:authors:ada", b"people:readers:ada"]


def test_a_record_is_forgotten_after_its_time_to_live(hashes: RedisConnector) -> None:
    hashes.put("ada", 36, time_to_live=0.2)
    hashes.put("grace", 85, time_to_live=60)

    eventually(lambda: not hashes.exists("ada"))
    assert 0 < hashes.client.ttl("people:authors:grace") <= 60


def test_a_later_put_decides_about_the_time_to_live(hashes: RedisConnector) -> None:
    hashes.put("ada", 36, time_to_live=60)
    hashes.put("ada", 37)

    assert hashes.client.ttl("people:authors:ada") == -1
    with pytest.raises(ValueError, match="use remove"):
        hashes.put("ada", 38, time_to_live=0)


def test_records_are_counted_by_set(hashes: RedisConnector) -> None:
    for place in range(2500):
        hashes.put(place, place)
    hashes.put("ada", 1)
    for set_ in ("author", "authors*", "[authors]", "authors2"):
        hashes.put("ada", 1, "people", set_)

    assert hashes.count() == 2501
    assert [hashes.count("people", set_) for set_ in ("author", "authors*", "[authors]", "author?", "none")] == [
        1,
        1,
        1,
        0,
        0,
    ]


def test_a_hash_of_others_is_not_read_as_values(hashes: RedisConnector) -> None:
    hashes.client.hset("people:authors:ada", "age", "36")

    with pytest.raises(CodecError, match="not written by this connector"):
        hashes.get("ada")


def test_a_redis_record_can_be_read_before_the_connection_ends(hashes: RedisConnector) -> None:
    hashes.put("ada", 36)

    assert hashes.get_and_close("ada") == (None, 36)


def test_a_redis_that_is_silent_is_given_up_and_used_again(redis_server: Redis, hashes: RedisConnector) -> None:
    hashes.put("ada", 36)
    with RedisConnector(redis_server.url, timeout=1) as connector:
        connector.set_defaults("people", "authors")
        redis_server.pause()
        try:
            with bounded(20), pytest.raises(redis.RedisError):
                connector.get("ada")
        finally:
            redis_server.resume()

        assert eventually(lambda: answer(connector)) == (None, 36)
