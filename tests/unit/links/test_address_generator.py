"""Following the ledger: what is new, due or gone is told once, by the one instance whose it is, and never by mistake."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from catena_core import Electron
from catena_core.testing import LinkDriver
from links import address_generator
from links.address_generator import AddressGenerator
from tests.helpers.environment import Environment
from tests.helpers.odd_server import Handler, OddServer, saying, saying_json
from tests.helpers.records import milliseconds_ago
from tests.helpers.sandbox_servers import running_booth
from topology import records, topics
from topology.records import AddressEvent

PARTITIONS = 4
ALL = [(topics.ADDRESSES, number) for number in range(PARTITIONS)]


def partition_of(address: str) -> int:
    return zlib.crc32(address.encode()) % PARTITIONS


class Instance:
    """An address generator that runs."""

    def __init__(self) -> None:
        self.link = AddressGenerator()
        self.driver = LinkDriver(self.link, partitions=PARTITIONS)

    def replay(
        self, events: Mapping[str, AddressEvent] | None = None, partitions: Iterable[tuple[str, int]] = ALL
    ) -> Instance:
        """Assign partitions that hold what was emitted before."""
        partitions = list(partitions)
        self.link.assigned(partitions)
        for address, event in (events or {}).items():
            self.driver.transform(Electron(address, records.to_text(event), partition=partition_of(address)))
        for partition in partitions:
            self.link.replayed(partition)
        return self

    def look(self) -> dict[str, str]:
        """Look at the listing once; what was told of each address."""
        return told(self.driver.generate())


def told(electrons: Iterable[Electron]) -> dict[str, str]:
    found: dict[str, str] = {}
    for electron in electrons:
        assert electron.topic == topics.ADDRESSES
        assert electron.key not in found, "told twice"
        assert electron.partition == partition_of(electron.key)
        found[electron.key] = records.from_text(electron.value, AddressEvent).kind
    return found


@pytest.fixture(autouse=True)
def ledger(environment: Environment, server: OddServer) -> OddServer:
    environment(DLT_BASE_URL=f"{server.url}/api", OFFERING_FETCH_INTERVAL="0.01")
    lists(server, "a", "b", "c")
    return server


def lists(server: OddServer, *addresses: str) -> None:
    server.answers["/api/offerings"] = saying_json({"addresses": addresses})


def names(count: int) -> list[str]:
    return [f"0x{number:04x}" for number in range(count)]


def listed(*addresses: str, seconds_ago: float = 1) -> dict[str, AddressEvent]:
    return {address: AddressEvent("listed", milliseconds_ago(seconds_ago)) for address in addresses}


def test_what_is_new_is_listed_once() -> None:
    instance = Instance().replay()

    assert instance.look() == {"a": "listed", "b": "listed", "c": "listed"}
    assert instance.look() == {}


def test_a_booth_s_listing(environment: Environment) -> None:
    with running_booth(3, lenient=True) as booth:
        environment(DLT_BASE_URL=booth.url)
        instance = Instance().replay()

        first = instance.look()
        booth.ask("DELETE", f"/api/offerings/{next(iter(first))}")

        assert set(first.values()) == {"listed"}
        assert instance.look() == {}
        assert instance.look() == {next(iter(first)): "delisted"}


def test_what_was_emitted_before_is_not_emitted_again_after_a_replay() -> None:
    assert Instance().replay(listed("a", "b")).look() == {"c": "listed"}


def test_the_newest_event_of_an_address_counts_in_a_replay() -> None:
    instance = Instance()
    instance.link.assigned(ALL)
    for event in (AddressEvent("listed", 1), AddressEvent("delisted", 2), AddressEvent("listed", milliseconds_ago(1))):
        instance.driver.transform(Electron("a", records.to_text(event), partition=partition_of("a")))
    for partition in ALL:
        instance.link.replayed(partition)

    assert "a" not in instance.look()


def test_what_is_gone_is_delisted_once(ledger: OddServer) -> None:
    instance = Instance().replay(listed("a", "b", "c"))
    lists(ledger, "b", "c")

    assert instance.look() == {}
    assert instance.look() == {"a": "delisted"}
    assert instance.look() == {}


class TestClockThatWasAhead:
    """An instance whose clock was a year ahead has emitted events; the clock is right now."""

    @pytest.fixture
    def instance(self) -> Instance:
        return Instance().replay(listed("a", "b", "c", seconds_ago=-365 * 86_400))

    def test_its_addresses_are_refreshed(self, instance: Instance) -> None:
        assert instance.look() == dict.fromkeys("abc", "refresh")
        assert instance.look() == {}

    def test_its_addresses_are_delisted_when_they_are_gone(self, instance: Instance, ledger: OddServer) -> None:
        lists(ledger, "b", "c")

        assert "a" not in instance.look()
        assert instance.look() == {"a": "delisted"}


def test_what_a_lagging_booth_lacks_now_and_then_is_not_delisted(ledger: OddServer) -> None:
    instance = Instance().replay(listed("a", "b", "c"))
    for _ in range(3):
        lists(ledger, "a", "b")
        assert instance.look() == {}
        lists(ledger, "a", "b", "c")
        assert instance.look() == {}


def test_what_comes_back_is_listed_again(ledger: OddServer) -> None:
    instance = Instance().replay(listed("b", "c") | {"a": AddressEvent("delisted", milliseconds_ago(5))})

    assert instance.look() == {"a": "listed"}


class TestRefresh:
    def test_when_it_is_due(self, environment: Environment) -> None:
        environment(OFFERING_REFRESH_INTERVAL="100")
        instance = Instance().replay(listed("a", seconds_ago=99) | listed("b", "c", seconds_ago=101))

        assert instance.look() == {"b": "refresh", "c": "refresh"}
        assert instance.look() == {}

    def test_an_hour_by_default(self) -> None:
        instance = Instance().replay(listed("a", seconds_ago=3500) | listed("b", "c", seconds_ago=3700))

        assert instance.look() == {"b": "refresh", "c": "refresh"}

    def test_a_listed_address_that_is_gone_is_not_refreshed(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed("a", "b", "c", seconds_ago=4000))
        lists(ledger, "a", "b")

        assert instance.look() == {"a": "refresh", "b": "refresh"}
        assert instance.look() == {"c": "delisted"}


class TestRanks:
    """The rank in the ledger's listing decides between two addresses that describe the same offering."""

    def ranks(self, instance: Instance) -> dict[str, int]:
        return {one.key: records.from_text(one.value, AddressEvent).order for one in instance.driver.generate()}

    def test_ranks_follow_the_listing(self, ledger: OddServer) -> None:
        lists(ledger, "c", "a", "b")

        assert self.ranks(Instance().replay()) == {"c": 1, "a": 2, "b": 3}

    def test_an_address_keeps_its_rank_when_others_before_it_go(self, ledger: OddServer) -> None:
        instance = Instance().replay()
        self.ranks(instance)
        lists(ledger, "b", "c", "new")

        assert self.ranks(instance) == {"new": 4}
        assert self.ranks(instance) == {"a": 0}

    def test_an_address_that_is_listed_again_comes_last(self, ledger: OddServer) -> None:
        gone = {"a": AddressEvent("delisted", milliseconds_ago(5), order=1)}
        kept = {name: AddressEvent("listed", milliseconds_ago(5), order=rank) for name, rank in (("b", 2), ("c", 3))}
        lists(ledger, "b", "c", "a")

        assert self.ranks(Instance().replay(gone | kept)) == {"a": 4}

    def test_a_refresh_carries_the_rank(self, environment: Environment) -> None:
        environment(OFFERING_REFRESH_INTERVAL="100")
        old = {name: AddressEvent("listed", milliseconds_ago(200), order=rank) for name, rank in (("a", 7), ("c", 9))}

        assert self.ranks(Instance().replay(old)) == {"a": 7, "b": 8, "c": 9}

    def test_instances_that_share_the_addresses_rank_them_alike(self, ledger: OddServer) -> None:
        lists(ledger, *names(50))
        one, other = Instance().replay(partitions=ALL[:2]), Instance().replay(partitions=ALL[2:])

        assert self.ranks(one) | self.ranks(other) == {name: rank for rank, name in enumerate(names(50), 1)}


