"""Descriptions as the fetcher reads them: malformed terms, hashes, contexts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from catena_core.errors import UsageError
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import ONE, PARTITIONS, Ledger, failure_of, fetch, letters, offerings
from tests.helpers.odd_server import saying
from tests.helpers.records import OFFERING, described, document


class TestMalformedTerms:
    def test_fetcher_counts_statements_that_it_drops_and_says_why(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE, [{"@id": "https://p.example/a b"}, {"@value": "x", "@language": "?"}, "kept"]))

        (offering,) = offerings(fetch(driver))

        assert offering is not None
        assert offering.dropped == 2
        assert offering.triples.count("\n") == 2
        (warning,) = [one for one in caplog.messages if "malformed terms" in one]
        assert "/descriptions/a of a has 2 statements" in warning
        assert "'https://p.example/a b' is not an absolute IRI" in warning
        assert "'?' is not a language tag" in warning

    def test_fetcher_names_iris_that_some_nodes_change(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE, {"@id": "https://p.example/x/../y"}))

        assert len(fetch(driver)) == 1
        (warning,) = [one for one in caplog.messages if "some nodes change" in one]
        assert "/descriptions/a of a has IRIs" in warning
        assert "<https://p.example/x/../y>: its path has the segment . or .." in warning

    def test_fetcher_of_a_sound_description_counts_none(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", document(ONE))

        (electron,) = fetch(driver)

        assert "dropped" not in str(electron.value)


class TestHash:
    """The ledger has the SHA-256 of the bytes that a provider serves."""

    OTHER = hashlib.sha256(b"registered").hexdigest()

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one for one in caplog.messages if "has the hash" in one]

    @pytest.mark.parametrize(
        ("field", "prefix"), [("descriptionHash", ""), ("description_hash", ""), ("description_hash", "0x")]
    )
    def test_the_right_one_passes(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture, field: str, prefix: str
    ) -> None:
        ledger.has("a", document(ONE), **{field: prefix + hashlib.sha256(document(ONE)).hexdigest().upper()})

        assert len(fetch(driver)) == 1
        assert not self.warnings(caplog)

    def test_another_one_is_logged_with_address_and_url(
        self, driver: LinkDriver, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert len(fetch(driver)) == 1
        (warning,) = self.warnings(caplog)
        assert warning.startswith(f"{ledger.server.url}/descriptions/a of a has the hash ") and self.OTHER in warning

    def test_another_one_is_refused_where_the_settings_say_so(self, environment: Environment, ledger: Ledger) -> None:
        environment(VERIFY_DESCRIPTION_HASH="enforce")
        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert fetch(driver) == []
        assert "VERIFY_DESCRIPTION_HASH=enforce" in letters(driver)[0].headers["error"]
        assert failure_of(driver).hash_check == "differs"

    def test_nothing_is_compared_where_it_is_off(
        self, environment: Environment, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        environment(VERIFY_DESCRIPTION_HASH="off")
        driver = LinkDriver(Fetcher(), partitions=PARTITIONS)
        ledger.has("a", document(ONE), description_hash=self.OTHER)

        assert len(fetch(driver)) == 1
        assert not self.warnings(caplog)


class TestContexts:
    def test_those_that_the_operator_has_at_hand_are_used(
        self, environment: Environment, ledger: Ledger, tmp_path: Path
    ) -> None:
        (tmp_path / "contexts.json").write_text('{"https://c.example/c": "c.jsonld"}')
        (tmp_path / "c.jsonld").write_text('{"@context": {"note": "https://p.example/note"}}')
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))
        ledger.has(
            "a",
            json.dumps({"@context": "https://c.example/c", "@id": ONE, "@type": OFFERING, "note": "a note"}).encode(),
        )

        (told,) = offerings(fetch(LinkDriver(Fetcher(), partitions=PARTITIONS)))

        assert told is not None
        assert told.digest == described(ONE).digest

    @pytest.mark.parametrize(
        ("link", "content_type", "is_used"),
        [
            ('<https://c.example/c>; rel="http://www.w3.org/ns/json-ld#context"', "application/json", True),
            ("</c>; rel=http://www.w3.org/ns/json-ld#context", "text/plain", True),
            ('<x>; rel=next, </c>;type="a";rel="up http://www.w3.org/ns/json-ld#context"', "application/json", True),
            ('</c>; rel="http://www.w3.org/ns/json-ld#context"', "application/ld+json; charset=utf-8", False),
            ("</c>; rel=next", "application/json", False),
        ],
    )
    def test_one_in_a_header_of_plain_json_is_used(
        self, environment: Environment, ledger: Ledger, tmp_path: Path, link: str, content_type: str, is_used: bool
    ) -> None:
        own = f"{ledger.server.url}/c"
        (tmp_path / "contexts.json").write_text(json.dumps({"https://c.example/c": "c.jsonld", own: "c.jsonld"}))
        (tmp_path / "c.jsonld").write_text('{"@context": {"note": "https://p.example/note"}}')
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))
        ledger.has("a", b"")
        body = json.dumps({"@id": ONE, "@type": OFFERING, "note": "a note"}).encode()
        ledger.server.answers["/descriptions/a"] = saying(body, Link=link, Content_Type=content_type)

        (told,) = offerings(fetch(LinkDriver(Fetcher(), partitions=PARTITIONS)))

        assert told is not None
        assert (told.digest == described(ONE).digest) == is_used

    def test_one_in_a_header_that_is_not_at_hand_is_named(self, driver: LinkDriver, ledger: Ledger) -> None:
        ledger.has("a", b"")
        link = '<https://c.example/c>; rel="http://www.w3.org/ns/json-ld#context"'
        ledger.server.answers["/descriptions/a"] = saying(b"{}", Link=link)

        assert fetch(driver) == []
        assert "the context https://c.example/c, which is not at hand" in failure_of(driver).error

    @pytest.mark.parametrize(
        "content", [None, "", "[]", '{"https://c.example/c": 1}', '{"https://c.example/c": "none"}']
    )
    def test_a_file_of_them_that_cannot_be_read_is_named(
        self, environment: Environment, ledger: Ledger, tmp_path: Path, content: str | None
    ) -> None:
        if content is not None:
            (tmp_path / "contexts.json").write_text(content)
        environment(JSONLD_CONTEXTS=str(tmp_path / "contexts.json"))

        with pytest.raises(UsageError, match=r"JSONLD_CONTEXTS=.* should be a JSON file"):
            LinkDriver(Fetcher(), partitions=PARTITIONS)
