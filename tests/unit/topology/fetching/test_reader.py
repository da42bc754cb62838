"""Descriptions as the fetcher reads them: their hashes, and their contexts."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from catena_core.errors import RejectedError, UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.testing import LinkDriver
from links.fetcher import Fetcher
from tests.helpers.environment import Environment
from tests.helpers.fetcher import ONE, PARTITIONS, Ledger, failure_of, fetch, letters, offerings
from tests.helpers.odd_server import saying
from tests.helpers.records import OFFERING, described, document
from topology.clients.http import Response
from topology.clients.ledger import LedgerEntry
from topology.fetching.reader import DescriptionReader, linked_context, read_contexts


class TestHash:
    """The ledger has the SHA-256 of the bytes that a provider serves."""

    OTHER = hashlib.sha256(b"registered").hexdigest()

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one for one in caplog.messages if "has the hash" in one]

    @pytest.mark.parametrize(
        ("field", "prefix"),
        [
            ("descriptionHash", ""),
            ("description_hash", ""),
            ("description_hash", "0x"),
            ("description_hash", "sha256:"),
            ("description_hash", "SHA-256="),
            ("description_hash", " sha256-0x"),
        ],
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


def answer(body: bytes = b"", **headers: str) -> Response:
    return Response(200, {name.replace("_", "-"): text for name, text in headers.items()}, body, "https://p.example/1")


def reader(check: str = "warn", contexts: str = "") -> DescriptionReader:
    return DescriptionReader(contexts, check, LinkLogger("test"))


SHA256 = hashlib.sha256(b"a description").hexdigest()


@pytest.mark.parametrize("check", ["warn", "enforce"])
@pytest.mark.parametrize(
    ("registered", "outcome"),
    [
        (SHA256, "same"),
        (f" 0X{SHA256.upper()}\n", "same"),
        (SHA256[:-1], "differs"),
        (base64.b64encode(bytes.fromhex(SHA256)).decode(), "same"),
        (f"sha256-{base64.urlsafe_b64encode(bytes.fromhex(SHA256)).decode().rstrip('=')}", "same"),
        (base64.b64encode(bytes(32)).decode(), "differs"),
        ("no hash at all", "differs"),
        (f"0x{'0' * 64}", ""),
        ("0x", ""),
        ("", ""),
    ],
)
def test_hash_is_compared_whatever_the_ledger_writes_around_it(registered: str, outcome: str, check: str) -> None:
    entry = LedgerEntry("https://p.example/1", description_hash=registered)

    assert reader(check).compare_hash(entry, b"a description") == outcome
    assert reader("off").compare_hash(entry, b"a description") == ""


def test_read_of_another_hash_shows_no_password_and_no_control_characters() -> None:
    entry = LedgerEntry("https://ada:secret@p.example/\x1b", description_hash="\x1b" + "f" * 200)

    with pytest.raises(RejectedError) as caught:
        reader("enforce").read("a\x1b", entry, answer(document(ONE)), "differs")

    said = str(caught.value)
    assert "VERIFY_DESCRIPTION_HASH=enforce refuses it" in said
    assert "secret" not in said and "\x1b" not in said and "f" * 100 not in said


def test_digest_of_a_reader_changes_with_all_that_decides_what_it_reads(tmp_path: Path) -> None:
    for name, note in (("one", "note"), ("two", "other")):
        (tmp_path / f"{name}.jsonld").write_text(json.dumps({"@context": {"note": f"https://p.example/{note}"}}))
        (tmp_path / f"{name}.json").write_text(json.dumps({"https://c.example/c": f"{name}.jsonld"}))
    settings = [("warn", ""), ("enforce", ""), ("warn", "one.json"), ("warn", "two.json")]

    digests = [reader(check, contexts and str(tmp_path / contexts)).digest for check, contexts in settings]

    assert len(set(digests)) == len(settings)
    assert reader().digest == digests[0]


LINK = '<c>; rel="http://www.w3.org/ns/json-ld#context"'


@pytest.mark.parametrize(
    ("link", "content_type", "context"),
    [
        (LINK, "application/json", "c"),
        (LINK.upper(), "", "C"),
        ("<>; rel=http://www.w3.org/ns/json-ld#context", "application/json", ""),
        (f"<a>; rel=next, {LINK}, <b>; rel=up", "application/json", "c"),
        ('<c>; rel="http://www.w3.org/ns/json-ld#contexts"', "application/json", ""),
        (LINK, "Application/LD+JSON", ""),
        ("<" * 100_000 + LINK, "application/json", ""),
        ("<a>;" * 2100 + LINK, "application/json", ""),
        ("", "application/json", ""),
    ],
)
def test_context_is_that_of_the_link_with_its_relation(link: str, content_type: str, context: str) -> None:
    assert linked_context(answer(link=link, content_type=content_type)) == context


def test_file_of_contexts_is_named_with_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "contexts.json").write_text('{"https://c.example/c": "broken.jsonld"}')
    (tmp_path / "broken.jsonld").write_text("{")

    with pytest.raises(UsageError, match=r"JSONLD_CONTEXTS=.*contexts\.json.*broken\.jsonld: "):
        read_contexts(str(tmp_path / "contexts.json"))
    assert read_contexts("") == {}
