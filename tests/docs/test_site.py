"""The site has every page, each once, and every link in them leads to a file and a heading that there is.

``make docs`` has MkDocs check the same, in an environment of its own.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.documents import ROOT
from topology.settings import known_variables

_LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")


@pytest.fixture(scope="module")
def site() -> Any:
    spec = importlib.util.spec_from_file_location("make_site", ROOT / "docs/make_site.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            yield from named(target) if isinstance(target, list) else (target,)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as its renderers make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in plain}


def test_navigation_names_every_page_once(site: Any) -> None:
    navigation = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))

    there = [str(page.relative_to(ROOT)) for page in site.pages()]
    assert sorted(navigation) == sorted([*there, "docs/settings.md"])


def test_links_lead_to_files_and_headings_that_there_are(site: Any) -> None:
    broken = []
    for page in site.pages():
        for target in _LINK.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)):
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and file.suffix == ".md" and anchor not in headings(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []


def test_page_of_settings_has_each_setting(site: Any) -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", site.settings_page(), re.MULTILINE)

    assert len(rows) == len(set(rows))
    assert known_variables() - {"METRICS_PORT"} <= set(rows)


def test_site_loads_nothing_from_other_hosts() -> None:
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    assert configuration["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css"} & configuration.keys()
