"""Graphs as stores show them that keep numbers, dates and booleans by value: ``0.9580`` comes back as ``0.958``."""

from __future__ import annotations

import re
from functools import lru_cache

import pyoxigraph as ox

from topology.rdf.offering_graph import digest

# Every literal of an N-Triples text, so that none is looked for within another.
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\^\^<([^>]*)>)?')
_BY_VALUE = "http://www.w3.org/2001/XMLSchema#"
_SUBJECT = ox.NamedNode("urn:s")


def digest_by_value(triples: str) -> str:
    """Return the digest of a canonical graph whose literals are written in the canonical form of their value.

    A graph and its copy on a store that keeps literals by value have the same one.

    Args:
        triples: The graph, as N-Triples.
    """
    lines = _LITERAL.sub(_canonical, triples).split("\n")[:-1]
    return digest("".join(f"{line}\n" for line in sorted(set(lines))))


def _canonical(match: re.Match[str]) -> str:
    lexical, datatype = match.groups()
    if datatype is None or not datatype.startswith(_BY_VALUE) or "\\" in lexical:
        return match.group()
    return _stored(lexical, datatype)


@lru_cache(maxsize=65_536)
def _stored(lexical: str, datatype: str) -> str:
    """Return a literal as Oxigraph gives it back: it keeps the value, and an invalid form as it is."""
    store = ox.Store()
    store.add(ox.Quad(_SUBJECT, _SUBJECT, ox.Literal(lexical, datatype=ox.NamedNode(datatype))))
    return str(next(iter(store)).object)
