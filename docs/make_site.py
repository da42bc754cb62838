"""Gathers the pages of the site for MkDocs, into build/site-source: ``python docs/make_site.py``.

Each page keeps its place in the repository, and so do the files that pages link to. So relative links hold on the site as they
do in the repository, and ``mkdocs build --strict`` checks all of them. Settings come from ``examples/example.env``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build/site-source"
_PAGES = ("*.md", "docs/*.md", "examples/**/*.md")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_SETTING = re.compile(r"#?([A-Z][A-Z0-9_]*)=(.*)")


def pages() -> list[Path]:
    """Return the pages, without those that the site makes itself."""
    return sorted(page for pattern in _PAGES for page in ROOT.glob(pattern))


def linked_files(page: Path) -> Iterator[Path]:
    """Return the files, pages apart, to which a page links."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        if path.is_file() and path.suffix != ".md" and path.is_relative_to(ROOT):
            yield path


def settings_page() -> str:
    """Write the settings as a page: their names and defaults under the headings of ``example.env``."""
    lines = [
        "# Settings",
        "",
        "Made from `examples/example.env`. The environment wins over `.env`, and options win over both.",
        "",
    ]
    said: list[str] = []
    for line in (ROOT / "examples/example.env").read_text(encoding="utf-8").splitlines():
        if line.startswith("# ---"):
            lines += ["", f"## {line.strip('# -')}", "", "| setting | default | |", "|---|---|---|"]
            said = []
        elif found := _SETTING.fullmatch(line):
            shown = f"`{found[2]}`" if found[2] else ""
            lines.append(f"| `{found[1]}` | {shown} | {' '.join(said)} |".replace("{", "&#123;"))
            said = []
        elif line.startswith("# "):
            said.append(line[2:].replace("|", "\\|"))
        else:
            said = []
    return "\n".join(lines) + "\n"


def gather() -> None:
    """Write all of it, in place of what an earlier run wrote."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for source in [*pages(), *(file for page in pages() for file in linked_files(page))]:
        target = TARGET / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (TARGET / "docs/settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    gather()
