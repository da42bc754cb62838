"""The terms of rows, which strangers write."""

from __future__ import annotations

import pytest

from federation.fetching.terms import is_iri, is_name, is_plain, readable


def labelled(term: bytes) -> bytes:
    return b"_:n1_" + term[2:] if term.startswith(b"_:") else term


@pytest.mark.parametrize(
    ("term", "written"),
    [
        (b"<urn:a>", b"<urn:a>"),
        (b"<urn:a b>", b"<urn:a%20b>"),
        (b"<urn:a> <urn:b>", b"<urn:a%3E%20%3Curn:b>"),
        (b"<urn:a\\u003E\\u0020.>", b"<urn:a%3E%20.>"),
        (b"<urn:\\u00e9>", "<urn:é>".encode()),
        (b"_:b", b"_:n1_b"),
        (b'"a \\"b\\" \\\\"', b'"a \\"b\\" \\\\"'),
        (b'"a"@en--ltr', b'"a"@en--ltr'),
        (b'"1"^^<urn:t>', b'"1"^^<urn:t>'),
        (b"123", b'"123"^^<http://www.w3.org/2001/XMLSchema#integer>'),
        (
            b"<<( <urn:a> <urn:b> 12 )>>",
            b'<<( <urn:a> <urn:b> "12"^^<http://www.w3.org/2001/XMLSchema#integer> )>>',
        ),
        (b"<<(<urn:a><urn:b>_:x)>>", b"<<( <urn:a> <urn:b> _:n1_x )>>"),
        (b'<<( _:x <urn:b> "a >> )>> b"@en )>>', b'<<( _:n1_x <urn:b> "a >> )>> b"@en )>>'),
        (b"<< <urn:a> <urn:b> true >>", b'<<( <urn:a> <urn:b> "true"^^<http://www.w3.org/2001/XMLSchema#boolean> )>>'),
        (
            b"<<( <urn:a> <urn:b> <<( <urn:c> <urn:d> <urn:e> )>> )>>",
            b"<<( <urn:a> <urn:b> <<( <urn:c> <urn:d> <urn:e> )>> )>>",
        ),
    ],
)
def test_a_term_is_written_as_n_quads_does(term: bytes, written: bytes) -> None:
    assert readable(term, labelled) == written


@pytest.mark.parametrize(
    "term",
    [
        b"",
        b"x",
        b".",
        b"-.",
        b'"a',
        b'"a"b"',
        b'"a\\"',
        b'"a" <urn:g>',
        b'"a" . <urn:x> <urn:y> <urn:z> . #',
        b"_:a <urn:g>",
        b"<urn:a",
        b"<relative>",
        b"<>",
        b'"a"^^<relative>',
        b'"a"@-',
        b'"a"@en_GB',
        b'"a"@en--up',
        b"<<( <urn:a> <urn:b> )>>",
        b"<<( <urn:a> <urn:b> 1 2 )>>",
        b'<<( "a" <urn:b> 1 )>>',
        b"<<( <urn:a> _:b 1 )>>",
        b"<<( <<( <urn:a> <urn:b> 1 )>> <urn:b> 1 )>>",
        b"<<( <urn:a> <urn:b> 1 )>> <urn:g>",
        b"<<( <urn:a> <urn:b> 1",
        b"<<( <urn:s> <urn:p> " * 20_000 + b"<urn:o>" + b" )>>" * 20_000,
        b"<<" * 1_000_000,
        b")>>",
    ],
)
def test_a_cell_that_is_not_one_term_is_refused(term: bytes) -> None:
    assert not is_plain(term)
    with pytest.raises(ValueError, match="term"):
        readable(term, labelled)


def test_names_and_iris_are_told_from_other_terms() -> None:
    assert is_iri(b"<urn:a>")
    assert not is_iri(b"<urn:a><urn:b>")
    assert is_name(b"_:a")
    assert not is_name(b'"a"')
    assert not is_name(b"<<( <urn:a> <urn:b> 1 )>>")
