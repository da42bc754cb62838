"""Expansion of JSON-LD 1.1 (https://www.w3.org/TR/json-ld11-api/#expansion-algorithms).

An expanded document needs no context: its IRIs are absolute, and its values say their type and language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from topology.rdf.active_context import KEYWORDS, UNSET, ActiveContext, JsonLdError, Term
from topology.rdf.contexts import ContextProcessor
from topology.rdf.iri import is_well_formed

_NO_TERM = Term()
_MOST_KEYS, _LONGEST_KEY = 500, 200
_VALUE_KEYS = frozenset(["@direction", "@index", "@language", "@type", "@value"])
# They may be said twice of a node, for instance by the keyword and by an alias.
_REPEATABLE = frozenset(("@included", "@type"))


def expand(document: Any, base: str, at_hand: Mapping[str, Any], linked: str = "") -> list[Any]:
    """Expand a document.

    Args:
        document: The decoded JSON.
        base: The IRI that it was read from.
        at_hand: The known contexts by URL; none is ever fetched.
        linked: The URL of a context for all of the document, relative to the base; empty: none.

    Returns:
        The expanded document.

    Raises:
        JsonLdError: The document is not JSON-LD, names a context that is not at hand, or needs too much work.
    """
    contexts, active = ContextProcessor(at_hand), ActiveContext(base, base)
    if linked:
        active = contexts.process(active, linked, base)
    expanded = _Expansion(contexts, base).expand(active, None, document)
    if isinstance(expanded, dict) and expanded.keys() == {"@graph"}:
        expanded = expanded["@graph"]
    return [] if expanded is None else _listed(expanded)


class _Expansion:
    """Expands one document; the steps are those of section 5.1.2."""

    def __init__(self, contexts: ContextProcessor, base: str) -> None:
        self._contexts = contexts
        self._base = base

    def expand(self, active: ActiveContext, active_property: str | None, element: Any, from_map: bool = False) -> Any:
        """Expand the value of a property."""
        if element is None:
            return None
        if isinstance(element, list):
            return self._expand_array(active, active_property, element, from_map)
        scoped = active.context_of(active_property)
        if isinstance(element, dict):
            if active.previous is not None and not from_map and not self._stays(active, element):
                active_of_node = active.previous
            else:
                active_of_node = active
            if scoped is not UNSET:
                active_of_node = self._scoped(active_of_node, active, active_property, override_protected=True)
            return self._expand_map(active_of_node, active_property, element)
        if active_property in (None, "@graph"):
            return None
        if scoped is not UNSET:
            active = self._scoped(active, active, active_property)
        return self._value(active, active_property, element)

    def _scoped(self, active: ActiveContext, defining: ActiveContext, term: str | None, **how: bool) -> ActiveContext:
        """Apply the context of a term's own."""
        definition = defining.terms[str(term)]
        return self._contexts.process(active, definition.context, definition.base_url, **how)

    def _stays(self, active: ActiveContext, element: dict[str, Any]) -> bool:
        """Tell whether a map is a value or a mere reference, which a context that does not propagate still applies to."""
        keys = [self._iri(active, key) for key in element]
        return "@value" in keys or keys == ["@id"]

    def _iri(self, active: ActiveContext, value: str, document_relative: bool = False) -> str | None:
        if document_relative:
            return active.expand_iri(value, vocabulary=True, document_relative=True)
        known = active.expanded
        if value not in known:
            if len(known) >= _MOST_KEYS or len(value) > _LONGEST_KEY:  # documents share it
                return active.expand_iri(value, vocabulary=True)
            known[value] = active.expand_iri(value, vocabulary=True)
        return known[value]

    def _expand_array(
        self, active: ActiveContext, active_property: str | None, items: list[Any], from_map: bool
    ) -> list[Any]:
        term = active.terms.get(active_property, _NO_TERM) if active_property is not None else _NO_TERM
        result: list[Any] = []
        for item in items:
            expanded = self.expand(active, active_property, item, from_map)
            if "@list" in term.container and isinstance(expanded, list):
                expanded = {"@list": expanded}
            if isinstance(expanded, list):
                result.extend(expanded)
            elif expanded is not None:
                result.append(expanded)
        return result

    def _expand_map(self, active: ActiveContext, active_property: str | None, element: dict[str, Any]) -> Any:
        may_be_simple = len(element) <= 2 and active_property not in (None, "@graph", "@reverse")
        if may_be_simple and (simple := self._expand_simple(active, element)) is not None:
            return simple
        if "@context" in element:
            active = self._contexts.process_own(active, element["@context"], self._base)
        type_scoped = active
        type_keys = sorted(key for key in element if self._iri(active, key) == "@type")
        for key in type_keys:
            for type_ in sorted(value for value in _listed(element[key]) if isinstance(value, str)):
                if type_scoped.context_of(type_) is not UNSET:
                    active = self._scoped(active, type_scoped, type_, propagate=False)
        input_type = None
        if type_keys and _listed(element[type_keys[0]]):
            last = _listed(element[type_keys[0]])[-1]
            input_type = self._iri(active, last) if isinstance(last, str) else None
        result: dict[str, Any] = {}
        self._expand_entries(active, type_scoped, active_property, element, input_type, result)
        return _finished(result, active_property)

    def _expand_simple(self, active: ActiveContext, element: dict[str, Any]) -> dict[str, Any] | None:
        """Expand a text with its type or language, or a reference: most maps are one of them. ``None`` for any other map."""
        text, name = element.get("@value"), element.get("@id")
        if len(element) == 1 and type(name) is str:
            return {"@id": active.expand_iri(name, document_relative=True)}
        if type(text) is not str or len(element) == 1:
            return None
        type_, language = element.get("@type"), element.get("@language")
        if type(language) is str:
            return {"@value": text, "@language": language}
        if type(type_) is str and active.context_of(type_) is UNSET and (iri := self._iri(active, type_, True)):
            result = {"@value": text, "@type": iri}
            _is_valid_value(result)
            return result
        return None

    def _expand_entries(
        self,
        active: ActiveContext,
        type_scoped: ActiveContext,
        active_property: str | None,
        element: dict[str, Any],
        input_type: str | None,
        result: dict[str, Any],
    ) -> None:
        nests = []
        for key, value in sorted(element.items()):
            if key == "@context":
                continue
            property_ = self._iri(active, key)
            if property_ is None or (":" not in property_ and property_ not in KEYWORDS):
                continue
            if property_ == "@nest":
                nests.append(key)
            elif property_ in KEYWORDS:
                self._expand_keyword(active, type_scoped, active_property, property_, value, input_type, result)
            else:
                self._expand_property(active, key, property_, value, result)
        for key in nests:
            nested_in = active
            if active.context_of(key) is not UNSET:
                nested_in = self._scoped(active, active, key, override_protected=True)
            for nested in _listed(element[key]):
                if not isinstance(nested, dict) or any(self._iri(nested_in, name) == "@value" for name in nested):
                    raise JsonLdError("invalid @nest value", nested)
                self._expand_entries(nested_in, type_scoped, active_property, nested, input_type, result)

    def _expand_keyword(
        self,
        active: ActiveContext,
        type_scoped: ActiveContext,
        active_property: str | None,
        keyword: str,
        value: Any,
        input_type: str | None,
        result: dict[str, Any],
    ) -> None:
        if active_property == "@reverse":
            raise JsonLdError("invalid reverse property map", keyword)
        if keyword in result and keyword not in _REPEATABLE:
            raise JsonLdError("colliding keywords", keyword)
        if keyword == "@id":
            if not isinstance(value, str):
                raise JsonLdError("invalid @id value", value)
            expanded: Any = active.expand_iri(value, document_relative=True)
        elif keyword == "@type":
            expanded = self._types(type_scoped, value)
            if "@type" in result:
                expanded = [*_listed(result["@type"]), *_listed(expanded)]
        elif keyword == "@graph":
            expanded = _listed(self.expand(active, "@graph", value) or [])
        elif keyword == "@included":
            expanded = _listed(self.expand(active, "@included", value))
            if not all(_is_node(item) for item in expanded):
                raise JsonLdError("invalid @included value", value)
            expanded = [*result.get("@included", []), *expanded]
        elif keyword == "@value":
            if input_type != "@json" and isinstance(value, dict | list):
                raise JsonLdError("invalid value object value", value)
            expanded = value
        elif keyword in ("@language", "@index"):
            if not isinstance(value, str):
                code = "invalid language-tagged string" if keyword == "@language" else "invalid @index value"
                raise JsonLdError(code, value)
            expanded = value
        elif keyword == "@direction":
            if value not in ("ltr", "rtl"):
                raise JsonLdError("invalid base direction", value)
            expanded = value
        elif keyword == "@list":
            if active_property in (None, "@graph"):
                return
            expanded = _listed(self.expand(active, active_property, value) or [])
        elif keyword == "@set":
            expanded = self.expand(active, active_property, value)
        elif keyword == "@reverse":
            self._expand_reverse(active, value, result)
            return
        else:
            return
        result[keyword] = expanded

    def _types(self, type_scoped: ActiveContext, value: Any) -> Any:
        types = _listed(value)
        if not all(isinstance(type_, str) for type_ in types):
            raise JsonLdError("invalid type value", value)
        expanded = [self._iri(type_scoped, type_, document_relative=True) for type_ in types]
        kept = [type_ for type_ in expanded if type_ is not None]
        return kept if isinstance(value, list) or not kept else kept[0]

    def _expand_reverse(self, active: ActiveContext, value: Any, result: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise JsonLdError("invalid @reverse value", value)
        expanded = self.expand(active, "@reverse", value) or {}
        for property_, items in expanded.pop("@reverse", {}).items():
            result.setdefault(property_, []).extend(items)
        for property_, items in expanded.items():
            self._add_reverse(property_, _listed(items), result)

    def _add_reverse(self, property_: str, items: list[Any], result: dict[str, Any]) -> None:
        if any(_is_value(item) or _is_list(item) for item in items):
            raise JsonLdError("invalid reverse property value", property_)
        result.setdefault("@reverse", {}).setdefault(property_, []).extend(items)

    def _expand_property(
        self, active: ActiveContext, key: str, property_: str, value: Any, result: dict[str, Any]
    ) -> None:
        term = active.terms.get(key, _NO_TERM)
        container = term.container
        if term.type == "@json":
            expanded: Any = {"@value": value, "@type": "@json"}
        elif "@language" in container and isinstance(value, dict):
            expanded = list(self._language_map(active, term, value))
        elif container & {"@index", "@type", "@id"} and isinstance(value, dict):
            expanded = list(self._index_map(active, key, term, value))
        else:
            expanded = self.expand(active, key, value)
        if expanded is None:
            return
        if "@list" in container and not _is_list(expanded):
            expanded = {"@list": _listed(expanded)}
        if "@graph" in container and not container & {"@id", "@index"}:
            expanded = [{"@graph": _listed(item)} for item in _listed(expanded)]
        if term.reverse:
            self._add_reverse(property_, _listed(expanded), result)
        else:
            result.setdefault(property_, []).extend(_listed(expanded))

    def _language_map(self, active: ActiveContext, term: Term, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
        direction = active.direction if term.direction is UNSET else term.direction
        for language, texts in sorted(value.items()):
            for text in _listed(texts):
                if text is None:
                    continue
                if not isinstance(text, str):
                    raise JsonLdError("invalid language map value", text)
                found = {"@value": text}
                if self._iri(active, language) != "@none":
                    found["@language"] = language
                if direction is not None:
                    found["@direction"] = direction
                yield found

    def _index_map(self, active: ActiveContext, key: str, term: Term, value: dict[str, Any]) -> Iterator[Any]:
        container = term.container
        index_key = term.index or "@index"
        for index, items in sorted(value.items()):
            mapped = active
            if "@type" in container:
                outer = active.previous or active
                if outer.context_of(index) is not UNSET:
                    mapped = self._scoped(outer, outer, index, propagate=False)
            expanded_index = self._iri(active, index)
            for item in _listed(self.expand(mapped, key, _listed(items), from_map=True)):
                if "@graph" in container and not _is_graph(item):
                    item = {"@graph": [item]}
                if expanded_index == "@none":
                    pass
                elif "@index" in container and index_key == "@index":
                    item.setdefault("@index", index)
                elif not _is_node(item):
                    raise JsonLdError("invalid value object", index)
                elif "@index" in container:
                    self._add_indexed(active, index_key, index, item)
                elif "@id" in container:
                    item.setdefault("@id", active.expand_iri(index, document_relative=True))
                else:
                    item["@type"] = [expanded_index, *_listed(item.get("@type", []))]
                yield item

    def _add_indexed(self, active: ActiveContext, index_key: str, index: str, item: dict[str, Any]) -> None:
        property_ = self._iri(active, index_key)
        if property_ is None:
            raise JsonLdError("invalid value object", index_key)
        item[property_] = [self._value(active, index_key, index), *_listed(item.get(property_, []))]

    def _value(self, active: ActiveContext, active_property: str | None, value: Any) -> dict[str, Any]:
        """Expand a scalar (section 5.3)."""
        term = active.terms.get(active_property, _NO_TERM) if active_property is not None else _NO_TERM
        if isinstance(value, str) and term.type in ("@id", "@vocab"):
            iri = active.expand_iri(value, document_relative=True, vocabulary=term.type == "@vocab")
            return {"@id": iri}
        result = {"@value": value}
        if term.type not in (None, "@id", "@vocab", "@none"):
            result["@type"] = term.type
        elif isinstance(value, str):
            language = active.language if term.language is UNSET else term.language
            direction = active.direction if term.direction is UNSET else term.direction
            if language is not None:
                result["@language"] = language
            if direction is not None:
                result["@direction"] = direction
        return result


def _finished(result: dict[str, Any], active_property: str | None) -> Any:
    """Check an expanded map, and drop one that says nothing (steps 15 to 19)."""
    at_top = active_property in (None, "@graph")
    if "@value" in result:
        if not _is_valid_value(result):
            return None
    elif "@list" in result or "@set" in result:
        if len(result) > 1 + ("@index" in result):
            raise JsonLdError("invalid set or list object", sorted(result))
        if "@set" in result:
            return result["@set"]
    elif "@type" in result:
        result["@type"] = _listed(result["@type"])
    if result.keys() == {"@language"}:
        return None
    if at_top and (not result or "@value" in result or "@list" in result or result.keys() == {"@id"}):
        return None
    return result


def _is_valid_value(result: dict[str, Any]) -> bool:
    """Check a value object; tell whether it has a value."""
    if result.keys() - _VALUE_KEYS or ("@type" in result and result.keys() & {"@language", "@direction"}):
        raise JsonLdError("invalid value object", sorted(result))
    type_ = result.get("@type")
    if type_ in ("@json", ["@json"]):
        result["@type"] = "@json"
        return True
    if result["@value"] is None:
        return False
    if not isinstance(result["@value"], str) and "@language" in result:
        raise JsonLdError("invalid language-tagged value", result["@value"])
    if "@type" in result and not (isinstance(type_, str) and is_well_formed(type_)):
        raise JsonLdError("invalid typed value", type_)
    return True


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_value(item: Any) -> bool:
    return isinstance(item, dict) and "@value" in item


def _is_list(item: Any) -> bool:
    return isinstance(item, dict) and "@list" in item


def _is_graph(item: Any) -> bool:
    return isinstance(item, dict) and "@graph" in item and not item.keys() - {"@graph", "@id", "@index"}


def _is_node(item: Any) -> bool:
    return isinstance(item, dict) and not item.keys() & {"@value", "@list", "@set"}
