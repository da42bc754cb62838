"""The base class of the links: what ends them, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from catena_core.errors import CatenaError, StoppedError
from topology import catalogue_link
from topology.catalogue_link import CatalogueLink


def test_a_link_that_stops_on_the_embedded_broker_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_link, "check_whole", lambda *_: True)
    link = CatalogueLink()
    link._catena.stop.set()

    with pytest.raises(StoppedError):
        link._watch_broker()
    assert link.failure is None


def test_a_link_ends_with_the_reason_once_the_broker_has_dropped_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*_: object) -> bool:
        raise CatenaError("catena.offerings has lost its beginning")

    monkeypatch.setattr(catalogue_link, "check_whole", check)
    link = CatalogueLink()

    with pytest.raises(SystemExit):
        link._watch_broker()
    assert "has lost its beginning" in str(link.failure)


def test_a_link_takes_kafka_and_its_properties_from_the_file_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("KAFKA_ENDPOINT=k:9093\nKAFKA_SECURITY_PROTOCOL=SSL\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)

    options = CatalogueLink().options
    assert (options.kafka_endpoint, options.properties) == ("k:9093", {"security.protocol": "SSL"})


def test_file_of_settings_that_cannot_be_read_ends_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_bytes(b"HOST_PORT=\xff")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_ENDPOINT", raising=False)

    with pytest.raises(SystemExit, match=r"Error: \.env cannot be read: line 1 is not UTF-8"):
        CatalogueLink()