class TestSharing:
    def test_each_instance_tells_its_own_addresses_and_all_of_them_are_told(self, ledger: OddServer) -> None:
        lists(ledger, *names(50))
        one, other = Instance().replay(partitions=ALL[:2]), Instance().replay(partitions=ALL[2:])

        first, second = one.look(), other.look()

        assert set(first) | set(second) == set(names(50))
        assert not set(first) & set(second)

    def test_what_was_taken_away_is_not_told_any_more(self, ledger: OddServer) -> None:
        instance = Instance().replay()
        instance.link.revoked(ALL[:2])
        lists(ledger, *names(50))

        assert {partition_of(address) for address in instance.look()} == {2, 3}

    def test_nothing_is_told_of_a_partition_that_is_not_read_to_its_end(self, ledger: OddServer) -> None:
        """What was emitted there before is not known yet."""
        lists(ledger, *names(50))
        instance = Instance().replay(partitions=ALL[:2])
        instance.link.assigned(ALL[2:])

        instance.link._compare(names(50), milliseconds_ago(0))

        assert {partition_of(address) for address in told(instance.driver.sent)} == {0, 1}

    def test_one_that_stood_by_begins_with_a_fresh_listing(self, ledger: OddServer) -> None:
        """With an old one it would delist whatever was listed since."""
        instance = Instance()
        thread = threading.Thread(target=instance.link.generator, daemon=True)
        thread.start()
        time.sleep(0.15)
        lists(ledger, "a", "b", "c", "new")

        instance.replay(listed("a", "b", "c", "new"))
        thread.join(120)

        assert told(instance.driver.sent) == {}
        assert not thread.is_alive()

    def test_what_another_instance_told_after_the_listing_was_asked_for_is_not_contradicted(
        self, ledger: OddServer
    ) -> None:
        instance = Instance()

        def slowly(request: Handler) -> None:
            # Meanwhile another instance saw `new` listed and `a` delisted, and this one takes over from it.
            time.sleep(0.05)
            instance.link.revoked(ALL)
            just_now = milliseconds_ago(0)
            instance.replay(
                listed("b", "c") | {"new": AddressEvent("listed", just_now), "a": AddressEvent("delisted", just_now)}
            )
            request.say_json({"addresses": ["a", "b", "c"]})

        instance.replay()
        ledger.answers["/api/offerings"] = slowly

        assert instance.look() == {}
        lists(ledger, "b", "c", "new")
        time.sleep(0.005)
        assert instance.look() == {}


