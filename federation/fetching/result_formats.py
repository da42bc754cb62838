"""SPARQL results in the formats that servers send, read without harm: nodes are not trusted.

JSON is read by msgspec, whose recursion is bounded, and XML by expat, which has none. pyoxigraph's readers end the process at
some thousand nested triple terms, and the one of XML drops white space around literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.parsers import expat

import msgspec

from federation.fetching.terms import is_plain

TSV = "text/tab-separated-values"

_JSON = frozenset({"application/sparql-results+json", "application/json", "text/json"})
_XML = frozenset({"application/sparql-results+xml", "application/xml", "text/xml"})
_UNSAID = frozenset({"", "text/plain", "application/octet-stream"})
_XSD_STRING = "http://www.w3.org/2001/XMLSchema#string"
_MOST_NESTING = 16
# A term takes some hundred bytes of memory, however short it is in JSON.
_MOST_OBJECTS = 12_000_000
_NODES = ("uri", "bnode", "literal")
_TERMS = frozenset({*_NODES, "triple"})
_PARTS = ("subject", "predicate", "object")
_ELEMENTS: Mapping[str, frozenset[str]] = {
    "": frozenset({"sparql"}),
    "sparql": frozenset({"head", "results"}),
    "head": frozenset({"variable", "link"}),
    "results": frozenset({"result"}),
    "result": frozenset({"binding"}),
    "binding": _TERMS | {"unbound"},
    "triple": frozenset(_PARTS),
    **dict.fromkeys(_PARTS, _TERMS),
}
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


def is_bounded(headers: Mapping[str, str]) -> bool:
    """Return whether HTTP tells that all of an answer has come.

    Where the end of the connection ends it, TSV that breaks off after a row looks whole.

    Args:
        headers: Those of the answer, by name in any case.
    """
    return "Content-Length" in headers or "Transfer-Encoding" in headers


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
            raise UnreadableTableError(
                "its TSV is no table with the columns that were asked for"
                if media_type == TSV
                else f"it comes as {media_type or 'no media type'}, not as SPARQL results"
            )
        return "".join(f"{line}\n" for line in lines).encode()
    except RecursionError:
        raise UnreadableTableError("its terms are nested too deeply") from None
    except (msgspec.MsgspecError, expat.ExpatError, ValueError) as error:
        raise UnreadableTableError(str(error)) from error


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
    # A table has neither of these.
    boolean: object = None
    error: object = None


_DECODER = msgspec.json.Decoder(_Document)
_ONCE = (b'"results"', b'"bindings"')


def _from_json(body: bytes, columns: tuple[str, ...]) -> list[str]:
    if len(body) > _MOST_OBJECTS and max(map(body.count, (b"{", b"[", b'","'))) > _MOST_OBJECTS:
        raise UnreadableTableError(f"it has more than {_MOST_OBJECTS} objects")
    if any(body.count(name) > 1 and len(re.findall(name + rb"\s*:", body)) > 1 for name in _ONCE):
        raise UnreadableTableError("it has results more than once")  # the decoder takes the last
    document = _DECODER.decode(body)
    if document.boolean is not None or document.error is not None:
        raise UnreadableTableError(f"it has more than a table: {str(document.error or document.boolean)[:100]!r}")
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
    reader = _XMLReader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.take_text
    parser.Parse(body.lstrip(), True)
    if not reader.has_results:
        raise UnreadableTableError("it has no results")
    _check_columns(reader.variables, columns)
    known = frozenset(columns)
    return [_row(binding, columns, known) for binding in reader.bindings]


class _XMLReader:
    """Takes the elements of SPARQL Query Results XML, whatever their prefix.

    Attributes:
        variables: The names in the head.
        bindings: The rows.
        has_results: Whether there is a place for rows.
    """

    def __init__(self) -> None:
        self.variables: list[str] = []
        self.bindings: list[dict[str, _Term]] = []
        self.has_results = False
        self._open = [""]
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._column = ""
        # The parts of each triple term that is open, and the last term that is whole and has no place yet.
        self._triples: list[dict[str, _Term]] = []
        self._term: _Term | None = None

    def refuse_document_type(self, *_: object) -> None:
        raise UnreadableTableError("it has a document type")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name not in _ELEMENTS.get(self._open[-1], ()):
            raise UnreadableTableError(f"<{name[:100]}> stands within <{self._open[-1]}>")
        self._open.append(name)
        self._attributes, self._text = attributes, []
        if name == "variable":
            self.variables.append(self._attribute("name"))
        elif name == "results":
            self.has_results = True
        elif name == "result":
            self.bindings.append({})
        elif name == "binding":
            self._column = self._attribute("name")
            if self._column in self.bindings[-1]:
                raise UnreadableTableError(f"a row binds {self._column[:100]} more than once")
        elif name in _TERMS and self._term:
            raise UnreadableTableError(f"{self._column[:100]} has several terms in one row")
        elif name == "triple":
            self._triples.append({})
            if len(self._triples) > _MOST_NESTING:
                raise UnreadableTableError(f"triple terms are nested more than {_MOST_NESTING} deep")

    def take_text(self, text: str) -> None:
        if self._open[-1] in _NODES:
            self._text.append(text)
        elif text.strip():
            raise UnreadableTableError(f"there is text within <{self._open[-1]}>: {text.strip()[:100]!r}")

    def end(self, _: str) -> None:
        name = self._open.pop()
        if name in _NODES:
            text = "".join(self._text)
            direction = next((v for k, v in self._attributes.items() if k.rpartition(":")[2] == "dir"), None)
            self._term = _Term(
                name,
                text if name == "literal" else text.strip(),
                self._attributes.get("datatype"),
                self._attributes.get("xml:lang"),
                direction,
            )
        elif name == "triple":
            parts = self._triples.pop()
            if len(parts) < len(_PARTS):
                raise UnreadableTableError("a triple term lacks a part")
            self._term = _Term(name, _Triple(**parts))
        elif name in _PARTS and self._term:
            self._triples[-1][name], self._term = self._term, None
        elif name == "binding" and self._term:
            self.bindings[-1][self._column], self._term = self._term, None

    def _attribute(self, name: str) -> str:
        if name not in self._attributes:
            raise UnreadableTableError(f"<{self._open[-1]}> has no {name}")
        return self._attributes[name]


def _check_columns(found: list[str], columns: tuple[str, ...]) -> None:
    if sorted(found) != sorted(columns):
        raise UnreadableTableError(f"it has the columns {' '.join(found)[:100]!r}, not {' '.join(columns)!r}")
