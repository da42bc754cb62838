"""Tables of nodes in JSON and XML."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor

import pyoxigraph
import pytest

from federation.fetching.result_formats import UnreadableTableError, opened, read_table

JSON = "application/sparql-results+json"
XML = "application/sparql-results+xml"
DATA = (
    '<urn:s> <urn:p> <urn:o>, "a\\t\\"b\\\\", "c"@en, 5, "x"^^<urn:t>, "r"@en--rtl, [],'
    " <<( <urn:a> <urn:b> <<( _:x <urn:c> 1.5 )>> )>> ."
)


def table(format_: pyoxigraph.QueryResultsFormat) -> bytes:
    store = pyoxigraph.Store()
    store.load(DATA.encode(), pyoxigraph.RdfFormat.TURTLE)
    solutions = store.query("SELECT ?s ?none ?o { ?s ?p ?o }")
    assert isinstance(solutions, pyoxigraph.QuerySolutions)
    body = solutions.serialize(format=format_)
    assert body is not None
    return body


@pytest.mark.parametrize(
    ("media_type", "format_"),
    [
        (JSON, pyoxigraph.QueryResultsFormat.JSON),
        ("application/json", pyoxigraph.QueryResultsFormat.JSON),
        ("text/json", pyoxigraph.QueryResultsFormat.JSON),
        (XML, pyoxigraph.QueryResultsFormat.XML),
        ("application/xml", pyoxigraph.QueryResultsFormat.XML),
        ("text/xml", pyoxigraph.QueryResultsFormat.XML),
    ],
)
def test_a_table_is_read_in_the_order_of_the_wanted_columns(
    media_type: str, format_: pyoxigraph.QueryResultsFormat
) -> None:
    rows = read_table(media_type, table(format_), ["o", "none", "s"])
    cells = [line.split(b"\t") for line in rows.splitlines()]
    assert {(none, s) for _, none, s in cells} == {(b"", b"<urn:s>")}
    written = b"".join(b"<urn:s> <urn:p> %b .\n" % o for o, _, _ in cells)
    read = {quad.triple for quad in pyoxigraph.parse(written, pyoxigraph.RdfFormat.N_TRIPLES)}
    there = {quad.triple for quad in pyoxigraph.parse(DATA, pyoxigraph.RdfFormat.TURTLE)}
    assert len(read) == len(there) == 8
    assert {t for t in there if "_:" not in str(t)} <= read


LEVEL = (
    '{"type":"triple","value":{"subject":{"type":"uri","value":"urn:s"},"predicate":{"type":"uri","value":"urn:p"},'
    '"object":'
)
XML_LEVEL = "<triple><subject><uri>urn:s</uri></subject><predicate><uri>urn:p</uri></predicate><object>"


def in_json(binding: str) -> bytes:
    return b'{"head":{"vars":["s"]},"results":{"bindings":[{"s":%b}]}}' % binding.encode()


def in_xml(term: str) -> bytes:
    return (
        '<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head><variable name="s"/></head><results><result>'
        f'<binding name="s">{term}</binding></result></results></sparql>'
    ).encode()


URI = '{"type":"uri","value":"urn:o"}'


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        pytest.param(JSON, b'{"head":{},"boolean":true}', id="a boolean"),
        pytest.param(JSON, b'{"results":{"bindings":[]}}', id="no head"),
        pytest.param(JSON, b'{"head":{},"results":{"bindings":[]}}', id="no vars"),
        pytest.param(JSON, b'{"head":{"vars":[]},"results":{"bindings":[]}}', id="too few vars"),
        pytest.param(JSON, b'{"head":{"vars":["s","t"]},"results":{"bindings":[]}}', id="too many vars"),
        pytest.param(JSON, b'{"head":{"vars":["t"]},"results":{"bindings":[]}}', id="other vars"),
        pytest.param(JSON, b'{"head":{"vars":["s"]},"results":{}}', id="no bindings"),
        pytest.param(JSON, b'{"head":{"vars":["s"]},"results":null}', id="no results"),
        pytest.param(JSON, b'{"head":{"vars":["s"]},"results":{"bindings":[{"t":%b}]}}' % URI.encode(), id="other row"),
        pytest.param(JSON, in_json(URI)[:-3], id="cut off"),
        pytest.param(JSON, b"[]", id="a list"),
        pytest.param(JSON, b"", id="nothing"),
        pytest.param(JSON, b'\xff{"head"', id="no UTF-8"),
        pytest.param(JSON, in_json('{"type":"uri","value":5}'), id="a number as a value"),
        pytest.param(JSON, in_json('{"type":"thing","value":"x"}'), id="an unknown kind of term"),
        pytest.param(JSON, in_json('{"type":"literal","value":"x","xml:lang":"e n"}'), id="an odd language"),
        pytest.param(JSON, in_json('{"type":"literal","value":"x","datatype":"a> <b"}'), id="an odd datatype"),
        pytest.param(JSON, in_json(LEVEL * 20 + URI + "}}" * 20), id="nested"),
        pytest.param(JSON, in_json(LEVEL * 100_000 + URI + "}}" * 100_000), id="nested deeply"),
        pytest.param(JSON, b'{"x":' + b"[" * 1_000_000, id="nested elsewhere"),
        pytest.param(XML, in_xml("<uri>urn:o</uri>")[:-20], id="XML that is cut off"),
        pytest.param(
            XML, in_xml(XML_LEVEL * 50_000 + "<uri>urn:o</uri>" + "</object></triple>" * 50_000), id="deep XML"
        ),
        pytest.param(
            XML,
            b'<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head/><boolean>true</boolean></sparql>',
            id="a boolean in XML",
        ),
        pytest.param(XML, in_xml("<uri>urn:a</uri><uri>urn:b</uri>"), id="two terms in a cell of XML"),
        pytest.param(XML, in_xml("<literal>a<b>c</b></literal>"), id="XML within a literal"),
        pytest.param(XML, in_xml("text"), id="text in a cell of XML"),
        pytest.param(XML, in_xml(XML_LEVEL + "<uri>urn:o</uri></object></triple>"[9:]), id="XML with other tags"),
        pytest.param(
            XML, in_xml("<triple><subject><uri>urn:s</uri></subject></triple>"), id="a part of a triple term in XML"
        ),
        pytest.param(XML, in_xml("<uri>urn:o</uri>").replace(b' name="s"', b""), id="XML without names"),
        pytest.param(XML, b'<sparql><head><variable name="s"/></head></sparql>', id="XML without results"),
        pytest.param(
            XML, b'<!DOCTYPE sparql [<!ENTITY o "urn:o">]>' + in_xml("<uri>&o;</uri>"), id="XML with a document type"
        ),
        pytest.param(JSON, in_json(URI)[:-1] + b',"boolean":true}', id="a table and a boolean"),
        pytest.param(JSON, in_json(URI)[:-1] + b',"error":"timed out"}', id="a table and an error"),
        pytest.param(JSON, in_json(URI)[:-1] + b',"results":{"bindings":[]}}', id="two parts with results"),
        pytest.param(JSON, in_json(URI)[:-2] + b',"bindings" :[]}}', id="two lists of rows"),
        pytest.param(
            XML,
            in_xml('<uri>urn:a</uri></binding><binding name="s"><uri>urn:b</uri>'),
            id="two cells of XML for a column",
        ),
        pytest.param("text/tab-separated-values", b"?t\n", id="TSV with other columns"),
        pytest.param("text/html", b"<html><body>Service temporarily unavailable</body></html>", id="HTML"),
        pytest.param("", in_json(URI), id="no media type"),
    ],
)
def test_an_answer_that_is_no_whole_table_is_refused(media_type: str, body: bytes) -> None:
    with pytest.raises(UnreadableTableError):
        read_table(media_type, body, ["s"])


def test_words_of_the_format_are_values_like_any_others() -> None:
    term = '{"type":"literal","value":"bindings"}'
    body = b'{"head":{"vars":["s"]},"results":{"bindings":[{"s":%b},{"s":%b}]}}' % (term.encode(), term.encode())
    assert read_table(JSON, body, ["s"]) == b'"bindings"\n"bindings"\n'


@pytest.mark.parametrize(
    ("content_type", "body", "media_type"),
    [
        ("Text/Tab-Separated-Values; charset=utf-8", b"?s\n", "text/tab-separated-values"),
        (f"{JSON};charset=utf-8", b"{}", JSON),
        ("", b"?s\n", "text/tab-separated-values"),
        ("text/plain", b"\n {}", "application/json"),
        ("text/plain", b"<?xml", "application/xml"),
        ("application/octet-stream", b"", "text/tab-separated-values"),
        ("text/html", b"{}", "text/html"),
    ],
)
def test_opened_finds_the_format_where_a_server_does_not_say_it(
    content_type: str, body: bytes, media_type: str
) -> None:
    assert opened(content_type, body) == (media_type, body)
    assert opened(content_type, b"\xef\xbb\xbf" + body) == (media_type, body)


def test_values_cannot_break_a_line_or_a_cell() -> None:
    odd = "a\tb\nc> <urn:d"
    for kind in ("uri", "bnode", "literal"):
        rows = read_table(JSON, in_json(json.dumps({"type": kind, "value": odd})), ["s"])
        assert rows.count(b"\n") == 1
        assert b"\t" not in rows
        assert b"> <" not in rows or kind == "literal"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("columns", [("s",), ("other",)])
def test_an_error_may_be_dropped_by_any_thread(columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """pyoxigraph's readers may not, and errors hold what stood in the frames below."""
    dropped: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", dropped.append)
    document = b'<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head><variable name="s"/></head><results><x/></sparql>'
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(read_table, "text/xml", document, columns).exception()
    assert isinstance(error, UnreadableTableError)
    del error
    gc.collect()
    assert dropped == []


