"""The terms of nodes' rows: SPARQL 1.1 Results in TSV write them nearly as N-Quads does.

Nodes are not trusted. A cell with more than one term could put a triple elsewhere, and native parsers recurse into triple
terms. So every cell is read here before a native parser sees it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Set

import pyoxigraph

_IRI = rb'<[A-Za-z][A-Za-z0-9+.-]*:[^<>"{}|^`\\\x00-\x20]*>'
_BLANK = rb'_:[^\s<>"\\()]+'
_SUFFIX = rb"(?:@[A-Za-z]+(?:-[A-Za-z0-9]+)*(?:--(?:ltr|rtl))?|\^\^" + _IRI + rb")?"
_LITERAL = rb'"[^"\\]*(?:\\.[^"\\]*)*"' + _SUFFIX
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
_FORBIDDEN = re.compile(r'[<>"{}|^`\\\x00-\x20]')
_XSD = b"http://www.w3.org/2001/XMLSchema#"
_SHORT_FORMS = (
    (re.compile(rb"[+-]?\d+"), b"integer"),
    (re.compile(rb"[+-]?(?:\d+\.\d*|\.\d+)"), b"decimal"),
    (re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+"), b"double"),
    (re.compile(rb"true|false"), b"boolean"),
)
_MOST_NESTING = 16

is_iri = re.compile(_IRI).fullmatch
"""Matches an absolute IRI that N-Quads allows."""
is_name = re.compile(_IRI + b"|" + _BLANK).fullmatch
"""Matches such an IRI or a blank node."""
is_plain = re.compile(b"|".join((_IRI, _LITERAL, _BLANK)), re.DOTALL).fullmatch
"""Matches any term that is no triple term, written as N-Quads does."""
_next_token = re.compile(
    rb"\s*(?:(?P<open><<\(?)|(?P<close>\)?>>)|(?P<name>"
    + _IRI
    + b"|"
    + _BLANK
    + b")|(?P<literal>"
    + _LITERAL
    + rb")|(?P<short>[\w.+-]+))",
    re.DOTALL,
).match


def readable(term: bytes, labelled: Callable[[bytes], bytes]) -> bytes:
    """Write one term as N-Quads does.

    Args:
        term: A cell of a row.
        labelled: Gives a blank node its label in this query, and returns other terms as they are.

    Raises:
        ValueError: The cell is not one term, or a relative IRI.
    """
    if term.startswith(b"<<"):
        return _triple_term(term, labelled)
    if term.startswith(b"<") and term.endswith(b">"):
        term = b"<%b>" % valid_iri(iri(term)).encode()
        if not is_iri(term):
            raise ValueError(f"{term[:100]!r} is no term: it is a relative IRI")
    elif term[:1] not in (b'"', b"_"):
        term = in_full(term)
    elif not is_plain(term):
        raise ValueError(f"{term[:100]!r} is no term")
    return labelled(term)


def iri(term: bytes) -> str:
    """Return the IRI in a term.

    Raises:
        ValueError: The term is not in angle brackets, or has an invalid escape.
    """
    if not (term.startswith(b"<") and term.endswith(b">")):
        raise ValueError(f"{term[:100]!r} is no IRI")
    text = term[1:-1].decode()
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def valid_iri(text: str) -> str:
    """Percent-encode the characters that no IRI may have.

    Some servers hold them, but no format except JSON and XML can write them.
    """
    return _FORBIDDEN.sub(lambda found: f"%{ord(found[0]):02X}", text)


def in_full(term: bytes) -> bytes:
    """Write a number or boolean with its datatype, which Turtle and so TSV may leave out.

    Raises:
        ValueError: It is neither.
    """
    for form, datatype in _SHORT_FORMS:
        if form.fullmatch(term):
            return b'"%b"^^<%b%b>' % (term, _XSD, datatype)
    raise ValueError(f"{term[:100]!r} is no term")


def iris_in(terms: Set[str]) -> frozenset[str]:
    """Return the IRIs among some terms."""
    return frozenset(term for term in terms if term.startswith("<"))


def can_be_asked_for(term: str) -> bool:
    """Return whether a term is a valid IRI: some servers hold invalid ones, which would break the syntax of a subquery."""
    try:
        return term.startswith("<") and bool(pyoxigraph.NamedNode(term[1:-1]))
    except ValueError:
        return False


def _triple_term(text: bytes, labelled: Callable[[bytes], bytes]) -> bytes:
    """Write an RDF 1.2 triple term; one of RDF-star, without round brackets, counts as the same."""
    nested: list[list[bytes]] = [[]]
    place = 0
    while place < len(text):
        token = _next_token(text, place)
        if token is None:
            raise ValueError(f"{text[place : place + 100]!r} is no part of a triple term")
        place = token.end()
        if token["open"]:
            nested.append([])
            if len(nested) > _MOST_NESTING:
                raise ValueError(f"triple terms are nested more than {_MOST_NESTING} deep")
        elif token["close"]:
            parts = nested.pop()
            if not nested or len(parts) != 3 or not is_name(parts[0]) or not is_iri(parts[1]):
                raise ValueError(f"{text[:100]!r} is no triple term")
            nested[-1].append(b"<<( %b %b %b )>>" % tuple(parts))
        else:
            nested[-1].append(readable(token[0].strip(), labelled))
    if len(nested) != 1 or len(nested[0]) != 1:
        raise ValueError(f"{text[:100]!r} is no triple term")
    return nested[0][0]


def _character(escape: re.Match[str]) -> str:
    number = int(escape[1] or escape[2], 16)
    if number > sys.maxunicode or 0xD800 <= number <= 0xDFFF:  # surrogates cannot be written in UTF-8
        raise ValueError(f"{escape[0]} is no character")
    return chr(number)
