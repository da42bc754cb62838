"""The readers of what strangers send. Each reads any input, or refuses it with an error of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from catena_core.errors import CodecError, RejectedError
from catena_core.wire import codec
from catena_core.wire.message import FORMATS, reader
from federation.errors import FederationError
from federation.fetching.merge import MergedQuads
from federation.fetching.result_formats import UnreadableTableError, read_table
from federation.source_selection import Source
from sandbox import made_up_offerings
from tests.helpers.messages import Message
from topology import records
from topology.clients.http import Response, UnsafeError, WebError
from topology.clients.ledger import Ledger
from topology.clients.node import NodeClient
from topology.json_errors import NOT_JSON
from topology.rdf.offering_graph import digest, read_description

Read = Callable[[bytes], object]

_IRI = "https://p.example/offerings/1"
_OFFERING = "https://w3id.org/sedimark/ontology#Offering"
_COLUMNS = ("s", "p", "o", "g")
_CONTEXTS = {
    "https://c.example/a": {"@context": ["b", {"size": "urn:size"}]},
    "https://c.example/b": {"@context": {"name": "urn:name", "in": {"@id": "urn:in", "@context": "a"}}},
}


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under test.

    Attributes:
        read: Reads an input, and lets no error pass but those that its callers expect.
        samples: Inputs to begin with.
    """

    read: Read
    samples: tuple[bytes, ...]


class _Web:
    """An HTTP client whose every answer is the input: the first byte chooses status and content type."""

    _STATUSES = (200, 200, 200, 200, 500, 404, 204, 302)
    _TYPES = (
        "application/json",
        "text/html; charset=x",
        "text/turtle",
        "application/n-triples",
        "application/ld+json",
        "",
    )

    def __init__(self, data: bytes) -> None:
        kind = data[0] if data else 0
        status = self._STATUSES[kind % len(self._STATUSES)]
        headers = {"content-type": self._TYPES[kind % len(self._TYPES)]}
        self._response = Response(status, headers, data[1:], "http://n.example/catalogue")

    def request(self, *_arguments: Any, **_more: Any) -> Response:
        """Answer any request."""
        return self._response


def _read_description(data: bytes) -> None:
    with suppress(RejectedError):
        found = read_description(data, "https://p.example/descriptions/1", _CONTEXTS)
        assert found.digest == digest(found.triples)
        lines = found.triples.split("\n")[:-1]
        assert lines == sorted(set(lines)), "a description's canonical form is sorted"
        assert "\n_:" not in f"\n{found.triples}", "a description has no blank nodes"


def _read_ledger(data: bytes) -> None:
    web: Any = _Web(data)
    ledger = Ledger("http://booth.example/api", web)
    for read in (ledger.addresses, lambda: ledger.entry("0x1")):
        with suppress(WebError, UnsafeError):
            read()


def _read_node(data: bytes) -> None:
    web: Any = _Web(data)
    node = NodeClient("http://n.example/catalogue", web)
    for read in (
        node.is_healthy,
        node.detect_protocol,
        node.graphs,
        lambda: node.get(_IRI),
        lambda: node.holds([_IRI]),
        lambda: node.digests([_IRI]),
        lambda: node.delete(_IRI),
    ):
        with suppress(WebError, UnsafeError):
            read()


def _read_message(data: bytes) -> None:
    kind = (None, codec.JSON, codec.MESSAGE_PACK, codec.BYTES)[data[0] % 4 if data else 0]
    headers = [] if kind is None else [(codec.CONTENT_TYPE, kind.encode()), ("h", data[:9])]
    for value_format in FORMATS:
        with suppress(CodecError):
            message: Any = Message(headers, value=data[1:], key=data[:20])  # type: ignore[no-untyped-call]
            electron = reader(value_format)(message, "t", 0, 0)
            codec.encode(electron.value)


def _read_records(data: bytes) -> None:
    for kind in (records.AddressEvent, records.Offering, records.Ring, records.Write, records.Placement):
        with suppress(msgspec.MsgspecError, *NOT_JSON):
            record = records.from_text(data, kind)
            assert records.from_text(records.to_text(record), kind) == record


def _read_table(data: bytes) -> None:
    media_type = ("application/sparql-results+json", "application/sparql-results+xml")[data[0] % 2 if data else 0]
    with suppress(UnreadableTableError):
        _merge(read_table(media_type, data[1:], _COLUMNS))


def _read_rows(data: bytes) -> None:
    _merge(data)


def _merge(rows: bytes) -> None:
    merged = MergedQuads(None, None, "urn:skolem:", 1_000_000)
    with suppress(FederationError):
        merged.add(Source("n", "http://n.example/sparql"), 0, rows, lambda _graph: True)
        list(merged.blank_objects())
        merged.check()


def _encoded(*values: Any) -> tuple[bytes, ...]:
    return tuple(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)


def _with_kinds(kinds: range, *values: Any) -> tuple[bytes, ...]:
    return tuple(bytes([kind]) + value for value in _encoded(*values) for kind in kinds)


def _offering(**more: Any) -> dict[str, Any]:
    return {"@id": _IRI, "@type": _OFFERING, **more}


