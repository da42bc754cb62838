"""SPARQL results in the formats that servers send, read without harm: nodes are not trusted.

JSON is read by msgspec, whose recursion is bounded; pyoxigraph's reader ends the process at some thousand nested triple terms.
XML is read by pyoxigraph, once its nesting is known to be small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
import pyoxigraph

from federation.fetching.terms import is_plain

TSV = "text/tab-separated-values"

_JSON = frozenset({"application/sparql-results+json", "application/json"})
_XML = frozenset({"application/sparql-results+xml", "application/xml", "text/xml"})
_UNSAID = frozenset({"", "text/plain", "application/octet-stream"})
_XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"
_MOST_NESTING = 16
# A term takes some hundred bytes of memory, however short it is in JSON.
_MOST_OBJECTS = 12_000_000
_TRIPLE_TAG = re.compile(rb"<(/?)(?:[\w.-]+:)?triple\b")
_END_OF_XML = re.compile(rb"</(?:[\w.-]+:)?sparql\s*>\s*(?:<!--.*?-->\s*)*\Z", re.DOTALL)
_IN_LITERALS = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NOT_IN_IRIS = re.compile(r'[<>"{}|^`\\\x00-\x20]')
_NOT_IN_LABELS = re.compile(r"[^0-9A-Za-z]")


class UnreadableTableError(ValueError):
    """The body is not a whole table of SPARQL results with the wanted columns; the message gives the reason."""


def opened(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Return the media type of a table, and the table without a byte order mark.

    Some servers say that every answer is plain text. Then its first character tells.

    Args:
        content_type: The Content-Type of the answer; empty where there is none.
        body: The body of the answer.
    """
    media_type = content_type.split(";")[0].strip().lower()
    body = body.removeprefix(b"\xef\xbb\xbf")
    if media_type in _UNSAID:
        first = body[:100].lstrip()[:1]
        media_type = "application/json" if first == b"{" else "application/xml" if first == b"<" else TSV
    return media_type, body


def read_table(media_type: str, body: bytes, columns: Iterable[str]) -> bytes:
    """Read a table in SPARQL 1.1 Results JSON or XML.

    Args:
        media_type: Its media type, in small letters and without parameters; those of JSON and XML in general will do.
        body: The table.
        columns: The wanted columns, all that it has.

    Returns:
        Lines of TSV in the order of the columns, each term in N-Triples form.

    Raises:
        UnreadableTableError: The body is no such table.
    """
    columns = tuple(columns)
    try:
        if media_type in _JSON:
            lines = _from_json(body, columns)
        elif media_type in _XML:
            lines = _from_xml(body, columns)
        else:
            raise UnreadableTableError(f"the answer comes as {media_type or 'no media type'}, not as SPARQL results")
        return "".join(f"{line}\n" for line in lines).encode()
    except RecursionError:
        raise UnreadableTableError("its terms are nested too deeply") from None
    except (msgspec.MsgspecError, SyntaxError, ValueError) as error:
        # Its traceback holds pyoxigraph's reader, which no other thread may free.
        raise UnreadableTableError(str(error)) from error.with_traceback(None)


class _Triple(msgspec.Struct):
    subject: _Term
    predicate: _Term
    object: _Term


class _Term(msgspec.Struct):
    type: str
    value: str | _Triple
    datatype: str | None = None
    language: str | None = msgspec.field(default=None, name="xml:lang")
    direction: str | None = msgspec.field(default=None, name="its:dir")


class _Head(msgspec.Struct):
    vars: list[str]


class _Results(msgspec.Struct):
    bindings: list[dict[str, _Term]]


class _Document(msgspec.Struct):
    head: _Head
    results: _Results


_DECODER = msgspec.json.Decoder(_Document)


def _from_json(body: bytes, columns: tuple[str, ...]) -> list[str]:
    if len(body) > _MOST_OBJECTS and max(map(body.count, (b"{", b"[", b'","'))) > _MOST_OBJECTS:
        raise UnreadableTableError(f"it has more than {_MOST_OBJECTS} objects")
    document = _DECODER.decode(body)
    _check_columns(document.head.vars, columns)
    known = frozenset(columns)
    return [_row(binding, columns, known) for binding in document.results.bindings]


def _row(binding: Mapping[str, _Term], columns: tuple[str, ...], known: frozenset[str]) -> str:
    if not binding.keys() <= known:
        raise UnreadableTableError(
            f"a row binds {', '.join(binding.keys() - known)[:100]}, which the query does not have"
        )
    return "\t".join(_written(binding[column]) if column in binding else "" for column in columns)


def _written(term: _Term, depth: int = 0) -> str:
    value = term.value
    if isinstance(value, str):
        if term.type == "uri":
            return _iri(value)
        if term.type == "bnode":
            return "_:b" + _NOT_IN_LABELS.sub(lambda found: f"_{ord(found[0]):X}_", value)
        if term.type in ("literal", "typed-literal"):
            return _literal(value, term)
    elif depth == _MOST_NESTING:
        raise UnreadableTableError(f"triple terms are nested more than {_MOST_NESTING} deep")
    else:
        parts = (_written(part, depth + 1) for part in (value.subject, value.predicate, value.object))
        return f"<<( {' '.join(parts)} )>>"
    raise UnreadableTableError(f"there is no term of the type {term.type[:100]!r}")


def _iri(value: str) -> str:
    return "<" + _NOT_IN_IRIS.sub(lambda found: f"\\u{ord(found[0]):04X}", value) + ">"


def _literal(value: str, term: _Term) -> str:
    text = f'"{value.translate(_IN_LITERALS)}"'
    if term.language:
        text += f"@{term.language}" + (f"--{term.direction}" if term.direction else "")
    elif term.datatype and term.datatype != _XSD_STRING:
        text += f"^^<{term.datatype}>"
    if not is_plain(text.encode()):
        raise UnreadableTableError(f"{text[:100]!r} is no literal")
    return text


def _from_xml(body: bytes, columns: tuple[str, ...]) -> list[str]:
    if not _END_OF_XML.search(body):  # pyoxigraph reads what there is
        raise UnreadableTableError("it breaks off")
    depth = 0
    for tag in _TRIPLE_TAG.finditer(body):
        depth += -1 if tag[1] else 1
        if depth > _MOST_NESTING:
            raise UnreadableTableError(f"triple terms are nested more than {_MOST_NESTING} deep")
    solutions = pyoxigraph.parse_query_results(body, pyoxigraph.QueryResultsFormat.XML)
    if not isinstance(solutions, pyoxigraph.QuerySolutions):
        raise UnreadableTableError("it is true or false, not a table")
    _check_columns([variable.value for variable in solutions.variables], columns)
    return ["\t".join(map(_of_pyoxigraph, (row[column] for column in columns))) for row in solutions]


def _of_pyoxigraph(term: object) -> str:
    if isinstance(term, pyoxigraph.Triple):
        return f"<<( {' '.join(map(_of_pyoxigraph, term))} )>>"
    if isinstance(term, pyoxigraph.NamedNode):
        return _iri(term.value)
    return "" if term is None else str(term)


def _check_columns(found: list[str], columns: tuple[str, ...]) -> None:
    if sorted(found) != sorted(columns):
        raise UnreadableTableError(f"it has the columns {' '.join(found)[:100]!r}, not {' '.join(columns)!r}")
