"""Every path and module that the documents name exists, and the architecture names every package."""

import importlib
import re
from pathlib import Path

import pytest

from tests.helpers.documents import DOCUMENTS, ROOT

PACKAGES = ("catena_core", "federation", "links", "sandbox", "topology")
QUOTED = re.compile(r"`([^`]+)`")
PATH = re.compile(rf"(?:{'|'.join(PACKAGES)}|docs|examples|tests)/[\w./-]*|[\w-]+\.py")
DEFINED = re.compile(r"`([\w/]+\.py)`:\s+`(\w+)`")
MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")


def unknown(text, folder=ROOT):
    """Return the back-quoted paths and modules of a text that do not exist.

    Args:
        text: A document.
        folder: Where the file names without a folder may lie, besides the files that the document writes itself.
    """
    written = set(re.findall(r"^# (\w+\.py)$", text, re.MULTILINE))
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    missing = set()
    # One paragraph at a time: a quotation may go over a line's end, and a lone back quote must not turn all others round.
    quoted = [name for paragraph in re.split(r"\n\s*\n", prose) for name in QUOTED.findall(paragraph)]
    for name in quoted:
        if PATH.fullmatch(name):
            found = (ROOT / name).exists() if "/" in name else name in written or (folder / name).exists()
        elif called := MODULE.match(name):
            found = exists(called[0])
        else:
            continue
        if not found:
            missing.add(name)
    return missing


def exists(dotted):
    """Import the longest part of a dotted name that is a module, and look the rest up in it."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def undefined(text):
    """Return the functions and classes that a text names right after their file, although the file does not define them."""
    return {
        (file, name)
        for file, name in DEFINED.findall(text)
        if not re.search(rf"^ *(?:(?:async )?def|class) {name}\b", (ROOT / file).read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_names_only_paths_that_exist(document):
    assert unknown(document.read_text(), document.with_suffix("")) == set()


@pytest.mark.parametrize(
    "name",
    ["federation/nothing.py", "topology/nowhere/", "nothing.py", "catena_core.nothing", "catena_core.errors.Nothing"],
)
def test_unknown_finds_a_made_up_name(name):
    assert unknown(f"It is in `{name}`.") == {name}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_names_only_definitions_that_exist(document):
    assert undefined(document.read_text()) == set()


def test_undefined_finds_a_made_up_name():
    text = "`links/router.py`: `transform` calls `links/router.py`:\n`nothing`."
    assert undefined(text) == {("links/router.py", "nothing")}


def test_unknown_accepts_files_that_the_document_writes():
    assert unknown("See `mine.py`:\n\n```python\n# mine.py\n```\n") == set()


def test_architecture_names_every_package():
    text = (ROOT / "docs/architecture.md").read_text()
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    names = {f"{Path(folder).relative_to(ROOT).as_posix()}/" for folder in folders}
    assert {name for name in names if f"`{name}`" not in text} == set()
