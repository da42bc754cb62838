"""Resolves IRI references (RFC 3986, section 5, https://www.rfc-editor.org/rfc/rfc3986#section-5).

``urllib.parse.urljoin`` knows a list of schemes and drops empty queries, so it does not do for RDF.
"""

from __future__ import annotations

import re

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`]*")
_SPACE = re.compile(r"\s")
# Literals may look like these, too. Each is fast by itself; one pattern for all takes fifty times as long.
_DOT_SEGMENT = re.compile(r"/\.{1,2}[/?#>]")
_ONLY_A_SCHEME = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:(?://)?>")
_WIDE_SPACES = [space for space in map(chr, range(0x3001)) if space.isspace() and space not in " \n"]
# Appendix B: scheme, authority, path, query and fragment.
_PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def is_absolute(reference: str) -> bool:
    """Tell whether a reference begins with a scheme."""
    return _ABSOLUTE.match(reference) is not None


def is_well_formed(iri: str) -> bool:
    """Tell whether an IRI is absolute and free of the characters that RDF excludes."""
    return _WELL_FORMED.fullmatch(iri) is not None


def resolve(reference: str, base: str | None) -> str:
    """Resolve a reference against a base.

    Args:
        reference: The IRI reference.
        base: An absolute IRI; without one the reference stays as it is.
    """
    if base is None or is_absolute(reference):
        return reference
    scheme, authority, path, query, fragment = _split(reference)
    base_scheme, base_authority, base_path, base_query, _ = _split(base)
    if authority is not None:
        path = without_dot_segments(path)
    else:
        authority = base_authority
        if not path:
            # The base may be written with dot segments; what is resolved against it has none.
            path = base_path
            query = base_query if query is None else query
        else:
            if not path.startswith("/"):
                path = _merged(base_path, path, base_authority is not None)
            path = without_dot_segments(path)
    return _joined(scheme or base_scheme, authority, path, query, fragment)


def without_dot_segments(path: str) -> str:
    """Remove the segments ``.`` and ``..`` of a path (section 5.2.4)."""
    if "." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1 or (kept and kept[0]):
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def risk_of(iri: str) -> str:
    """Return the reason why some nodes store an IRI as another one, or drop its statements; empty if none is known.

    SEDIMARK catalogues get graphs as JSON-LD. Apache Jena's reader of it resolves absolute IRIs again, and drops those that
    Java takes for no URI. By N-Triples the same server keeps all of them. RDF compares IRIs as texts, so Catena keeps them.

    Args:
        iri: An absolute IRI.
    """
    scheme, _, rest = iri.partition(":")
    if rest in ("", "//"):
        return "it has nothing after its scheme"
    if "/." in iri and any(segment in (".", "..") for segment in _split(iri)[2].split("/")[1:]):
        return "its path has the segment . or .."
    if scheme == "mailto":
        return "it is an address for mail"
    if _SPACE.search(iri):
        return "it has a space of Unicode"
    return ""


def may_have_risks(text: str) -> bool:
    """Tell, fast, whether an IRI in a text of N-Triples may be at risk."""
    return bool(
        "<mailto:" in text
        or ("/." in text and _DOT_SEGMENT.search(text))
        or ((":>" in text or "://>" in text) and _ONLY_A_SCHEME.search(text))
        or (not text.isascii() and any(space in text for space in _WIDE_SPACES))
    )


def _split(reference: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    match = _PARTS.fullmatch(reference)
    assert match is not None, "the pattern matches any text"
    scheme, authority, path, query, fragment = match.groups()
    return scheme, authority, path, query, fragment


def _merged(base_path: str, path: str, has_authority: bool) -> str:
    if has_authority and not base_path:
        return f"/{path}"
    return base_path[: base_path.rfind("/") + 1] + path


def _joined(scheme: str | None, authority: str | None, path: str, query: str | None, fragment: str | None) -> str:
    return "".join(
        [
            f"{scheme}:" if scheme is not None else "",
            f"//{authority}" if authority is not None else "",
            path,
            f"?{query}" if query is not None else "",
            f"#{fragment}" if fragment is not None else "",
        ]
    )