class TestTrouble:
    @pytest.mark.parametrize(
        "trouble",
        [saying(b"", 500), saying(b"", 404), saying(b"[]"), saying(b'{"addresses": null}'), saying(b"<html>"), None],
    )
    def test_a_listing_that_cannot_be_read_tells_nothing(self, ledger: OddServer, trouble: Any) -> None:
        instance = Instance().replay(listed("a", "b", "c"))
        if trouble is None:
            ledger.stop()
        else:
            ledger.answers["/api/offerings"] = trouble

        assert instance.look() == {}

    @pytest.mark.parametrize(
        ("status", "headers", "seconds"),
        [
            (503, {"Retry-After": "120"}, 120),
            (429, {"Retry-After": "Fri, 15 Jan 2027 08:02:00 GMT", "Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 120),
            (429, {}, 60),
            (503, {"Retry-After": "99999"}, 300),
            (503, {}, 0.01),
        ],
    )
    def test_the_pause_that_a_booth_asks_for_is_heeded_within_bounds(
        self,
        ledger: OddServer,
        monkeypatch: pytest.MonkeyPatch,
        status: int,
        headers: dict[str, str],
        seconds: float,
    ) -> None:
        instance = Instance().replay()
        waited: list[float] = []
        monkeypatch.setattr(instance.link, "wait", waited.append)

        def answer(request: Handler) -> None:
            request.send_response_only(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()

        ledger.answers["/api/offerings"] = answer

        assert instance.look() == {}
        assert waited == [seconds]

    def test_afterwards_it_goes_on_as_before(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed("a", "b"))
        ledger.answers["/api/offerings"] = saying(b"", 500)
        instance.look()
        lists(ledger, "a", "c")

        assert (instance.look(), instance.look()) == ({"c": "listed"}, {"b": "delisted"})

    def test_a_listing_takes_the_time_it_takes_however_often_it_is_asked_for(self, ledger: OddServer) -> None:
        def slowly(request: Handler) -> None:
            time.sleep(0.3)
            request.say_json({"addresses": ["a"]})

        ledger.answers["/api/offerings"] = slowly

        assert Instance().replay().look() == {"a": "listed"}

    @pytest.mark.parametrize(
        ("before", "left", "looks"),
        [(1, 0, 2), (2, 1, 2), (8, 0, 8), (30, 0, 10), (30, 5, 6), (40, 30, 2), (40, 20, 2), (40, 10, 4), (8, 6, 2)],
    )
    def test_a_sudden_loss_is_believed_after_the_more_looks_the_larger_it_is(
        self, ledger: OddServer, before: int, left: int, looks: int
    ) -> None:
        instance = Instance().replay(listed(*names(before)))
        lists(ledger, *names(left))

        assert [instance.look() for _ in range(looks - 1)] == [{}] * (looks - 1)
        assert instance.look() == dict.fromkeys(names(before)[left:], "delisted")

    def test_looks_at_a_sudden_loss_count_only_in_a_row(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed(*names(40)))
        for left in (10, 10, 10, 40, 10, 10, 10):
            lists(ledger, *names(left))
            assert instance.look() == {}

    def test_a_listing_that_has_become_old_is_not_compared(
        self, ledger: OddServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process was paused after it had the listing."""
        monkeypatch.setattr(address_generator, "_LISTING_HOLDS", 0.0)
        instance = Instance().replay()
        assert instance.look() == {}

        monkeypatch.setattr(address_generator, "_LISTING_HOLDS", 600.0)
        assert set(instance.look()) == {"a", "b", "c"}

    def test_junk_costs_only_itself_and_is_logged_once(
        self, ledger: OddServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        instance = Instance().replay(listed("a", "b", "c"))
        ledger.answers["/api/offerings"] = saying_json({"addresses": ["a", None, "b", {}, "c", "new", "", "x" * 257]})

        assert (instance.look(), instance.look()) == ({"new": "listed"}, {})
        assert [one for one in caplog.messages if "no addresses" in one] == [
            "4 entries of the ledger's listing are no addresses; they are left out"
        ]

    def test_an_address_in_other_letters_is_the_one_that_is_known(self, ledger: OddServer) -> None:
        known, other = "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77"
        instance = Instance()
        instance.driver.put(topics.ADDRESSES, known, records.to_text(listed(known)[known]), partition_of(known))
        instance.replay(listed(known))
        lists(ledger, known.lower(), other, other.upper().replace("X", "x"))

        assert instance.look() == {other: "listed"}

    def test_half_a_listing_is_doubted_though_less_than_half_of_the_share_is_gone(self, ledger: OddServer) -> None:
        """One instance may own a part of the addresses that the other half of the listing happens to spare."""
        share = [name for name in names(60) if partition_of(name) in (0, 1)]
        others = [name for name in names(60) if name not in share]
        instance = Instance().replay(listed(*share), ALL[:2])
        lists(ledger, *share, *others)
        assert instance.look() == {}

        left = [*share[: len(share) * 2 // 3], *others][:31]
        lists(ledger, *left)

        assert 0 < len(set(share) - set(left)) < len(share) / 2
        assert instance.look() == {}
        assert instance.look() == dict.fromkeys(set(share) - set(left), "delisted")

    def test_second_listing_that_follows_at_once_is_not_believed(
        self, ledger: OddServer, environment: Environment
    ) -> None:
        environment(OFFERING_FETCH_INTERVAL="60")
        instance = Instance().replay(listed(*names(30)))
        _ = instance.link.settings
        now = int(time.time() * 1000)

        left, gone = set(names(15)), set(names(30)[15:])
        assert instance.link._gone(left, now) == set()
        assert instance.link._gone(left, now + 1000) == set()
        assert instance.link._gone(left, now + 60_000) == gone

    def test_a_sudden_loss_that_passes_was_none(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed(*names(30)))
        lists(ledger)
        assert instance.look() == {}
        lists(ledger, *names(30))
        assert instance.look() == {}
        lists(ledger)

        assert instance.look() == {}, "it is the first time again"

    def test_losses_that_follow_each_other_are_each_believed_at_their_second_look(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed(*names(40)))
        looks = []
        for first in (4, 8, 12, 16):
            lists(ledger, *names(40)[first:])
            looks.append(instance.look())

        assert [sorted(look) for look in looks] == [[], names(4), names(8)[4:], names(12)[8:]]

    def test_what_is_new_is_told_even_with_a_sudden_loss(self, ledger: OddServer) -> None:
        instance = Instance().replay(listed(*names(30)))
        lists(ledger, "new")

        assert instance.look() == {"new": "listed"}

    @pytest.mark.parametrize(("before", "left"), [(3, 2), (40, 38)])
    def test_a_smaller_loss_is_believed_at_the_second_look_without_a_warning(
        self, ledger: OddServer, caplog: pytest.LogCaptureFixture, before: int, left: int
    ) -> None:
        instance = Instance().replay(listed(*names(before)))
        lists(ledger, *names(left))

        assert instance.look() == {}
        assert caplog.messages == []
        assert instance.look() == dict.fromkeys(names(before)[left:], "delisted")

    def test_an_event_that_is_none_is_an_error_of_its_own(self) -> None:
        instance = Instance()
        instance.link.assigned(ALL)

        with pytest.raises(ValueError, match="invalid"):
            instance.driver.transform(Electron("a", "nonsense", partition=0))
