"""Graphs as stores show them that keep numbers, dates and booleans by value: ``0.9580`` comes back as ``0.958``."""

from __future__ import annotations

import re
from functools import lru_cache

import pyoxigraph as ox

from topology.rdf.offering_graph import digest

# The typed literal at the end of a statement. A quotation mark within a literal follows a backslash, so the one after a blank
# begins the literal; one with a backslash has no form by value.
_TYPED = re.compile(r' "([^"\\\n]*)"\^\^<(http://www\.w3\.org/2001/XMLSchema#[^>\n]*)> \.\n')
_SUBJECT = ox.NamedNode("urn:s")


# A graph goes to several nodes within a short time.
@lru_cache(maxsize=256)
def digest_by_value(triples: str) -> str:
    """Return the digest of a canonical graph whose literals are written in the canonical form of their value.

    A graph and its copy on a store that keeps literals by value have the same one.

    Args:
        triples: The graph, as N-Triples.
    """
    stored = _TYPED.sub(lambda match: f" {_stored(*match.groups())} .\n", triples)
    if stored == triples:
        return digest(triples)
    return digest("".join(f"{line}\n" for line in sorted(set(stored.split("\n")[:-1]))))


@lru_cache(maxsize=65_536)
def _stored(lexical: str, datatype: str) -> str:
    """Return a literal as Oxigraph gives it back: it keeps the value, and an invalid form as it is."""
    store = ox.Store()
    store.add(ox.Quad(_SUBJECT, _SUBJECT, ox.Literal(lexical, datatype=ox.NamedNode(datatype))))
    return str(next(iter(store)).object)
