"""Definitions of the terms of a JSON-LD context (https://www.w3.org/TR/json-ld11-api/#create-term-definition)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from topology.rdf.active_context import (
    CONTAINERS,
    DEFINED_BY_CONTEXTS,
    DEFINING,
    KEYWORDS,
    LIKE_A_KEYWORD,
    TYPES,
    UNSET,
    ActiveContext,
    JsonLdError,
    Term,
    TooCostlyError,
    bounded,
    direction_of,
    flag_of,
    language_of,
)
from topology.rdf.iri import is_absolute

_ENDS_A_PREFIX = tuple(":/?#[]@")
_LONGEST_CHAIN = 50


@dataclass(slots=True)
class TermDefiner:
    """Defines the terms of one local context (section 4.2), each after those that it builds on."""

    charge: Callable[[], None]
    check_scoped: Callable[[ActiveContext, Any, str | None, tuple[str, ...]], None]
    active: ActiveContext
    context: dict[str, Any]
    base_url: str | None
    remote: tuple[str, ...]
    protected: bool
    override_protected: bool
    validate_scoped: bool
    defined: dict[str, bool] = field(default_factory=dict)
    depth: int = 0

    def define_first(self, term: str) -> None:
        """Define a term that another builds on, if this context has it."""
        if term in self.context and term not in DEFINED_BY_CONTEXTS and not self.defined.get(term):
            self.depth += 1
            if self.depth > _LONGEST_CHAIN:
                raise TooCostlyError(f"more than {_LONGEST_CHAIN} terms build on one another")
            self.define(term)
            self.depth -= 1

    def define(self, term: str) -> None:
        """Define a term."""
        if term in self.defined:
            if not self.defined[term]:
                raise JsonLdError("cyclic IRI mapping", term)
            return
        self.charge()
        if not term:
            raise JsonLdError("invalid term definition", "the empty term")
        self.defined[term] = False
        value = self.context[term]
        if term == "@type":
            _check_type_alone(value)
        elif term in KEYWORDS:
            raise JsonLdError("keyword redefinition", term)
        elif LIKE_A_KEYWORD.fullmatch(term):
            self.defined[term] = True
            return
        previous = self.active.terms.pop(term, None)
        is_simple = not isinstance(value, dict)
        if not isinstance(value, dict | str | None):
            raise JsonLdError("invalid term definition", term)
        definition = self._definition(term, value if isinstance(value, dict) else {"@id": value}, is_simple)
        if definition is not None:
            if previous is not None and previous.protected and not self.override_protected:
                if replace(definition, protected=True) != previous:
                    raise JsonLdError("protected term redefinition", term)
                definition = previous
            self.active.terms[term] = definition
        self.defined[term] = True

    def _definition(self, term: str, value: dict[str, Any], is_simple: bool) -> Term | None:
        unknown = value.keys() - DEFINING
        if unknown:
            raise JsonLdError("invalid term definition", f"{term} has {sorted(unknown)[0]}")
        protected = flag_of(value, "@protected") if "@protected" in value else self.protected
        type_ = self._type(value) if "@type" in value else None
        if "@reverse" in value:
            return self._reverse(value, protected, type_)
        found = self._iri(term, value)
        if found is UNSET:
            return None
        iri: str | None = found
        prefix = (
            is_simple
            and iri is not None
            and ":" not in term
            and "/" not in term
            and (iri.endswith(_ENDS_A_PREFIX) or iri.startswith("_:"))
        )
        container = _container(value["@container"]) if "@container" in value else frozenset()
        if "@type" in container:
            type_ = type_ or "@id"
            if type_ not in ("@id", "@vocab"):
                raise JsonLdError("invalid type mapping", type_)
        index = value.get("@index")
        if "@index" in value:
            expanded = self._expand(index) if isinstance(index, str) else None
            if "@index" not in container or expanded is None or not is_absolute(expanded):
                raise JsonLdError("invalid term definition", f"@index of {term}")
        context = value.get("@context", UNSET)
        if context is not UNSET:
            self.check_scoped(self.active, context, self.base_url, self.remote)
        nest = value.get("@nest")
        if "@nest" in value and (not isinstance(nest, str) or (nest in KEYWORDS and nest != "@nest")):
            raise JsonLdError("invalid @nest value", nest)
        if "@prefix" in value:
            prefix = flag_of(value, "@prefix")
            if ":" in term or "/" in term or (prefix and iri in KEYWORDS):
                raise JsonLdError("invalid term definition", f"@prefix of {term}")
        return Term(
            iri=iri,
            prefix=prefix,
            protected=protected,
            container=container,
            type=type_,
            language=language_of(value, "invalid language mapping")
            if "@language" in value and "@type" not in value
            else UNSET,
            direction=direction_of(value) if "@direction" in value and "@type" not in value else UNSET,
            index=index,
            nest=nest,
            context=context,
            base_url=self.base_url if context is not UNSET else None,
        )

    def _expand(self, value: str) -> str | None:
        return self.active.expand_iri(value, vocabulary=True, definer=self)

    def _type(self, value: dict[str, Any]) -> str:
        type_ = self._expand(value["@type"]) if isinstance(value["@type"], str) else None
        if type_ is None or (type_ not in TYPES and not is_absolute(type_)):
            raise JsonLdError("invalid type mapping", value["@type"])
        return type_

    def _reverse(self, value: dict[str, Any], protected: bool, type_: str | None) -> Term | None:
        of = value["@reverse"]
        if "@id" in value or "@nest" in value:
            raise JsonLdError("invalid reverse property", of)
        if not isinstance(of, str):
            raise JsonLdError("invalid IRI mapping", of)
        if LIKE_A_KEYWORD.fullmatch(of):
            return None
        iri = self._expand(of)
        if iri is None or ":" not in iri:
            raise JsonLdError("invalid IRI mapping", of)
        container = value.get("@container")
        if container not in (None, "@set", "@index", ["@set"], ["@index"]):
            raise JsonLdError("invalid reverse property", container)
        return Term(
            iri=iri,
            protected=protected,
            reverse=True,
            type=type_,
            container=_container(container) if container else frozenset(),
        )

    def _iri(self, term: str, value: dict[str, Any]) -> Any:
        """Return the IRI of a term, ``None`` if the term is taken away, or ``UNSET`` if its definition is ignored."""
        name = value.get("@id", term)
        if name is None:
            return None
        if name != term:
            if not isinstance(name, str):
                raise JsonLdError("invalid IRI mapping", name)
            if name not in KEYWORDS and LIKE_A_KEYWORD.fullmatch(name):
                return UNSET
            iri = self._expand(name)
            if iri is None or (iri not in KEYWORDS and ":" not in iri):
                raise JsonLdError("invalid IRI mapping", name)
            if iri == "@context":
                raise JsonLdError("invalid keyword alias", term)
            if ":" in term[1:-1] or "/" in term:
                self.defined[term] = True
                if self._expand(term) != iri:
                    raise JsonLdError("invalid IRI mapping", term)
            return iri
        if ":" in term[1:]:
            prefix, _, suffix = term.partition(":")
            self.define_first(prefix)
            known = self.active.terms.get(prefix)
            return term if known is None or known.iri is None else bounded(known.iri + suffix)
        if "/" in term:
            iri = self._expand_undefined(term)
            if iri is None or not is_absolute(iri):
                raise JsonLdError("invalid IRI mapping", term)
            return iri
        if term == "@type":
            return "@type"
        if self.active.vocabulary is None:
            raise JsonLdError("invalid IRI mapping", term)
        return bounded(self.active.vocabulary + term)

    def _expand_undefined(self, term: str) -> str | None:
        return self.active.expand_iri(term, vocabulary=True)


def _container(value: Any) -> frozenset[str]:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) and part in CONTAINERS for part in parts):
        raise JsonLdError("invalid container mapping", value)
    container = frozenset(parts)
    rest = container - {"@set"}
    if len(rest) > 1 and rest not in ({"@graph", "@id"}, {"@graph", "@index"}):
        raise JsonLdError("invalid container mapping", value)
    if "@list" in container and len(container) > 1:
        raise JsonLdError("invalid container mapping", value)
    return container


def _check_type_alone(value: Any) -> None:
    if (
        not isinstance(value, dict)
        or not value
        or value.keys() - {"@container", "@protected"}
        or value.get("@container", "@set") not in ("@set", ["@set"])
    ):
        raise JsonLdError("keyword redefinition", "@type")
