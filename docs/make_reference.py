"""Writes docs/reference.md from the docstrings of the library: ``python docs/make_reference.py``.

Griffe (https://mkdocstrings.github.io/griffe/) reads modules without running them, and takes docstrings apart.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import griffe

from catena_core.options import LinkOptions

TARGET = Path(__file__).parent / "reference.md"

# What stands in the reference, and in which order: title, module, names.
SECTIONS = (
    ("Links", "catena_core.link", ("Link",)),
    ("Electrons", "catena_core.electron", ("Electron",)),
    ("Remote calls", "catena_core.rpc.methods", ("rpc", "Context")),
    ("Remote calls", "catena_core.rpc.instances", ("Instances", "Instance")),
    ("Dead letters", "catena_core.dead_letters.policy", ("DeadLetterLimits", "DeadLetterLimitError")),
    ("Tables", "catena_core.table", ("TableContent",)),
    ("Topics", "catena_core.topics", ("ensure", "TopicSpec")),
    ("Stores", "catena_core.stores.store", ("Store",)),
    ("Stores", "catena_core.stores.mongodb", ("MongoDBConnector",)),
    ("Stores", "catena_core.stores.aerospike", ("AerospikeConnector",)),
    ("Stores", "catena_core.stores.redis", ("RedisConnector",)),
    ("Testing", "catena_core.testing.driver", ("LinkDriver",)),
    ("Testing", "catena_core.rpc.local", ("LocalRpc",)),
    ("Testing", "catena_core.testing.pytest_plugin", ("catena_broker", "run_link")),
    ("Testing", "catena_core.testing.broker", ("TestBroker", "RunLink")),
    ("Testing", "catena_core.embedded", ("EmbeddedBroker",)),
)

# Methods by which the library's parts call each other, not for those who write links.
_INTERNAL = {
    "Link": {"run"},
    "LinkDriver": {"send", "table", "partition_count", "submit", "callback", "current_assignment", "rpc"},
    "LocalRpc": {"join"},
    "TableContent": {"apply"},
    "Instances": {"find", "wait_for", "wake", "saw", "ended"},
    "TestBroker": {"watch", "forget"},
    "RunLink": {"close"},
}

HEADER = """# Reference

