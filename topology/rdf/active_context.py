"""The terms, bases and defaults in force at a place of a JSON-LD document, and the IRIs that they expand.

Sections are those of JSON-LD 1.1 Processing Algorithms and API (https://www.w3.org/TR/json-ld11-api/).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from topology.rdf.iri import is_absolute, resolve

DEFINED_BY_CONTEXTS = {"@base", "@direction", "@import", "@language", "@propagate", "@protected", "@version", "@vocab"}
CONTAINERS = {"@graph", "@id", "@index", "@language", "@list", "@set", "@type"}
TYPES = {"@id", "@json", "@none", "@vocab"}
DEFINING = {"@container", "@context", "@direction", "@id", "@index", "@language"}
DEFINING |= {"@nest", "@prefix", "@protected", "@reverse", "@type"}
KEYWORDS = frozenset(DEFINED_BY_CONTEXTS | CONTAINERS | TYPES | DEFINING | {"@included", "@value"})
LIKE_A_KEYWORD = re.compile(r"@[A-Za-z]+")

_LONGEST_IRI = 10_000

UNSET: Final = object()


class JsonLdError(ValueError):
    """A document is not JSON-LD.

    Args:
        code: The error code of JSON-LD 1.1 (https://www.w3.org/TR/json-ld11-api/#jsonlderrorcode).
        found: The part of the document that is wrong.
    """

    def __init__(self, code: str, found: Any = "") -> None:
        shown = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
        super().__init__(f"{code}: {shown[:200]}" if shown else code)
        self.code = code


class ContextNotAtHandError(JsonLdError):
    """A context by URL is not at hand.

    Args:
        url: The URL.
    """

    def __init__(self, url: str) -> None:
        super().__init__("loading remote context failed", url)
        self.url = url


class TooCostlyError(JsonLdError):
    """A document needs more work than this reader does for one."""


class Definer(Protocol):
    """Defines terms of the context that is being processed, before others build on them."""

    def define_first(self, term: str) -> None:
        """Define a term, if the context has it."""


@dataclass(frozen=True, slots=True)
class Term:
    """The definition of a term.

    Attributes:
        iri: The IRI or keyword that it stands for; ``None`` takes the term away.
        prefix: Whether it may begin a compact IRI.
        protected: Whether later contexts must not redefine it.
        reverse: Whether it stands for the reverse of the property.
        container: Its containers.
        type: The type that its values get.
        language: The language that its strings get, or ``UNSET``.
        direction: The direction that its strings get, or ``UNSET``.
        index: The property that indexes of its values become.
        nest: The term whose value its values stand in.
        context: The context of its values or nodes, or ``UNSET``.
        base_url: The base of the URLs in that context.
    """

    iri: str | None = None
    prefix: bool = False
    protected: bool = False
    reverse: bool = False
    container: frozenset[str] = frozenset()
    type: str | None = None
    language: Any = UNSET
    direction: Any = UNSET
    index: str | None = None
    nest: str | None = None
    context: Any = UNSET
    base_url: str | None = None


@dataclass(slots=True, eq=False)
class ActiveContext:
    """The definitions that are in force at a place of a document.

    Attributes:
        document_base: The base that the document was read from.
        base: The base of relative IRIs; ``None`` for none.
        vocabulary: The IRI that undefined terms are appended to.
        language: The default language.
        direction: The default direction.
        terms: The terms.
        previous: The context that a nested node returns to, if this one does not propagate.
        expanded: The keys that were expanded so far.
    """

    document_base: str | None
    base: str | None
    vocabulary: str | None = None
    language: str | None = None
    direction: str | None = None
    terms: dict[str, Term] = field(default_factory=dict)
    previous: ActiveContext | None = None
    expanded: dict[str, str | None] = field(default_factory=dict)

    def copy(self) -> ActiveContext:
        """Return a copy that can be changed."""
        return replace(self, terms=dict(self.terms), expanded={})

    def rebased(self, other: ActiveContext) -> ActiveContext:
        """Return the same definitions with the bases of another context."""
        return replace(self, document_base=other.document_base, base=other.base)

    @property
    def is_initial(self) -> bool:
        """True if it defines nothing but a base."""
        return not self.terms and (self.vocabulary, self.language, self.direction, self.previous) == (None,) * 4

    def context_of(self, term: str | None) -> Any:
        """Return the context of a term's own, or ``UNSET``."""
        definition = self.terms.get(term) if term is not None else None
        return UNSET if definition is None else definition.context

    def expand_iri(
        self,
        value: str,
        *,
        document_relative: bool = False,
        vocabulary: bool = False,
        definer: Definer | None = None,
    ) -> str | None:
        """Expand a term, a compact IRI or a relative one (section 5.2).

        Args:
            value: The text.
            document_relative: Whether it may be relative to the base.
            vocabulary: Whether it may be a term, or relative to the vocabulary.
            definer: The definer of the context that is being processed.

        Returns:
            An IRI, a blank node's label, a keyword, a text that is none of them, or ``None`` if it has to be ignored.
        """
        if value in KEYWORDS:
            return value
        if value.startswith("@") and LIKE_A_KEYWORD.fullmatch(value):
            return None
        if definer is not None:
            definer.define_first(value)
        term = self.terms.get(value)
        if term is not None and (vocabulary or term.iri in KEYWORDS):
            return term.iri
        if ":" in value[1:]:
            prefix, _, suffix = value.partition(":")
            if prefix == "_" or suffix.startswith("//"):
                return value
            if definer is not None:
                definer.define_first(prefix)
            term = self.terms.get(prefix)
            if term is not None and term.iri is not None and term.prefix:
                return bounded(term.iri + suffix)
            if is_absolute(value):
                return value
        if vocabulary and self.vocabulary is not None:
            return bounded(self.vocabulary + value)
        if document_relative:
            return bounded(resolve(value, self.base))
        return value


def bounded(iri: str) -> str:
    """Return an IRI as it is.

    Raises:
        TooCostlyError: It is longer than 10,000 characters.
    """
    if len(iri) > _LONGEST_IRI:
        raise TooCostlyError(f"it has an IRI of more than {_LONGEST_IRI} characters once it is written out")
    return iri


def flag_of(value: dict[str, Any], key: str) -> bool:
    """Return the entry of a context or term that is true or false.

    Raises:
        JsonLdError: It is something else.
    """
    if not isinstance(value[key], bool):
        raise JsonLdError(f"invalid {key} value", value[key])
    return bool(value[key])


def language_of(value: dict[str, Any], code: str) -> str | None:
    """Return the language that a context or term has; ``None`` takes it away.

    Raises:
        JsonLdError: It is no string; the code is the given one.
    """
    language = value["@language"]
    if language is not None and not isinstance(language, str):
        raise JsonLdError(code, language)
    return language


def direction_of(value: dict[str, Any]) -> str | None:
    """Return the base direction that a context or term has; ``None`` takes it away.

    Raises:
        JsonLdError: There is no such direction.
    """
    direction = value["@direction"]
    if direction not in (None, "ltr", "rtl"):
        raise JsonLdError("invalid base direction", direction)
    return None if direction is None else str(direction)
