"""Each client may send so many requests a minute, and no crowd of clients fills the memory."""

from __future__ import annotations

from topology.gateway.guarding.rate_limit import RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rate_limit_client_that_sent_all_of_a_minute_waits_its_turn() -> None:
    clock = Clock()
    limit = RateLimit(6, now=clock)

    assert [limit.wait("a") for _ in range(6)] == [0.0] * 6
    assert 9.9 < limit.wait("a") <= 10.0
    assert limit.wait("b") == 0.0

    clock.now += 10
    assert limit.wait("a") == 0.0
    assert limit.wait("a") > 0


def test_rate_limit_refused_requests_do_not_count() -> None:
    clock = Clock()
    limit = RateLimit(1, now=clock)
    limit.wait("a")

    for _ in range(100):
        limit.wait("a")
    clock.now += 60

    assert limit.wait("a") == 0.0


def test_rate_limit_many_clients_take_bounded_memory() -> None:
    limit = RateLimit(1, most_clients=3, now=Clock())
    for number in range(1000):
        limit.wait(str(number))

    assert len(limit._full_at) == 3
    assert limit.wait("999") > 0, "the last ones are remembered"