@pytest.mark.parametrize(
    ("media_type", "format_"), [(JSON, pyoxigraph.QueryResultsFormat.JSON), (XML, pyoxigraph.QueryResultsFormat.XML)]
)
def test_a_table_that_breaks_off_is_none(media_type: str, format_: pyoxigraph.QueryResultsFormat) -> None:
    body = table(format_)
    for end in range(len(body)):
        with pytest.raises(UnreadableTableError):
            read_table(media_type, body[:end], ("s", "none", "o"))
    whole = read_table(media_type, body, ("s", "none", "o"))
    assert read_table(media_type, body + b"\n", ("s", "none", "o")) == whole


def test_xml_may_have_a_prefix_and_end_with_a_comment() -> None:
    name = b"http://www.w3.org/2005/sparql-results#"
    document = b'<r:sparql xmlns:r="%b"><r:head/><r:results/></r:sparql >\n<!-- 0 rows -->\n<!-- -->' % name
    assert read_table(XML, document, ()) == b""


@pytest.mark.parametrize(
    ("term", "cell"),
    [
        ("<literal>  a\n b </literal>", '"  a\\n b "'),
        ("<literal>a<!-- - -->b<![CDATA[<c>]]>&amp;</literal>", '"ab<c>&"'),
        ("<literal> </literal>", '" "'),
        ("<literal/>", '""'),
        ('<literal xml:lang="en"> a</literal>', '" a"@en'),
        ('<literal xml:lang="ar" its:dir="rtl" xmlns:its="http://www.w3.org/2005/11/its">a</literal>', '"a"@ar--rtl'),
        ('<literal datatype="urn:t">1 </literal>', '"1 "^^<urn:t>'),
        ("<uri>\n urn:o\n</uri>", "<urn:o>"),
        ("\n <bnode> b1 </bnode>\n ", "_:bb1"),
        ("<unbound/>", ""),
        ("", ""),
        (XML_LEVEL + "<literal> </literal></object></triple>", '<<( <urn:s> <urn:p> " " )>>'),
    ],
)
def test_the_text_of_xml_is_kept_as_it_is_in_literals(term: str, cell: str) -> None:
    for document in (in_xml(term), b"\n " + in_xml(term), in_xml(term).decode().encode("utf-16")):
        assert read_table(XML, document, ["s"]).decode() == f"{cell}\n"
