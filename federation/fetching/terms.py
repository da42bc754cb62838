"""Terms as the nodes write them, and as the evaluator reads them."""

from __future__ import annotations

import re
import sys

_XSD = b"http://www.w3.org/2001/XMLSchema#"
_SHORT_FORMS = (
    (re.compile(rb"[+-]?\d+"), b"integer"),
    (re.compile(rb"[+-]?\d*\.\d*"), b"decimal"),
    (re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+"), b"double"),
    (re.compile(rb"true|false"), b"boolean"),
)
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


def skolem_label(suffix: bytes) -> bytes:
    """The label of the blank node that an IRI stands for.

    Args:
        suffix: What follows the prefix of such IRIs.
    """
    return b"g" + re.sub(rb"[^0-9A-Za-z]", lambda found: b"_%02X" % found[0][0], suffix)


def skolem_suffix(label: str) -> str | None:
    """What ``skolem_label`` made a label of; ``None`` when it did not make it."""
    if not label.startswith("g"):
        return None
    suffix = re.sub(rb"_([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), label[1:].encode())
    return suffix.decode()


def iri(term: bytes) -> str:
    """The IRI that a term in angle brackets is.

    Raises:
        ValueError: It is none.
    """
    if not (term.startswith(b"<") and term.endswith(b">")):
        raise ValueError(f"{term[:100]!r} is no graph")
    return _ESCAPE.sub(_character, term[1:-1].decode())


def in_full(term: bytes) -> bytes:
    """A number or boolean, which Turtle and so TSV may write without its datatype, with it.

    Raises:
        ValueError: It is no term.
    """
    for form, datatype in _SHORT_FORMS:
        if form.fullmatch(term):
            return b'"%b"^^<%b%b>' % (term, _XSD, datatype)
    raise ValueError(f"{term[:100]!r} is no term")


def _character(escape: re.Match[str]) -> str:
    number = int(escape[1] or escape[2], 16)
    if number > sys.maxunicode or 0xD800 <= number <= 0xDFFF:  # surrogates cannot be written in UTF-8
        raise ValueError(f"{escape[0]} is no character")
    return chr(number)
