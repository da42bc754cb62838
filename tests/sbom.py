"""Writes the bill of materials of a release: ``python -m tests.sbom FILE``.

It lists the packages that the catalogue needs, as they are installed here, and the JavaScript in the pages, in CycloneDX 1.6
(https://cyclonedx.org/docs/1.6/json/). It holds neither time nor path, so the same packages give the same file.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from catena_core.version import __version__

_ROOT = Path(__file__).parents[1]
_RELEASE = Requirement("catena-links[catalogue,oidc,redis]")


def needed(root: Requirement = _RELEASE) -> dict[str, Distribution]:
    """Return the installed packages that a requirement leads to, by name, with its own.

    Args:
        root: The requirement.

    Raises:
        PackageNotFoundError: One of them is not installed.
    """
    found: dict[str, Distribution] = {}
    looked_at: set[tuple[str, str]] = set()
    open_ = [root]
    while open_:
        wanted = open_.pop()
        name = canonicalize_name(wanted.name)
        package = found.setdefault(name, distribution(wanted.name))
        for extra in {"", *wanted.extras}:
            if (name, extra) in looked_at:
                continue
            looked_at.add((name, extra))
            given = [Requirement(text) for text in package.requires or ()]
            open_ += [one for one in given if one.marker is None or one.marker.evaluate({"extra": extra})]
    return found


def bill() -> dict[str, Any]:
    """Return the bill of materials as JSON."""
    packages = needed()
    release = packages.pop(canonicalize_name(_RELEASE.name))
    components = [_python(name, package, package.version) for name, package in sorted(packages.items())] + _javascript()
    # The version of the tree: that of an installation in place stays as it was when it was made.
    root = {**_python(canonicalize_name(_RELEASE.name), release, __version__), "type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _python(name: str, package: Distribution, version: str) -> dict[str, Any]:
    about = package.metadata
    licences: list[dict[str, Any]] = []
    if "License-Expression" in about:
        licences = [{"expression": about["License-Expression"]}]
    else:
        given = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or () if one.startswith("License ::")]
        licences = [{"license": {"name": one}} for one in given]
    return _component(name, version, f"pkg:pypi/{name}@{version}", licences)


def _javascript() -> list[dict[str, Any]]:
    """List the packages that ``make web`` builds into the pages; those that it builds with are not in them."""
    packages = json.loads((_ROOT / "web_editor/package-lock.json").read_text())["packages"]
    found = []
    for path, package in sorted(packages.items()):
        if path and not package.get("dev"):
            name = path.rpartition("node_modules/")[2]
            purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
            component = _component(name, package["version"], purl, [{"license": {"id": package["license"]}}])
            digest = base64.b64decode(package["integrity"].removeprefix("sha512-")).hex()
            found.append({**component, "hashes": [{"alg": "SHA-512", "content": digest}]})
    return found


def _component(name: str, version: str, purl: str, licences: list[dict[str, Any]]) -> dict[str, Any]:
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return {**component, "licenses": licences} if licences else component


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=2) + "\n", encoding="utf-8")
