"""The constants of a query that all servers read alike.

pyoxigraph, which evaluates the query, and rdflib, which parses it for the analysis, have to agree on a constant; and a node
has to match the same terms with it. A constant with which a node may match others becomes a test, or a variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyoxigraph
from rdflib.term import Identifier, Literal, URIRef

from federation.analysis.plan import is_portable
from federation.skolem import PREFIX

XSD = "http://www.w3.org/2001/XMLSchema#"
_KEPT_AS_WRITTEN = frozenset({XSD + "string", XSD + "anyURI"})
_NUMBERS = frozenset({XSD + "integer", XSD + "decimal"})
# All servers compare values of these types with numbers, or know that they are none.
_COMPARED_EVERYWHERE = ", ".join(f"<{XSD}{name}>" for name in ("integer", "decimal", "double", "float", "string"))
_PLAIN_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


class PortableTerms:
    """Writes constants for nodes.

    Args:
        texts: The IRIs and the texts of the literals that the evaluator reads in the query. One of the two parsers misread any
            other constant, so none of the methods returns it.
        lists: The terms of long lists, by the IRI that stands for each list in the syntax tree.
    """

    def __init__(self, texts: frozenset[str], lists: Mapping[str, Sequence[Identifier]] = MappingProxyType({})) -> None:
        self._texts = texts
        self._lists = lists

    def listed(self, term: Any) -> list[Any]:
        """Return the terms that one stands for in a list: itself, or those of the list that it replaces."""
        return list(self._lists.get(str(term), [term]))

    def term(self, term: Any) -> str | None:
        """Return a term that all nodes know by the same name, in N-Triples form; ``None`` for one that can match several.

        Numbers, dates and the like can: pyoxigraph takes "01" and "1" for the same integer, servers that match by term do not.
        So can literals with a language tag, whose case may differ, and IRIs that some servers resolve.
        """
        if isinstance(term, URIRef) and str(term) in self._texts and is_portable(str(term)):
            return str(pyoxigraph.NamedNode(str(term)))
        if isinstance(term, Literal) and str(term) in self._texts and not term.language:
            datatype = str(term.datatype or XSD + "string")
            own = datatype in self._texts and not datatype.startswith(XSD)
            if own or datatype in _KEPT_AS_WRITTEN:
                return str(pyoxigraph.Literal(str(term), datatype=pyoxigraph.NamedNode(datatype)))
        return None

    def constant(self, term: Any) -> str | None:
        """Return any constant in N-Triples form, as the evaluator reads it; ``None`` where the two parsers may differ."""
        if isinstance(term, URIRef) and str(term) in self._texts:
            return str(pyoxigraph.NamedNode(str(term)))
        if isinstance(term, Literal) and (str(term) in self._texts or _PLAIN_NUMBER.fullmatch(str(term))):
            if term.language:
                return str(pyoxigraph.Literal(str(term), language=term.language))
            return str(
                pyoxigraph.Literal(str(term), datatype=pyoxigraph.NamedNode(str(term.datatype or XSD + "string")))
            )
        return None

    def iri(self, term: Any) -> str | None:
        """Return an IRI that a node knows by the same name, and that is no blank node to the evaluator."""
        return self.term(term) if isinstance(term, URIRef) and not str(term).startswith(PREFIX) else None

    def string(self, term: Any) -> str | None:
        """Return a literal without language and datatype."""
        plain = (
            isinstance(term, Literal) and not term.language and str(term.datatype or XSD + "string") == XSD + "string"
        )
        return self.term(term) if plain else None

    def number(self, term: Any) -> str | None:
        """Return an integer or a decimal number for comparisons: servers match one in a pattern in different ways."""
        if isinstance(term, Literal) and str(term.datatype) in _NUMBERS and _PLAIN_NUMBER.fullmatch(str(term)):
            return f'"{term}"^^<{term.datatype}>'
        return None

    def in_languages(self, term: Any) -> tuple[str, ...]:
        """Return a literal with a language tag in each spelling of the tag; none for any other literal.

        RDF 1.1 Concepts, section 3.3, lets servers write the tag in small letters, as Oxigraph does. Others keep it as it was
        sent, or write it as RFC 5646, section 2.1.1, recommends, as Jena does. This assumes that it was sent in capitals, in
        small letters, as recommended, or as in the query.
        """
        if not isinstance(term, Literal) or not term.language or str(term) not in self._texts:
            return ()
        tags = {term.language, term.language.lower(), term.language.upper(), _recommended(term.language)}
        text = str(pyoxigraph.Literal(str(term)))
        return tuple(f"{text}@{tag}" for tag in sorted(tags))


def number_test(variable: str, operator: str, number: str) -> str:
    """Write a comparison with a number that lets values pass that a node may not know for numbers.

    pyoxigraph takes "300"^^xsd:byte and "-5"^^xsd:unsignedInt for the integers that are written there, Jena for no numbers.

    Args:
        variable: The variable to compare.
        operator: The operator.
        number: A number from :meth:`PortableTerms.number`.
    """
    return f"({variable} {operator} {number} || DATATYPE({variable}) NOT IN ({_COMPARED_EVERYWHERE}))"


def _recommended(tag: str) -> str:
    """Write the language in small letters, a script's first letter large, and a region in capitals."""
    first, *others = tag.lower().split("-")
    parts = [first]
    for part in others:
        after_singleton = len(parts[-1]) == 1
        if len(part) == 2 and not after_singleton:
            part = part.upper()
        elif len(part) == 4 and not after_singleton:
            part = part.title()
        parts.append(part)
    return "-".join(parts)
