"""A store moves to the disk when it takes more memory than it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.view.messages import Change
from federation.view.overflow import OverflowTemplate
from federation.view.template import DiskTemplate, Template

CHANGE = Change({"urn:g": "digest"}, b"<urn:s> <urn:p> <urn:o> <urn:g> .\n")


@pytest.fixture
def reasons() -> list[str]:
    return []


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, reasons: list[str]) -> Iterator[OverflowTemplate]:
    store = OverflowTemplate(Template(0), DiskTemplate(str(tmp_path), 0, "1"), request.param, reasons.append)
    yield store
    store.end()


@pytest.mark.parametrize("store", [2**40], indirect=True)
def test_a_store_that_fits_stays_in_memory(store: OverflowTemplate, reasons: list[str], tmp_path: Path) -> None:
    assert store.resume() == {}
    assert store.change(CHANGE) > 0
    assert (reasons, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("store", [1], indirect=True)
def test_a_store_that_does_not_fit_begins_again_on_disk(
    store: OverflowTemplate, reasons: list[str], tmp_path: Path
) -> None:
    assert store.resume() == {}
    with pytest.raises(EOFError):
        store.change(CHANGE)
    assert reasons == ["it takes more than GATEWAY_VIEW_BYTES, 1"]
    assert store.resume() == {}
    assert store.change(CHANGE) == 0
    store.end()
    assert store.resume() == {"urn:g": "digest"}
    assert len(reasons) == 1
    assert list(tmp_path.iterdir())
