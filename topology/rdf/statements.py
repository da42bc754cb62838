"""RDF from expanded JSON-LD (https://www.w3.org/TR/json-ld11-api/#rdf-serialization-deserialization-algorithms).

A parser in native code ends the process on some JSON-LD, so this reader is written in Python. Nodes refuse or change terms that
are not well-formed, each in its own way. So statements with such terms are left out, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyoxigraph as ox

from topology.rdf.active_context import KEYWORDS, TooCostlyError
from topology.rdf.json_literal import canonical_json

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_TYPE, _FIRST, _REST, _NIL = (f"<{_RDF}{name}>" for name in ("type", "first", "rest", "nil"))
_JSON = f"<{_RDF}JSON>"
_BOOLEAN, _INTEGER, _DOUBLE, _TEXT = (f"<{_XSD}{name}>" for name in ("boolean", "integer", "double", "string"))
_NEEDS_LANGUAGE = (f"{_RDF}langString", f"{_RDF}dirLangString")
# From here on whole numbers are written as doubles (section 8.6).
_FIRST_DOUBLE = 10**21
DEFAULT_GRAPH = ""
# All others stand in N-Triples as they are.
_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f\ufffe\uffff]')

_MOST_STATEMENTS = 100_000
_MOST_CHARACTERS = 20_000_000
_MOST_REASONS = 5
_SHOWN = 100
_LONGEST_CACHED = 500  # characters


@dataclass(slots=True)
class Statements:
    """The statements of a document.

    Attributes:
        rows: Those that are well-formed: subject, predicate, object and graph as N-Quads writes them, the default graph empty.
        dropped: The number of those left out, since one of their terms is not well-formed.
        reasons: The reasons for that, without repetitions, the first few of them.
    """

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    dropped: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def quads(self) -> list[ox.Quad]:
        """The well-formed statements as objects."""
        text = "".join(f"{' '.join(row)} .\n" for row in self.rows)
        return list(ox.parse(text, format=ox.RdfFormat.N_QUADS, lenient=True))


def to_statements(expanded: Iterable[Any]) -> Statements:
    """Read the statements of an expanded document.

    Base directions are left out, as JSON-LD 1.1 does where no form for them is chosen. Language tags are written in lower case.

    Args:
        expanded: The document.

    Raises:
        TooCostlyError: It has more than 100,000 statements, or 20 million characters in them.
    """
    reader = _Reader()
    for item in expanded:
        reader.node(item, DEFAULT_GRAPH)
    return reader.found


class _Malformed:
    """A term that is not well-formed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Reader:
    def __init__(self) -> None:
        self.found = Statements()
        self._characters = 0
        self._blank_nodes: dict[str, str] = {}
        self._unnamed = 0

    def node(self, node: dict[str, Any], graph: Any) -> Any:
        """Read a node object; return its subject."""
        subject = self._resource(node["@id"]) if "@id" in node else self._new()
        for type_ in node.get("@type", ()):
            self._add(subject, _TYPE, self._resource(type_), graph)
        for key, value in node.items():
            if key == "@graph":
                for item in value:
                    self.node(item, subject)
            elif key == "@included":
                for item in value:
                    self.node(item, graph)
            elif key == "@reverse":
                for property_, items in value.items():
                    for item in items:
                        self._add(self.node(item, graph), self._predicate(property_), subject, graph)
            elif key not in KEYWORDS:
                predicate = self._predicate(key)
                for item in value:
                    self._add(subject, predicate, self._object(item, graph), graph)
        return subject

    def _object(self, item: dict[str, Any], graph: Any) -> Any:
        if "@value" in item:
            return self._literal(item)
        if "@list" in item:
            return self._list(item["@list"], graph)
        return self.node(item, graph)

    def _list(self, items: list[Any], graph: Any) -> Any:
        rest: Any = _NIL
        for item in reversed(items):
            cell = self._new()
            self._add(cell, _FIRST, self._object(item, graph), graph)
            self._add(cell, _REST, rest, graph)
            rest = cell
        return rest

    def _literal(self, item: dict[str, Any]) -> Any:
        value, type_ = item["@value"], item.get("@type")
        if type_ == "@json":
            return _quoted(canonical_json(value), _JSON)
        datatype = None if type_ is None else self._resource(type_)
        if isinstance(datatype, _Malformed):
            return datatype
        if type_ in _NEEDS_LANGUAGE:
            return _Malformed(f"a text has the type {type_}, but no language")
        if isinstance(value, bool):
            return _quoted("true" if value else "false", datatype or _BOOLEAN)
        if isinstance(value, int | float):
            is_double = abs(value) >= _FIRST_DOUBLE or value % 1 != 0 or datatype == _DOUBLE
            text = _double(float(value)) if is_double else str(int(value))
            return _quoted(text, datatype or (_DOUBLE if is_double else _INTEGER))
        if "@language" in item:
            tag = _language_tag(item["@language"])
            return tag if isinstance(tag, _Malformed) else f"{_quoted(value)}@{tag}"
        return _quoted(value, datatype)

    def _resource(self, name: str | None) -> Any:
        if name is None:
            return _Malformed("an @id looks like a keyword")
        if not name.startswith("_:"):
            return _iri(name)
        if name not in self._blank_nodes:
            self._blank_nodes[name] = self._new()
        return self._blank_nodes[name]

    def _predicate(self, name: str) -> Any:
        return _Malformed("a property is a blank node") if name.startswith("_:") else _iri(name)

    def _new(self) -> str:
        self._unnamed += 1
        return f"_:b{self._unnamed}"

    def _add(self, subject: Any, predicate: Any, value: Any, graph: Any) -> None:
        if not (type(subject) is type(predicate) is type(value) is type(graph) is str):
            self._drop(next(term.reason for term in (subject, predicate, value, graph) if isinstance(term, _Malformed)))
            return
        self._characters += len(subject) + len(predicate) + len(value)
        if self._characters > _MOST_CHARACTERS:
            raise TooCostlyError(f"it has more than {_MOST_CHARACTERS} characters once its names are written out")
        self.found.rows.append((subject, predicate, value, graph))
        self._check_number()

    def _drop(self, reason: str) -> None:
        self.found.dropped += 1
        if reason not in self.found.reasons and len(self.found.reasons) < _MOST_REASONS:
            self.found.reasons.append(reason)
        self._check_number()

    def _check_number(self) -> None:
        if len(self.found.rows) + self.found.dropped > _MOST_STATEMENTS:
            raise TooCostlyError(f"it has more than {_MOST_STATEMENTS} triples")


