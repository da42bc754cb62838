"""Contexts of JSON-LD 1.1 (https://www.w3.org/TR/json-ld11-api/#context-processing-algorithms).

A context by URL is one of those at hand; none is ever fetched. The work is counted, since contexts that name each other make
small documents costly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from topology.rdf.active_context import (
    DEFINED_BY_CONTEXTS,
    ActiveContext,
    ContextNotAtHandError,
    JsonLdError,
    TooCostlyError,
    bounded,
    direction_of,
    flag_of,
    language_of,
)
from topology.rdf.iri import is_absolute, resolve
from topology.rdf.term_definition import TermDefiner

_MOST_CONTEXTS = 100
_MOST_TERMS = 500
# A short name expands to a long IRI at each use, and names may build on one another.
_LONGEST_DEFINITION = 1000
_MOST_STEPS = 100_000
_MOST_REMOTE = 20
_LONGEST_CACHED = 10_000  # bytes


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
            propagate = flag_of(local, "@propagate")
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
            raise JsonLdError("invalid @version value", f"{json.dumps(context['@version'])}, not the number 1.1")
        if "@import" in context:
            context = self._with_import(context, base_url)
        if "@base" in context and not remote:
            result.base = _base(result, context["@base"])
        if "@vocab" in context:
            vocabulary = context["@vocab"]
            if not isinstance(vocabulary, str | None):
                raise JsonLdError("invalid vocab mapping", vocabulary)
            result.vocabulary = (
                None if vocabulary is None else result.expand_iri(vocabulary, vocabulary=True, document_relative=True)
            )
        if "@language" in context:
            result.language = language_of(context, "invalid default language")
        if "@direction" in context:
            result.direction = direction_of(context)
        if "@propagate" in context:
            flag_of(context, "@propagate")
        protected = "@protected" in context and flag_of(context, "@protected")
        definer = TermDefiner(
            self.charge,
            self._check_scoped,
            result,
            context,
            base_url,
            remote,
            protected,
            override_protected,
            validate_scoped,
        )
        for term in context:
            if term not in DEFINED_BY_CONTEXTS:
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

    def _check_scoped(self, active: ActiveContext, context: Any, base_url: str | None, remote: tuple[str, ...]) -> None:
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


def _base(result: ActiveContext, base: Any) -> str | None:
    if base is None:
        return None
    if not isinstance(base, str) or not (is_absolute(base) or result.base is not None):
        raise JsonLdError("invalid base IRI", base)
    return bounded(resolve(base, result.base))
