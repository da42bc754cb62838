"""Contexts of JSON-LD 1.1 (https://www.w3.org/TR/json-ld11-api/#context-processing-algorithms).

A context by URL is one of those at hand; none is ever fetched. The work is counted, since contexts that name each other make
small documents costly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from topology.rdf.iri import is_absolute, resolve

_DEFINED_BY_CONTEXTS = {"@base", "@direction", "@import", "@language", "@propagate", "@protected", "@version", "@vocab"}
_CONTAINERS = {"@graph", "@id", "@index", "@language", "@list", "@set", "@type"}
_TYPES = {"@id", "@json", "@none", "@vocab"}
_DEFINING = {"@container", "@context", "@direction", "@id", "@index", "@language"}
_DEFINING |= {"@nest", "@prefix", "@protected", "@reverse", "@type"}
KEYWORDS = frozenset(_DEFINED_BY_CONTEXTS | _CONTAINERS | _TYPES | _DEFINING | {"@included", "@value"})
_LIKE_A_KEYWORD = re.compile(r"@[A-Za-z]+")
_ENDS_A_PREFIX = tuple(":/?#[]@")

_MOST_CONTEXTS = 100
_MOST_TERMS = 500
# A short name expands to a long IRI at each use, and names may build on one another.
_LONGEST_DEFINITION = 1000
_MOST_STEPS = 100_000
_LONGEST_IRI = 10_000
_MOST_REMOTE = 20
_LONGEST_CHAIN = 50
_LONGEST_CACHED = 10_000  # bytes

UNSET: Final = object()


class JsonLdError(ValueError):
    """A document is not JSON-LD.

    Args:
        code: The error code of JSON-LD 1.1 (https://www.w3.org/TR/json-ld11-api/#jsonlderrorcode).
        found: The part of the document that is wrong.
    """

    def __init__(self, code: str, found: Any = "") -> None:
        super().__init__(f"{code}: {str(found)[:200]}" if found != "" else code)
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


def check_size(context: dict[str, Any]) -> None:
    """Refuse a document's own context if it is large; those at hand may be.

    Raises:
        TooCostlyError: It has more than 500 terms, or definitions of more than 1000 characters.
    """
    if len(context) > _MOST_TERMS:
        raise TooCostlyError(f"its context has {len(context)} terms, more than {_MOST_TERMS}")
    for term, definition in context.items():
        values = definition.values() if isinstance(definition, dict) else (definition,)
        if any(isinstance(value, str) and len(value) > _LONGEST_DEFINITION for value in values):
            raise TooCostlyError(f"its context defines {term[:100]} with more than {_LONGEST_DEFINITION} characters")


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


class ContextProcessor:
    """Processes the contexts of one document.

    Args:
        at_hand: The known contexts by URL.

    Attributes:
        steps: The steps of work so far.
    """

    def __init__(self, at_hand: Mapping[str, Any]) -> None:
        self._at_hand = at_hand
        self.steps = 0
        self._contexts = 0
        # The nodes of an array mostly need the same few contexts. The values keep alive the objects that the keys identify.
        self._processed: dict[tuple[Any, ...], tuple[ActiveContext, Any, ActiveContext]] = {}
        self._validated: set[int] = set()

    def charge(self, steps: int = 1) -> None:
        """Count steps of work on contexts; the document's size bounds the rest.

        Raises:
            TooCostlyError: The document needs too many.
        """
        self.steps += steps
        if self.steps > _MOST_STEPS:
            raise TooCostlyError(
                f"its contexts take more than {_MOST_STEPS} steps: they are large, and apply too often"
            )

    def process_own(self, active: ActiveContext, local: Any, base_url: str | None) -> ActiveContext:
        """Apply the context that a node of the document has, and count it.

        Args:
            active: The context in force.
            local: The value of ``@context``.
            base_url: The base of its URLs.

        Raises:
            JsonLdError: As :meth:`process`, or the document has more than 100 contexts.
        """
        self._contexts += len(local) if isinstance(local, list) else 1
        if self._contexts > _MOST_CONTEXTS:
            raise TooCostlyError(f"it has more than {_MOST_CONTEXTS} contexts: give it one for all of it")
        if active.is_initial and isinstance(local, dict) and not any(map(_is_special, local.items())):
            encoded = msgspec.json.encode(local)
            if len(encoded) <= _LONGEST_CACHED:
                context, steps = _process_plain(encoded)
                self.charge(steps)
                return context.rebased(active)
        return self.process(active, local, base_url)

    def process(
        self,
        active: ActiveContext,
        local: Any,
        base_url: str | None,
        *,
        override_protected: bool = False,
        propagate: bool = True,
    ) -> ActiveContext:
        """Apply a local context to an active one.

        Args:
            active: The context in force.
            local: The value of ``@context``.
            base_url: The base of its URLs.
            override_protected: Whether it may redefine protected terms.
            propagate: Whether it stays in force in nested nodes.

        Raises:
            JsonLdError: It is not a context, names one that is not at hand, or is too costly.
        """
        named = local if isinstance(local, str) else id(local)
        key = id(active), named, base_url, override_protected, propagate
        if key not in self._processed:
            result = self._process(active, local, base_url, (), override_protected, propagate, True)
            self._processed[key] = active, local, result
        return self._processed[key][2]

    def _process(
        self,
        active: ActiveContext,
        local: Any,
        base_url: str | None,
        remote: tuple[str, ...],
        override_protected: bool,
        propagate: bool,
        validate_scoped: bool,
    ) -> ActiveContext:
        self.charge(1 + len(active.terms) // 50)
        result = active.copy()
        if isinstance(local, dict) and "@propagate" in local:
            propagate = _flag(local, "@propagate")
        if not propagate and result.previous is None:
            result.previous = active
        for context in local if isinstance(local, list) else [local]:
            self.charge()
            if context is None:
                if not override_protected and any(term.protected for term in result.terms.values()):
                    raise JsonLdError("invalid context nullification")
                previous = None if propagate else result
                result = ActiveContext(active.document_base, active.document_base, previous=previous)
            elif isinstance(context, str):
                url = resolve(context, base_url)
                if not validate_scoped and url in remote:
                    continue
                if url in remote or len(remote) >= _MOST_REMOTE:
                    raise JsonLdError("context overflow", url)
                result = self._process(result, self._load(url), url, (*remote, url), False, True, validate_scoped)
            elif isinstance(context, dict):
                self._define(result, context, base_url, remote, override_protected, validate_scoped)
            else:
                raise JsonLdError("invalid local context", context)
        return result

    def _load(self, url: str) -> Any:
        if url not in self._at_hand:
            raise ContextNotAtHandError(url)
        known = self._at_hand[url]
        if isinstance(known, dict):
            return known.get("@context", known)
        if not isinstance(known, list):
            raise JsonLdError("invalid remote context", url)
        return known

    def _define(
        self,
        result: ActiveContext,
        context: dict[str, Any],
        base_url: str | None,
        remote: tuple[str, ...],
        override_protected: bool,
        validate_scoped: bool,
    ) -> None:
        if not remote:
            check_size(context)
        if "@version" in context and (context["@version"] != 1.1 or isinstance(context["@version"], str)):
            raise JsonLdError("invalid @version value", context["@version"])
        if "@import" in context:
            context = self._with_import(context, base_url)
        if "@base" in context and not remote:
            result.base = _base(result, context["@base"])
        if "@vocab" in context:
            vocabulary = context["@vocab"]
            if not isinstance(vocabulary, str | None):
                raise JsonLdError("invalid vocab mapping", vocabulary)
            result.vocabulary = (
                None
                if vocabulary is None
                else self.expand_iri(result, vocabulary, vocabulary=True, document_relative=True)
            )
        if "@language" in context:
            result.language = _language(context, "invalid default language")
        if "@direction" in context:
            result.direction = _direction(context)
        if "@propagate" in context:
            _flag(context, "@propagate")
        protected = "@protected" in context and _flag(context, "@protected")
        definer = _Definer(self, result, context, base_url, remote, protected, override_protected, validate_scoped)
        for term in context:
            if term not in _DEFINED_BY_CONTEXTS:
                definer.define(term)

    def _with_import(self, context: dict[str, Any], base_url: str | None) -> dict[str, Any]:
        value = context["@import"]
        if not isinstance(value, str):
            raise JsonLdError("invalid @import value", value)
        imported = self._load(resolve(value, base_url))
        if not isinstance(imported, dict):
            raise JsonLdError("invalid remote context", value)
        if "@import" in imported:
            raise JsonLdError("invalid context entry", f"{value} imports {imported['@import']}")
        return {**imported, **{key: value for key, value in context.items() if key != "@import"}}

    def expand_iri(
        self,
        active: ActiveContext,
        value: str,
        *,
        document_relative: bool = False,
        vocabulary: bool = False,
        definer: _Definer | None = None,
    ) -> str | None:
        """Expand a term, a compact IRI or a relative one (section 5.2).

        Args:
            active: The context in force.
            value: The text.
            document_relative: Whether it may be relative to the base.
            vocabulary: Whether it may be a term, or relative to the vocabulary.
            definer: The definer of the context that is being processed.

        Returns:
            An IRI, a blank node's label, a keyword, a text that is none of them, or ``None`` if it has to be ignored.
        """
        if value in KEYWORDS:
            return value
        if value.startswith("@") and _LIKE_A_KEYWORD.fullmatch(value):
            return None
        if definer is not None:
            definer.define_first(value)
        term = active.terms.get(value)
        if term is not None and (vocabulary or term.iri in KEYWORDS):
            return term.iri
        if ":" in value[1:]:
            prefix, _, suffix = value.partition(":")
            if prefix == "_" or suffix.startswith("//"):
                return value
            if definer is not None:
                definer.define_first(prefix)
            term = active.terms.get(prefix)
            if term is not None and term.iri is not None and term.prefix:
                return _bounded(term.iri + suffix)
            if is_absolute(value):
                return value
        if vocabulary and active.vocabulary is not None:
            return _bounded(active.vocabulary + value)
        if document_relative:
            return _bounded(resolve(value, active.base))
        return value

    def validate_scoped(
        self, active: ActiveContext, context: Any, base_url: str | None, remote: tuple[str, ...]
    ) -> None:
        """Check the context of a term's own, unless it was checked before.

        Raises:
            JsonLdError: It is not a context, or too costly.
        """
        if id(context) in self._validated:
            return
        self._validated.add(id(context))
        try:
            self._process(active, context, base_url, remote, True, True, False)
        except (ContextNotAtHandError, TooCostlyError):
            raise
        except JsonLdError as error:
            raise JsonLdError("invalid scoped context", error) from error


def _is_special(entry: tuple[str, Any]) -> bool:
    """Tell whether an entry of a context is more than a name for an IRI."""
    term, definition = entry
    return term.startswith("@") or not isinstance(definition, str)


# Descriptions of one provider have the same context. What it defines does not depend on the document.
@lru_cache(maxsize=64)
def _process_plain(encoded: bytes) -> tuple[ActiveContext, int]:
    """Process a context that only names IRIs; return it, and the steps that it took."""
    processor = ContextProcessor({})
    return processor.process(ActiveContext(None, None), msgspec.json.decode(encoded), None), processor.steps


@dataclass(slots=True)
class _Definer:
    """Defines the terms of one local context (section 4.2), each after those that it builds on."""

    processor: ContextProcessor
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
        if term in self.context and term not in _DEFINED_BY_CONTEXTS and not self.defined.get(term):
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
        self.processor.charge()
        if not term:
            raise JsonLdError("invalid term definition", "the empty term")
        self.defined[term] = False
        value = self.context[term]
        if term == "@type":
            _check_type_alone(value)
        elif term in KEYWORDS:
            raise JsonLdError("keyword redefinition", term)
        elif _LIKE_A_KEYWORD.fullmatch(term):
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
        unknown = value.keys() - _DEFINING
        if unknown:
            raise JsonLdError("invalid term definition", f"{term} has {sorted(unknown)[0]}")
        protected = _flag(value, "@protected") if "@protected" in value else self.protected
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
            self.processor.validate_scoped(self.active, context, self.base_url, self.remote)
        nest = value.get("@nest")
        if "@nest" in value and (not isinstance(nest, str) or (nest in KEYWORDS and nest != "@nest")):
            raise JsonLdError("invalid @nest value", nest)
        if "@prefix" in value:
            prefix = _flag(value, "@prefix")
            if ":" in term or "/" in term or (prefix and iri in KEYWORDS):
                raise JsonLdError("invalid term definition", f"@prefix of {term}")
        return Term(
            iri=iri,
            prefix=prefix,
            protected=protected,
            container=container,
            type=type_,
            language=_language(value, "invalid language mapping")
            if "@language" in value and "@type" not in value
            else UNSET,
            direction=_direction(value) if "@direction" in value and "@type" not in value else UNSET,
            index=index,
            nest=nest,
            context=context,
            base_url=self.base_url if context is not UNSET else None,
        )

    def _expand(self, value: str) -> str | None:
        return self.processor.expand_iri(self.active, value, vocabulary=True, definer=self)

    def _type(self, value: dict[str, Any]) -> str:
        type_ = self._expand(value["@type"]) if isinstance(value["@type"], str) else None
        if type_ is None or (type_ not in _TYPES and not is_absolute(type_)):
            raise JsonLdError("invalid type mapping", value["@type"])
        return type_

    def _reverse(self, value: dict[str, Any], protected: bool, type_: str | None) -> Term | None:
        of = value["@reverse"]
        if "@id" in value or "@nest" in value:
            raise JsonLdError("invalid reverse property", of)
        if not isinstance(of, str):
            raise JsonLdError("invalid IRI mapping", of)
        if _LIKE_A_KEYWORD.fullmatch(of):
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
            if name not in KEYWORDS and _LIKE_A_KEYWORD.fullmatch(name):
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
            return term if known is None or known.iri is None else _bounded(known.iri + suffix)
        if "/" in term:
            iri = self._expand_undefined(term)
            if iri is None or not is_absolute(iri):
                raise JsonLdError("invalid IRI mapping", term)
            return iri
        if term == "@type":
            return "@type"
        if self.active.vocabulary is None:
            raise JsonLdError("invalid IRI mapping", term)
        return _bounded(self.active.vocabulary + term)

    def _expand_undefined(self, term: str) -> str | None:
        return self.processor.expand_iri(self.active, term, vocabulary=True)


def _bounded(iri: str) -> str:
    if len(iri) > _LONGEST_IRI:
        raise TooCostlyError(f"it has an IRI of more than {_LONGEST_IRI} characters once it is written out")
    return iri


def _base(result: ActiveContext, base: Any) -> str | None:
    if base is None:
        return None
    if not isinstance(base, str) or not (is_absolute(base) or result.base is not None):
        raise JsonLdError("invalid base IRI", base)
    return _bounded(resolve(base, result.base))


def _flag(value: dict[str, Any], key: str) -> bool:
    if not isinstance(value[key], bool):
        raise JsonLdError(f"invalid {key} value", value[key])
    return bool(value[key])


def _language(value: dict[str, Any], code: str) -> str | None:
    language = value["@language"]
    if language is not None and not isinstance(language, str):
        raise JsonLdError(code, language)
    return language


def _direction(value: dict[str, Any]) -> str | None:
    direction = value["@direction"]
    if direction not in (None, "ltr", "rtl"):
        raise JsonLdError("invalid base direction", direction)
    return None if direction is None else str(direction)


def _container(value: Any) -> frozenset[str]:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) and part in _CONTAINERS for part in parts):
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
