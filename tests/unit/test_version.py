"""The version in the tree is the one that the changelog describes, and no document names one that cannot be had."""

from __future__ import annotations

import re

import pytest

from catena_core.version import __version__
from tests.helpers.documents import DOCUMENTS, ROOT

NAME, STATE = re.findall(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]


def test_version_is_that_of_the_changelog_and_a_development_version_until_its_release() -> None:
    assert __version__ == (f"{NAME}.dev0" if STATE == "unreleased" else NAME)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_document_names_no_version_before_its_release(path) -> None:
    assert STATE != "unreleased" or NAME not in path.read_text()
