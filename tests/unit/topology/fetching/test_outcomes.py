"""When the fetcher asks again: pauses, failures in a row, withdrawal in time, what a successor goes on with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from catena_core import Electron
from catena_core.errors import CodecError
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import (
    ONE,
    OTHER,
    PARTITIONS,
    Ledger,
    _moments,
    failure_of,
    fetch,
    letters,
    offerings,
    read_back,
    status_of,
    work,
)
from tests.helpers.odd_server import Handler, closed_port, saying, saying_json
from tests.helpers.records import document, offering
from topology import records, topics
from topology.records import AddressEvent, AddressStatus


class TestAgain:
    """What fails is tried again after pauses that grow, and survives a restart."""

    NOW = 1_800_000_000.0

    @pytest.fixture
    def driver(self, environment: Environment, ledger: Ledger) -> LinkDriver:
        environment(OFFERING_GONE_AFTER="100")
        return LinkDriver(Fetcher(), partitions=PARTITIONS, now=self.NOW)

    def later(self, driver: LinkDriver, seconds: float) -> list[Electron]:
        """Let time pass; what was sent to the topic of offerings then."""
        before = len(driver.sent)
        driver.advance(seconds)
        work(driver)
        return [electron for electron in driver.sent[before:] if electron.topic == topics.OFFERINGS]

    def pause(self, driver: LinkDriver) -> float:
        return failure_of(driver).next_try / 1000 - driver._link.now()

    def answers(self, ledger: Ledger, status: int, **headers: str) -> None:
        ledger.has("a", document(ONE))
        ledger.server.answers["/descriptions/a"] = saying(b"", status, **headers)

    def test_pauses_grow_up_to_the_refresh_interval(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        pauses = []
        for _ in range(14):
            pauses.append(self.pause(driver))
            self.later(driver, pauses[-1] + 0.001)

        assert 1.5 <= pauses[0] <= 2.5
        assert 3 <= pauses[1] <= 5
        assert pauses[-1] == pytest.approx(3600, abs=0.01)
        assert failure_of(driver).failures == 15

    def test_success_ends_the_failures(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        ledger.has("a", document(ONE))

        assert self.later(driver, 1) == []
        assert len(self.later(driver, 2)) == 1
        status = status_of(driver)
        assert status is not None
        assert (status.state, status.error, status.failures, status.next_try) == ("fetched", "", 0, 0)

    @pytest.mark.parametrize(
        ("answer", "count"),
        [
            (saying(b"", 503), 0),
            (saying(b"", 401), 0),
            (saying(b"<html>"), 1),
            (saying(b'{"error": "no such offering"}', 500, **{"Content-Type": "text/html"}), 1),
        ],
        ids=["the booth fails", "the booth wants a password", "no entry", "the ledger does not know it"],
    )
    def test_failures_of_the_booth_itself_are_no_dead_letters_of_addresses(
        self, driver: LinkDriver, ledger: Ledger, answer: Callable[[Handler], object], count: int
    ) -> None:
        ledger.server.answers["/api/offerings/a"] = answer
        fetch(driver)
        for _ in range(6):
            self.later(driver, self.pause(driver) + 0.001)

        assert failure_of(driver).failures == 7
        assert len(letters(driver)) == count

    def test_the_fourth_failure_in_a_row_is_a_dead_letter_with_address_and_url(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        for _ in range(8):
            self.later(driver, self.pause(driver) + 0.001)

        (dead,) = letters(driver)
        assert dead.headers["attempts"] == "4"
        assert dead.headers["error"].startswith(f"a: {ledger.server.url}/descriptions/a answers with status 500")

    def test_four_failures_of_a_provider_are_a_dead_letter_though_the_booth_failed_before(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.server.answers["/api/offerings/a"] = saying(b"", 502)
        fetch(driver)
        for _ in range(5):
            self.later(driver, self.pause(driver) + 0.001)
        self.answers(ledger, 500)
        for _ in range(3):
            self.later(driver, self.pause(driver) + 0.001)
        assert letters(driver) == []
        for _ in range(5):
            self.later(driver, self.pause(driver) + 0.001)

        assert [dead.headers["attempts"] for dead in letters(driver)] == ["4"]

    def test_a_replayed_dead_letter_that_fails_again_is_one_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        for _ in range(6):
            self.later(driver, self.pause(driver) + 0.001)
        (dead,) = letters(driver)
        driver.transform(Electron("a", dead.value))
        work(driver)
        for _ in range(6):
            self.later(driver, self.pause(driver) + 0.001)

        assert len(letters(driver)) == 2

    def test_a_provider_that_flaps_between_two_failures_gets_one_dead_letter_for_each(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        for _ in range(3):
            ledger.has("a", b"nonsense")
            fetch(driver, kind="refresh")
            self.answers(ledger, 500)
            driver.advance(24 * 3600)
            fetch(driver, kind="refresh")
            for _ in range(4):
                self.later(driver, self.pause(driver) + 0.001)

        assert len(letters(driver)) == 2

    def test_a_successor_goes_on_with_the_schedule(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        status = failure_of(driver)
        successor = Fetcher()
        other = LinkDriver(
            successor,
            tables={topics.STATUSES: {"a": records.to_text(status)}},
            partitions=PARTITIONS,
            now=status.next_try / 1000 - 1,
        )
        successor.assigned([(topics.ADDRESSES, 0)])
        other.transform(Electron("a", records.to_text(AddressEvent("listed", status.event_at))))
        successor.replayed((topics.ADDRESSES, 0))
        ledger.has("a", document(ONE))
        work(other)

        assert other.sent == []
        assert len(self.later(other, 1.001)) == 1

    def test_a_successor_goes_on_though_the_clock_of_its_predecessor_was_a_year_ahead(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.has("a", document(ONE))
        ahead = int(1000 * (driver._link.now() + 365 * 86_400))
        failing = records.to_text(
            AddressStatus(
                state="failing", event_at=1, since=ahead, error="status 503", next_try=ahead, not_before=ahead
            )
        )
        successor = Fetcher()
        other = LinkDriver(
            successor, tables={topics.STATUSES: {"a": failing}}, partitions=PARTITIONS, now=driver._link.now()
        )
        successor.assigned([(topics.ADDRESSES, 0)])
        other.transform(Electron("a", records.to_text(AddressEvent("listed", 1))))
        successor.replayed((topics.ADDRESSES, 0))
        work(other)

        assert [one.key for one in other.sent if one.topic == topics.OFFERINGS] == ["a"]

    def test_a_successor_fetches_what_its_predecessor_did_not_come_to(self, driver: LinkDriver, ledger: Ledger) -> None:
        link = driver._link
        assert isinstance(link, Fetcher)
        ledger.has("a", document(ONE))
        link.assigned([(topics.ADDRESSES, 0)])
        driver.transform(Electron("a", records.to_text(AddressEvent("listed", 5))))
        link.replayed((topics.ADDRESSES, 0))
        work(driver)

        assert [one.key for one in driver.sent if one.topic == topics.OFFERINGS] == ["a"]

    @pytest.mark.parametrize("status", [503, 429, 500, 301])
    def test_retry_after_is_heeded(self, driver: LinkDriver, ledger: Ledger, status: int) -> None:
        self.answers(ledger, status, **{"Retry-After": "120"})
        fetch(driver)

        assert self.pause(driver) == 120
        assert fetch(driver, kind="refresh") == []
        assert len(ledger.asked_with("Accept")) == 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_of_the_booth_is_heeded_for_all_addresses(
        self, driver: LinkDriver, ledger: Ledger, status: int
    ) -> None:
        refusal = saying(b"", status, **{"Retry-After": "120"})
        ledger.server.answers |= dict.fromkeys(("/api/offerings/a", "/api/offerings/b"), refusal)
        fetch(driver, "a")
        fetch(driver, "b")

        assert [one.path for one in ledger.server.asked] == ["/api/offerings/a"]
        assert self.pause(driver) == 120
        for address in ("a", "b"):
            ledger.has(address, document(f"https://p.example/{address}"))
        assert [one.key for one in self.later(driver, 121)] in (["a", "b"], ["b", "a"])

    def test_retry_after_is_bounded(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 503, **{"Retry-After": "999999999"})
        fetch(driver)

        assert self.pause(driver) == 24 * 3600

    def test_a_page_that_is_gone_for_good_is_withdrawn_at_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        self.answers(ledger, 410)

        (tombstone,) = fetch(driver, kind="refresh")

        assert tombstone.value is None
        assert failure_of(driver).state == "gone"
        ledger.has("a", document(ONE))
        assert [one.value is None for one in self.later(driver, 3601)] == [False]

    @pytest.mark.parametrize("status", [404, 403, 500, 503])
    def test_a_page_that_is_missing_is_stale_at_once_and_withdrawn_in_time(
        self, driver: LinkDriver, ledger: Ledger, status: int
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        self.answers(ledger, status)

        assert fetch(driver, kind="refresh") == []
        assert failure_of(driver).state == "stale"
        withdrawn = []
        for _ in range(10):
            withdrawn = self.later(driver, self.pause(driver) + 0.001)
            if withdrawn:
                break
        assert [one.value for one in withdrawn] == [None]
        assert failure_of(driver).state == "gone"
        assert driver._link.now() - self.NOW == pytest.approx(100, abs=1)

    @pytest.mark.parametrize("place", ["page", "empty", "error", "redirect", "circle", "large"])
    def test_a_page_in_the_place_of_a_description_is_stale_at_once_and_withdrawn_in_time(
        self, driver: LinkDriver, ledger: Ledger, place: str
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        path = "/descriptions/a"
        ledger.server.answers["/login"] = saying(b"<html>log in", Content_Type="text/html")
        ledger.server.answers[path] = {
            "page": saying(b"<html>gone", Content_Type="text/html"),
            "empty": saying(b""),
            "error": saying_json({"error": "not found"}),
            "redirect": saying(b"", 302, Location="/login"),
            "circle": saying(b"", 302, Location=path),
            "large": saying(b" " * 20_000_000),
        }[place]

        assert fetch(driver, kind="refresh") == []
        assert failure_of(driver).state == "stale"
        withdrawn = []
        for _ in range(10):
            withdrawn = self.later(driver, self.pause(driver) + 0.001)
            if withdrawn:
                break
        assert [one.value for one in withdrawn] == [None]
        assert driver._link.now() - self.NOW == pytest.approx(100, abs=1)
        ledger.has("a", document(ONE))
        assert [one.value is None for one in fetch(driver)] == [False]

    def test_nothing_is_withdrawn_while_no_provider_answers_at_all(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE), descriptionUri=f"http://127.0.0.1:{closed_port()}/a")
        driver.put(topics.OFFERINGS, "a", records.to_text(offering(ONE)))
        fetch(driver)
        for _ in range(10):
            assert self.later(driver, self.pause(driver) + 0.001) == []

        assert failure_of(driver).state == "stale"
        ledger.has("b", document(OTHER))
        fetch(driver, "b")
        assert [one.value for one in self.later(driver, self.pause(driver) + 0.001)] == [None]

    def test_a_ledger_that_fails_leaves_offerings_as_they_are(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        ledger.server.answers["/api/offerings/a"] = saying(b"", 500)
        fetch(driver, kind="refresh")
        for _ in range(10):
            assert self.later(driver, self.pause(driver) + 0.001) == []

        assert failure_of(driver).state == "fetched"

    def test_a_ledger_that_fails_does_not_withdraw_an_offering_that_is_stale(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        self.answers(ledger, 500)
        fetch(driver, kind="refresh")
        ledger.server.answers["/api/offerings/a"] = saying(b"", 500)
        ledger.has("b", document(OTHER))
        driver.advance(50)
        fetch(driver, "b")
        for _ in range(10):
            assert [one.key for one in self.later(driver, self.pause(driver) + 0.001) if one.key == "a"] == []

        assert failure_of(driver).state == "stale"
        assert driver._link.now() - self.NOW > 200

    def test_a_rejected_description_is_buried_once_and_fetched_less_and_less_often(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.has("a", b"nonsense")
        fetch(driver)
        for _ in range(20):
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(letters(driver)) == 1
        assert len(ledger.asked_with("Accept")) == 5, "after 1, 2, 4 and 8 refresh intervals"

    def test_a_rejected_description_is_asked_for_changes_only(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense", '"1"')
        fetch(driver)
        driver.advance(3600)
        fetch(driver, kind="refresh")

        assert ledger.asked_with("If-None-Match") == [None, '"1"']
        assert len(letters(driver)) == 1
        ledger.has("a", document(ONE), '"2"')
        driver.advance(7200)
        assert len(fetch(driver, kind="refresh")) == 1

    def test_another_rejected_description_is_another_letter(self, driver: LinkDriver, ledger: Ledger) -> None:
        for content in (b"nonsense", b"other nonsense"):
            ledger.has("a", content)
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(letters(driver)) == 2

    def test_a_failure_between_hides_no_rejection(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        for content in (b"nonsense", b"", b"nonsense"):
            ledger.has("a", content)
            if not content:
                ledger.server.answers["/descriptions/a"] = saying(b"", 500)
            driver.advance(3600 * 24)
            fetch(driver, kind="refresh")

        assert failure_of(driver).rejected

    def test_an_offering_that_cannot_be_sent_is_tried_again(
        self, driver: LinkDriver, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger.has("a", document(ONE))
        link, send = driver._link, driver._link.send

        def refuse(content: Any, **more: Any) -> None:
            if isinstance(content, list):
                raise CodecError("too large")
            send(content, **more)

        monkeypatch.setattr(link, "send", refuse)
        assert fetch(driver) == []
        assert "too large" in failure_of(driver).error
        monkeypatch.undo()

        assert len(self.later(driver, 3)) == 1

    def test_a_refresh_without_news_leaves_no_record(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        before = len(driver.sent)
        fetch(driver, kind="refresh")

        assert driver.sent[before:] == []

    @pytest.mark.parametrize("same", [True, False])
    def test_what_a_rebalance_brings_back_is_fetched_again_only_by_another_instance(
        self, driver: LinkDriver, ledger: Ledger, same: bool
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        fetch(driver, kind="refresh")
        events = [AddressEvent("refresh", next(_moments) - 1)]
        status, told = status_of(driver), driver.sent[0].value
        assert status is not None
        tables = {topics.STATUSES: {"a": records.to_text(status)}, topics.OFFERINGS: {"a": told}}
        if same:
            for topic, rows in tables.items():
                driver.put(topic, "a", rows["a"])
        else:
            driver = LinkDriver(Fetcher(), tables=tables, partitions=PARTITIONS, now=self.NOW)
        link = driver._link
        link.revoked([(topics.ADDRESSES, 0)])
        link.assigned([(topics.ADDRESSES, 0)])
        for event in events:
            driver.transform(Electron("a", records.to_text(event)))
        link.replayed((topics.ADDRESSES, 0))
        asked = len(ledger.asked_with("Accept"))

        assert self.later(driver, 301) == []
        assert len(ledger.asked_with("Accept")) == asked + (not same)

    @pytest.mark.parametrize("age", [0, 5, 60])
    def test_a_successor_takes_no_longer_for_a_refresh_than_it_has_waited(
        self, driver: LinkDriver, ledger: Ledger, age: int
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        status, told = status_of(driver), driver.sent[0].value
        assert status is not None
        tables = {topics.STATUSES: {"a": records.to_text(status)}, topics.OFFERINGS: {"a": told}}
        for _ in range(20):  # each draws a pause of its own
            successor = LinkDriver(Fetcher(), tables=tables, partitions=PARTITIONS, now=self.NOW)
            link = successor._link
            link.assigned([(topics.ADDRESSES, 0)])
            event = AddressEvent("refresh", int(1000 * (self.NOW - age)))
            successor.transform(Electron("a", records.to_text(event)))
            link.replayed((topics.ADDRESSES, 0))
            asked = len(ledger.asked_with("Accept"))
            self.later(successor, age + 0.001)

            assert len(ledger.asked_with("Accept")) == asked + 1

    def test_a_refresh_is_made_at_once_though_rebalances_keep_putting_the_one_before_off(
        self, driver: LinkDriver, ledger: Ledger
    ) -> None:
        ledger.has("a", document(ONE))
        fetch(driver)
        status, told = status_of(driver), driver.sent[0].value
        assert status is not None
        successor = LinkDriver(
            Fetcher(),
            tables={topics.STATUSES: {"a": records.to_text(status)}, topics.OFFERINGS: {"a": told}},
            partitions=PARTITIONS,
            now=self.NOW,
        )
        link = successor._link
        link.assigned([(topics.ADDRESSES, 0)])
        successor.transform(Electron("a", records.to_text(AddressEvent("refresh", int(1000 * (self.NOW - 600))))))
        link.replayed((topics.ADDRESSES, 0))
        asked = len(ledger.asked_with("Accept"))

        self.later(successor, 0)
        assert len(ledger.asked_with("Accept")) == asked, "it has been made, most likely"
        successor.transform(Electron("a", records.to_text(AddressEvent("refresh", int(1000 * self.NOW)))))
        self.later(successor, 0)
        assert len(ledger.asked_with("Accept")) == asked + 1
        self.later(successor, 301)
        assert len(ledger.asked_with("Accept")) == asked + 1, "once"

    def test_a_replayed_dead_letter_is_fetched_at_once(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"nonsense")
        fetch(driver)
        (dead,) = letters(driver)
        ledger.has("a", document(ONE))
        before = len(driver.sent)
        driver.transform(Electron("a", dead.value))
        work(driver)

        assert [one.key for one in driver.sent[before:] if one.topic == topics.OFFERINGS] == ["a"]

    def test_a_fresh_description_is_not_asked_for_again(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        ledger.server.answers["/descriptions/a"] = saying(
            document(ONE), 200, **{"Cache-Control": "public, max-age=9000"}
        )
        fetch(driver)
        for _ in range(3):
            driver.advance(3600)
            fetch(driver, kind="refresh")

        assert len(ledger.asked_with("Accept")) == 2

    def test_a_date_of_change_is_sent_back(self, driver: LinkDriver, ledger: Ledger) -> None:
        changed = "Sat, 28 Nov 2026 12:00:00 GMT"
        ledger.has("a", document(ONE))

        def answer(request: Handler) -> None:
            if request.headers.get("If-Modified-Since") == changed:
                request.say(b"", 304)
            else:
                request.say(document(ONE), 200, **{"Last-Modified": changed})

        ledger.server.answers["/descriptions/a"] = answer
        read_back(driver, fetch(driver))

        assert fetch(driver, kind="refresh") == []
        assert fetch(driver, kind="refresh") == []
        assert ledger.asked_with("If-Modified-Since") == [None, changed, changed]

    def test_a_delisted_address_has_no_status(self, driver: LinkDriver, ledger: Ledger) -> None:
        self.answers(ledger, 500)
        fetch(driver)
        fetch(driver, kind="delisted")

        assert status_of(driver) is None
        assert self.later(driver, 10_000) == []
        assert len(ledger.asked_with("Accept")) == 1

    def test_the_outcome_of_the_hash_check_is_in_the_status(self, driver: LinkDriver, ledger: Ledger) -> None:
        for digest, outcome in ((hashlib.sha256(document(ONE)).hexdigest(), "same"), ("00", "differs"), ("", "")):
            ledger.has("a", document(ONE), description_hash=digest)
            fetch(driver, kind="refresh")
            status = status_of(driver)
            assert status is not None
            assert status.hash_check == outcome

    def test_the_rank_of_the_address_is_in_the_offering(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))
        (first,) = offerings(fetch(driver, order=3))
        (second,) = offerings(fetch(driver, kind="refresh", order=2))

        assert first is not None
        assert second is not None
        assert (first.order, second.order) == (3, 2)