_TERM_CONTEXT = {
    "@vocab": "urn:v:",
    "@base": "https://b.example/x/./y",
    "@language": "en",
    "ex": "https://ex.example/",
    "type": "@type",
    "nest": "@nest",
    "list": {"@id": "ex:l", "@container": "@list", "@type": "@id"},
    "lang": {"@id": "ex:lang", "@container": ["@language", "@set"], "@direction": "rtl"},
    "index": {"@id": "ex:i", "@container": "@index", "@index": "ex:index"},
    "ids": {"@id": "ex:ids", "@container": ["@graph", "@id"]},
    "types": {"@id": "ex:types", "@container": "@type"},
    "graph": {"@id": "ex:graph", "@container": ["@graph", "@set"]},
    "back": {"@reverse": "ex:back"},
    "json": {"@id": "ex:json", "@type": "@json"},
    "word": {"@id": "ex:word", "@type": "@vocab", "@protected": True},
    "Typed": {"@id": "ex:Typed", "@context": {"word2": "ex:w2", "@propagate": True}},
    "scoped": {"@id": "ex:scoped", "@nest": "nest", "@context": {"@vocab": "urn:w:", "Typed": None}},
}

_BINDINGS = {
    "head": {"vars": list(_COLUMNS)},
    "results": {
        "bindings": [
            {
                "s": {"type": "uri", "value": "urn:s"},
                "p": {"type": "uri", "value": "urn:p"},
                "o": {"type": "literal", "value": "x", "xml:lang": "en"},
                "g": {"type": "uri", "value": _IRI},
            },
            {
                "s": {"type": "bnode", "value": "b"},
                "p": {"type": "uri", "value": "urn:p"},
                "o": {"type": "triple", "value": {
                    "subject": {"type": "uri", "value": "urn:s"},
                    "predicate": {"type": "uri", "value": "urn:p"},
                    "object": {"type": "literal", "value": "1", "datatype": "urn:d"},
                }},
                "g": {"type": "uri", "value": _IRI},
            },
        ]
    },
}  # fmt: skip
_XML = (
    b'<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head><variable name="s"/>'
    b'<variable name="p"/><variable name="o"/><variable name="g"/></head><results><result><binding name="s"><uri>urn:s</uri>'
    b'</binding><binding name="p"><uri>urn:p</uri></binding><binding name="o"><literal xml:lang="en">x</literal></binding>'
    b'<binding name="g"><uri>urn:g</uri></binding></result></results></sparql>'
)
_TRIPLES = b'<urn:s> <urn:p> "x"@en .\n<urn:s> <urn:p> <<( <urn:s> <urn:p> "1"^^<urn:d> )>> .\n_:b <urn:p> _:c .\n'
_ROWS = (
    b'<urn:s>\t<urn:p>\t"x\\ty"@en\t<urn:g>\n_:b\t<urn:p>\t1.5\t<urn:g>\n<urn:skolem:a/c14n0>\t<urn:p>\ttrue\t<urn:g>\n\t\t\t<urn:e>\n'
    b'<urn:s>\t<urn:p>\t<<( <urn:s> <urn:p> "1"^^<urn:d> )>>\t<urn:g>\n'
)

TARGETS: Mapping[str, Target] = {
    "description": Target(
        _read_description,
        _encoded(
            *(made.description for made in made_up_offerings.generate(3, seed=7)),
            _offering(**{"urn:p": [1, 1.5, True, "x", {"@value": "y", "@language": "de"}, {"@list": [[], ["z"]]}]}),
            {
                "@context": ["https://c.example/a", {"x": "urn:x"}],
                **_offering(name="n", size=1, **{"in": {"name": "m"}}),
            },
            {
                "@context": _TERM_CONTEXT,
                **_offering(
                    list=["a", "b"],
                    lang={"he": ["x"], "@none": "y"},
                    index={"k": {"@id": "ex:c"}},
                    ids={"ex:d": {"word": "e"}},
                    types={"Typed": {"word2": "f"}},
                    graph=[{"word": "g"}],
                    back={"@id": "ex:h"},
                    json={"@context": 1, "b": [1e21, None]},
                    nest={"scoped": {"word": "i", "scoped": "j"}},
                    word={"@set": ["k", {"@id": "_:b1"}]},
                ),
                "@included": [{"@id": "ex:m", "type": "Typed", "word2": {"@type": "@json", "@value": {}}}],
                "@reverse": {"ex:n": {"@id": "../o"}},
                "@graph": [{"@id": "ex:p", "@graph": []}],
            },
        ),
    ),
    "ledger": Target(
        _read_ledger,
        _with_kinds(
            range(6),
            {"addresses": ["0xAbC", None, 5, ""]},
            {"owner": "0x1", "name": "n", "descriptionUri": "https://p.example/1", "description_hash": "00"},
            {"error": "not found"},
        ),
    ),
    "node": Target(_read_node, _with_kinds(range(6), _BINDINGS, _TRIPLES, [_IRI], {"status": "healthy"}, _XML)),
    "message": Target(
        _read_message,
        _with_kinds(
            range(4),
            {"a": [1, 2.5, None, "x"]},
            b"text",
            b"\xff\x00",
            *(codec.encode(value)[0] or b"" for value in ((1, 2), {1: 2}, {3}, frozenset((b"x",)), 10**30)),
        ),
    ),
    "records": Target(
        _read_records,
        _encoded(
            {"kind": "listed", "at": 1, "failures": 2},
            {"graph": _IRI, "digest": "0", "claimed_at": 1, "triples": "", "dropped": 3},
            {"epoch": 1, "nodes": [{"id": "n", "url": "http://n"}], "virtual_nodes": 1, "replicas": 2},
            {"kind": "put", "node": "n", "graph": _IRI, "address": "a", "version": 1, "epoch": 1, "partition": 0},
        ),
    ),
    "table": Target(_read_table, (*_with_kinds(range(1), _BINDINGS), *_with_kinds(range(1, 2), _XML))),
    "rows": Target(_read_rows, (_ROWS,)),
}