def _iri(iri: str) -> str | _Malformed:
    return _known_iri(iri) if len(iri) <= _LONGEST_CACHED else _known_iri.__wrapped__(iri)


# Offerings share most of their properties, types and languages.
@lru_cache(maxsize=1024)
def _known_iri(iri: str) -> str | _Malformed:
    try:
        return str(ox.NamedNode(iri))
    except ValueError as error:
        return _Malformed(f"{_shown(iri)} is not an absolute IRI: {error}")


def _language_tag(tag: str) -> str | _Malformed:
    return _known_tag(tag) if len(tag) <= _LONGEST_CACHED else _known_tag.__wrapped__(tag)


@lru_cache(maxsize=256)
def _known_tag(tag: str) -> str | _Malformed:
    try:
        return str(ox.Literal("", language=tag).language)
    except ValueError:
        return _Malformed(f"{_shown(tag)} is not a language tag")


def _quoted(text: str, datatype: str | None = None) -> str:
    """Write a literal in the canonical form of N-Triples."""
    written = str(ox.Literal(text)) if _ESCAPED.search(text) else f'"{text}"'
    return written if datatype in (None, _TEXT) else f"{written}^^{datatype}"


def _double(number: float) -> str:
    """Write a number in the canonical form of xsd:double (https://www.w3.org/TR/xmlschema11-2/#double)."""
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int), "JSON has neither infinity nor NaN"
    if digits == (0,):
        return "0.0E0"
    first, *others = map(str, digits)
    return f"{'-' * sign}{first}.{''.join(others) or '0'}E{exponent + len(others)}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
