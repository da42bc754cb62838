"""Which IRIs all servers read as they are written.

Jena, and so Fuseki, resolves the IRIs of a query even where they are absolute (RFC 3986, section 5.2): it takes
``<http://a.example/b/../c>`` for ``<http://a.example/c>``, and does not find the graph or the term of that name, which it keeps
as it was sent. Oxigraph finds it.
"""

from __future__ import annotations

import re

_DOT_SEGMENT = re.compile(r"[/:]\.{1,2}(?:[/?#>]|$)")


def is_read_as_written(term: str) -> bool:
    """Whether no server takes a term in a query for another one.

    Args:
        term: An IRI, or an IRI or a literal in N-Triples form.
    """
    return term.startswith('"') or not _DOT_SEGMENT.search(term)
