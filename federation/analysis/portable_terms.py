"""The constants of a query, as the nodes know them.

pyoxigraph, which evaluates the query, and rdflib, which reads it for us, have to agree on a constant; and a node has to match
the same terms with it. Where it may match others, it is said in another way, or not at all.
"""

from __future__ import annotations

import re
from typing import Any

import pyoxigraph
from rdflib.term import Literal, URIRef

from federation.analysis.plan import is_portable
from federation.skolem import PREFIX

XSD = "http://www.w3.org/2001/XMLSchema#"
_KEPT_AS_WRITTEN = frozenset({XSD + "string", XSD + "anyURI"})
_NUMBERS = frozenset({XSD + "integer", XSD + "decimal"})
# Types whose values all servers compare with numbers, or know to be none.
_COMPARED_EVERYWHERE = ", ".join(f"<{XSD}{name}>" for name in ("integer", "decimal", "double", "float", "string"))
_PLAIN_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


class PortableTerms:
    """Reads constants.

    Args:
        texts: The IRIs and the texts of the literals that the evaluator reads in the query. Other constants were misread by one
            of the two parsers; nothing is said of them.
    """

    def __init__(self, texts: frozenset[str]) -> None:
        self._texts = texts

    def term(self, term: Any) -> str | None:
        """A term that all nodes know by the same name, in N-Triples form; ``None`` for whatever can match several terms.

        Numbers, dates and the like can: pyoxigraph takes "01" and "1" for the same integer, servers that match by term do
        not. So can literals with a language tag, whose case may differ. An IRI that some servers resolve is none to them.
        """
        if isinstance(term, URIRef) and str(term) in self._texts and is_portable(str(term)):
            return str(pyoxigraph.NamedNode(str(term)))
        if isinstance(term, Literal) and str(term) in self._texts and not term.language:
            datatype = str(term.datatype or XSD + "string")
            own = datatype in self._texts and not datatype.startswith(XSD)
            if own or datatype in _KEPT_AS_WRITTEN:
                return str(pyoxigraph.Literal(str(term), datatype=pyoxigraph.NamedNode(datatype)))
        return None

    def iri(self, term: Any) -> str | None:
        """An IRI that a node knows by the same name, and that is no blank node to the evaluator."""
        return self.term(term) if isinstance(term, URIRef) and not str(term).startswith(PREFIX) else None

    def string(self, term: Any) -> str | None:
        """A literal without language and datatype."""
        plain = (
            isinstance(term, Literal) and not term.language and str(term.datatype or XSD + "string") == XSD + "string"
        )
        return self.term(term) if plain else None

    def number(self, term: Any) -> str | None:
        """An integer or a decimal number, to be compared with: as a pattern's constant, servers match it in different ways."""
        if isinstance(term, Literal) and str(term.datatype) in _NUMBERS and _PLAIN_NUMBER.fullmatch(str(term)):
            return f'"{term}"^^<{term.datatype}>'
        return None

    def in_languages(self, term: Any) -> tuple[str, ...]:
        """A literal with a language tag, in each way in which servers write the tag; none when it is no such literal.

        RDF 1.1 Concepts, section 3.3, lets them write it in small letters, as Oxigraph does. Others keep it as it was sent, or
        write it as RFC 5646, section 2.1.1, recommends, as Jena does. What was sent is taken to be in capitals, in small
        letters, as recommended, or as in the query.
        """
        if not isinstance(term, Literal) or not term.language or str(term) not in self._texts:
            return ()
        tags = {term.language, term.language.lower(), term.language.upper(), _recommended(term.language)}
        text = str(pyoxigraph.Literal(str(term)))
        return tuple(f"{text}@{tag}" for tag in sorted(tags))


def number_test(variable: str, operator: str, number: str) -> str:
    """A comparison with a number that lets through what a node may not know for a number.

    pyoxigraph takes "300"^^xsd:byte and "-5"^^xsd:unsignedInt for the integers that are written there, Jena for no numbers.

    Args:
        variable: What is compared.
        operator: How.
        number: From :meth:`PortableTerms.number`.
    """
    return f"({variable} {operator} {number} || DATATYPE({variable}) NOT IN ({_COMPARED_EVERYWHERE}))"


def _recommended(tag: str) -> str:
    """Language in small letters, a script's first letter large, and a region in capitals."""
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