Made from the docstrings by `python docs/make_reference.py`. Where to begin: the [guide](guide.md); by need: the
[cookbook](cookbook.md).
"""


def reference() -> str:
    """Make the whole text."""
    logging.getLogger("griffe").setLevel(logging.ERROR)
    package: Any = griffe.load("catena_core", search_paths=[str(TARGET.parents[1])], docstring_parser="google")
    parts, before = [HEADER], ""
    for title, module, names in SECTIONS:
        if title != before:
            parts.append(f"## {title}\n")
            before = title
        for name in names:
            parts.extend(_described(package[module.removeprefix("catena_core.")][name], 3))
        if module == "catena_core.link":
            parts.append(_options())
    parts.append("## Errors\n\nIn `catena_core.errors`; indented below the one that they are a kind of.\n")
    parts.append("\n".join(_errors(package["errors"], "CatenaError", 0)) + "\n")
    return "\n".join(parts)


def _described(item: Any, level: int) -> Iterator[str]:
    """Describe a class with its methods, or a function, in Markdown."""
    if item.is_class:
        yield f"{'#' * level} {item.name}\n"
        constructor = item.members.get("__init__")
        yield f"`{_import(item)}{_parameters(constructor) if constructor else ''}`\n"
        yield from _text(item)
        if constructor is not None:
            yield from _text(constructor)
        for member in item.members.values():
            hidden = member.name in _INTERNAL.get(item.name, ())
            hidden |= member.name.startswith("_") and member.name != "__call__"
            if member.is_alias or hidden or not member.docstring:
                continue
            if member.is_function or "property" in member.labels:
                yield from _described(member, level + 1)
    else:
        decorators = "".join(str(decorator.value) for decorator in getattr(item, "decorators", ()))
        is_property = "property" in item.labels
        name = item.name if item.parent.is_class else _import(item)
        name = "run_link" if name == "__call__" else name
        shown = item.name if is_property else f"{name}{_parameters(item)}"
        kind = getattr(item, "returns", None) or getattr(item, "annotation", None)
        returned = f" -> {kind}" if kind else ""
        if "pytest.fixture" in decorators:
            shown, returned = f"fixture {item.name}", ""
        yield f"{'#' * level} {'run_link(…)' if item.name == '__call__' else item.name}\n"
        yield f"`{shown}{'' if returned == ' -> None' else returned}`\n"
        yield from _text(item)


def _import(item: Any) -> str:
    """From where it is imported: the shortest way."""
    for package in ("catena_core", "catena_core.rpc", "catena_core.stores", "catena_core.testing"):
        if item.name in importlib.import_module(package).__all__:
            return f"{package}.{item.name}"
    return str(item.path)


def _parameters(function: Any) -> str:
    shown, star = [], False
    for parameter in function.parameters:
        if parameter.name in ("self", "cls"):
            continue
        kind = parameter.kind.value
        if kind == "keyword-only" and not star:
            shown.append("*")
            star = True
        prefix = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        star = star or prefix == "*"
        default = f"={parameter.default}" if parameter.default is not None and not prefix else ""
        shown.append(f"{prefix}{parameter.name}{default}")
    return f"({', '.join(shown)})"


def _text(item: Any) -> Iterator[str]:
    """Turn a docstring into Markdown."""
    for section in item.docstring.parse("google", warnings=False) if item.docstring else ():
        kind = section.kind.value
        if kind == "text":
            yield _markdown(section.value) + "\n"
        elif kind in ("parameters", "attributes", "raises"):
            if kind == "raises":
                yield "Raises:\n"
            for entry in section.value:
                name = getattr(entry, "name", None) or str(entry.annotation)
                yield f"- `{name}`: {_markdown(entry.description)}".replace("\n", "\n  ")
            yield ""
        elif kind == "returns":
            yield "Returns: " + _markdown(" ".join(_returned(entry) for entry in section.value)) + "\n"
        elif kind == "admonition":
            yield f"{section.title}: {_markdown(section.value.description)}\n"


def _returned(entry: Any) -> str:
    # "As the second, a dictionary: …" is a sentence, not a name and its description.
    return f"{entry.name}: {entry.description}" if entry.name else str(entry.description)


def _markdown(text: str) -> str:
    text = re.sub(r":(?:class|meth|mod|func|data|attr):`~?([^`]+)`", lambda found: f"`{found[1].split('.')[-1]}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _options() -> str:
    """List the options of links in one table."""
    lines = [
        "### LinkOptions\n",
        "Each is an argument of a link's constructor and an option of its command line, which wins.\n",
    ]
    lines += ["| constructor | command line | default | |", "|---|---|---|---|"]
    for item in fields(LinkOptions):
        described = item.metadata
        metavar = described.get("metavar") or "\\|".join(described.get("choices") or ())
        metavar = "NAME=VALUE" if item.name == "properties" else metavar
        flags = ", ".join(f"`{flag}`" for flag in "/".join(described["flags"]).split("/")) + (
            f" {metavar}" if metavar else ""
        )
        if described.get("environment"):
            flags += f"; `{described['environment']}`"
        default = getattr(LinkOptions(), item.name)
        shown = "" if default in (None, (), {}) else f"`{default}`"
        about = described["help"].split("  [default")[0].replace("|", "\\|")
        lines.append(f"| `{item.name}` | {flags} | {shown} | {about} |")
    return "\n".join(lines) + "\n"


def _errors(module: Any, base: str, depth: int) -> Iterator[str]:
    summary = _markdown(module[base].docstring.value).split("\n\n")[0].replace("\n", " ")
    yield f"{'  ' * depth}- `{base}`: {summary}"
    for name, item in module.attributes.items():
        if str(item.value) == base:
            yield f"{'  ' * depth}- `{name}`: Another name of `{base}`."
    for name, item in module.classes.items():
        if base in [str(parent) for parent in item.bases]:
            yield from _errors(module, name, depth + 1)


if __name__ == "__main__":
    TARGET.write_text(reference())
