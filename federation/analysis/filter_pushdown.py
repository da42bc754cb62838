"""Filters that nodes can apply.

A node may leave out triples that a filter would drop anyway, and nothing else: the evaluator applies the whole query, filter
included, to the triples that nodes send. So a pushed filter must be true wherever the evaluator would find the original true,
for every term in its place. Nodes differ from the evaluator: they know blank nodes by IRIs, may compare terms where it
compares values, and have regular expressions of their own. A filter that could be true here and not there stays here.

The filters of a group hold for every solution of it, wherever its parts are (SPARQL 1.1 Query, section 18.2.2.2: filters apply
to the whole group). So they hold for each match that takes part in a solution.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pyparsing import ParseResults
from rdflib.plugins.sparql.parserutils import CompValue
from rdflib.term import Identifier, Literal, Variable

from federation.analysis.portable_terms import XSD, PortableTerms, number_test

_LANGUAGE_STRING = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
# Every regular expression language reads these as the same letters, in both cases: "k" and "s" have a third form in Unicode.
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9 ]{1,200}")
_WORDS_OF_TWO_CASES = re.compile(r"[A-JL-RT-Za-jl-rt-z0-9 ]{1,200}")
_MOST_VALUES = 500


class PushedFilter(NamedTuple):
    """A test that every solution passes.

    Attributes:
        variables: The variables that it tests.
        text: A SPARQL expression, each variable's name between zero characters; empty where ``values`` says it all.
        values: The possible terms of the only variable, in N-Triples form.
    """

    variables: frozenset[str]
    text: str = ""
    values: frozenset[str] = frozenset()

    def about(self, names: Mapping[str, str]) -> str:
        """Return the expression with other names for its variables."""
        return re.sub("\0(.*?)\0", lambda found: names[found[1]], self.text)


class FilterPushdown:
    """Finds the filters of groups that nodes can apply.

    Args:
        portable: The constants that all servers read alike.
    """

    def __init__(self, portable: PortableTerms) -> None:
        self._portable = portable

    def of_group(self, parts: Iterable[CompValue]) -> list[PushedFilter]:
        """Return the tests of the FILTER and VALUES clauses among the parts of a group."""
        found: list[PushedFilter] = []
        for part in parts:
            if part.name == "Filter":
                found += self._of_filter(part.expr)
            elif part.name == "InlineData":
                found += self._of_values(part)
        return found

    def _of_filter(self, expression: Any) -> list[PushedFilter]:
        node = _unwrapped(expression)
        if isinstance(node, CompValue) and node.name == "ConditionalAndExpression":
            return [pushed_filter for part in (node.expr, *node.other) for pushed_filter in self._of_filter(part)]
        if isinstance(node, CompValue) and node.name == "RelationalExpression" and node.op in ("IN", "="):
            variable, terms = (
                _unwrapped(node.expr),
                [
                    self._portable.iri(term) or self._portable.string(term)
                    for item in _items(node.other)
                    for term in self._portable.listed(_unwrapped(item))
                ],
            )
            if not isinstance(variable, Variable) and node.op == "=":
                variable, terms = _unwrapped(node.other), [self._portable.iri(variable)]
            if isinstance(variable, Variable) and terms and all(terms) and len(terms) <= _MOST_VALUES:
                return [PushedFilter(frozenset({str(variable)}), values=frozenset(filter(None, terms)))]
        variables: set[str] = set()
        text = self._expression(node, variables)
        return [PushedFilter(frozenset(variables), text)] if text and variables else []

    def _of_values(self, part: CompValue) -> list[PushedFilter]:
        """Return the terms of each variable that VALUES binds, in all rows, to IRIs or plain strings."""
        variables = [str(variable) for variable in part["var"]]
        rows = [_items(row) for row in _items(part.value or [])]
        found = []
        for column, variable in enumerate(variables):
            terms = {
                self._portable.iri(term) or self._portable.string(term)
                for row in rows
                for term in self._portable.listed(row[column])
            }
            if None not in terms and 0 < len(terms) <= _MOST_VALUES:
                found.append(PushedFilter(frozenset({variable}), values=frozenset(term for term in terms if term)))
        return found

    def _expression(self, part: Any, variables: set[str]) -> str | None:
        """Write an expression for a node; ``None`` when nodes might read it differently."""
        node = _unwrapped(part)
        if isinstance(node, CompValue):
            render = _RENDERED.get(node.name)
            return render(self, node, variables) if render else None
        return None

    def _or(self, node: CompValue, variables: set[str]) -> str | None:
        return self._joined(" || ", [node.expr, *node.other], variables)

    def _and(self, node: CompValue, variables: set[str]) -> str | None:
        return self._joined(" && ", [node.expr, *node.other], variables)

    def _joined(self, operator: str, parts: list[Any], variables: set[str]) -> str | None:
        texts = [self._expression(part, variables) for part in parts]
        return None if None in texts else f"({operator.join(text for text in texts if text)})"

    def _relation(self, node: CompValue, variables: set[str]) -> str | None:
        """Compare a variable with a number, or for equality with an IRI or a plain string."""
        left, right, operator = _unwrapped(node.expr), _unwrapped(node.other), node.op
        if not isinstance(left, Variable):
            left, right = right, left
            operator = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)
        if not isinstance(left, Variable):
            text, word = (right, left) if isinstance(left, Literal) else (left, right)
            return self._string_relation(text, word, operator, variables)
        number = self._portable.number(right)
        if number is not None and operator in ("=", "<", ">", "<=", ">="):
            variables.add(str(left))
            return number_test(_marked(left), operator, number)
        term = self._portable.iri(right) or self._portable.string(right) if operator == "=" else None
        if term is None:
            return None
        variables.add(str(left))
        return f"{_marked(left)} {operator} {term}"

    def _string_relation(self, left: Any, right: Any, operator: str, variables: set[str]) -> str | None:
        """Write ``LCASE(?x) = "word"``, ``LANG(?x) = "en"`` and the like."""
        word = self._portable.string(right)
        node = _unwrapped(left)
        tagged = _unwrapped(node.arg) if isinstance(node, CompValue) and node.name == "Builtin_LANG" else None
        if operator == "=" and word and isinstance(tagged, Variable):
            variables.add(str(tagged))
            return f"LCASE(LANG({_marked(tagged)})) = {word.lower()}"  # servers write tags in capitals or small letters
        text = self._text(left, variables) if operator == "=" and word else None
        return _tolerant(left, text, f"{text} = {word}") if text and _is_safe(text, word) else None

    def _contains(self, node: CompValue, variables: set[str]) -> str | None:
        word = self._portable.string(_unwrapped(node.arg2))
        text = self._text(node.arg1, variables) if word else None
        test = f"{node.name.removeprefix('Builtin_')}({text}, {word})"
        return _tolerant(node.arg1, text, test) if text and _is_safe(text, word) else None

    def _regex(self, node: CompValue, variables: set[str]) -> str | None:
        pattern, flags = _unwrapped(node.pattern), _unwrapped(node.flags) if node.flags is not None else Literal("")
        if not self._portable.string(pattern) or not isinstance(flags, Literal):
            return None
        if str(flags) == "" and _PLAIN_WORDS.fullmatch(pattern):
            test = f'CONTAINS({{}}, "{pattern}")'
        elif str(flags) == "i" and _WORDS_OF_TWO_CASES.fullmatch(pattern):
            test = f'REGEX({{}}, "{pattern}", "i")'
        else:
            return None
        text = self._text(node.text, variables)
        return text and _tolerant(node.text, text, test.format(text))

    def _lang_matches(self, node: CompValue, variables: set[str]) -> str | None:
        tag, wanted = _unwrapped(node.arg1), self._portable.string(_unwrapped(node.arg2))
        if not isinstance(tag, CompValue) or tag.name != "Builtin_LANG" or not wanted:
            return None
        variable = _unwrapped(tag.arg)
        if not isinstance(variable, Variable):
            return None
        variables.add(str(variable))
        return f"LANGMATCHES(LANG({_marked(variable)}), {wanted})"

    def _text(self, part: Any, variables: set[str]) -> str | None:
        """Write a variable, or its text, in capitals or small letters."""
        node = _unwrapped(part)
        if isinstance(node, Variable):
            variables.add(str(node))
            return _marked(node)
        if isinstance(node, CompValue) and node.name in ("Builtin_LCASE", "Builtin_UCASE", "Builtin_STR"):
            inner = self._text(node.arg, variables)
            return inner and f"{node.name.removeprefix('Builtin_')}({inner})"
        return None


_RENDERED: Mapping[str, Callable[[FilterPushdown, CompValue, set[str]], str | None]] = {
    "ConditionalOrExpression": FilterPushdown._or,
    "ConditionalAndExpression": FilterPushdown._and,
    "RelationalExpression": FilterPushdown._relation,
    "Builtin_CONTAINS": FilterPushdown._contains,
    "Builtin_STRSTARTS": FilterPushdown._contains,
    "Builtin_STRENDS": FilterPushdown._contains,
    "Builtin_REGEX": FilterPushdown._regex,
    "Builtin_LANGMATCHES": FilterPushdown._lang_matches,
}


def _unwrapped(part: Any) -> Any:
    """Strip the levels that rdflib's grammar adds for each kind of operator, used or not."""
    while isinstance(part, CompValue) and part.name.endswith("Expression") and not part.other:
        part = part.expr
    return part


def _items(parts: Any) -> list[Any]:
    return list(parts) if isinstance(parts, list | tuple | ParseResults) else [parts]


def _marked(variable: Identifier) -> str:
    return f"\0{variable}\0"


def _tolerant(source: Any, text: str, test: str) -> str:
    """Let terms pass whose text may differ at the evaluator, which writes numbers and dates in its own way."""
    if not _has_text_of_any(source):
        return f"({test})"
    variable = text[text.index("\0") : text.rindex("\0") + 1]
    return f"(({test}) || DATATYPE({variable}) NOT IN (<{XSD}string>, <{_LANGUAGE_STRING}>))"


def _is_safe(text: str, word: str | None) -> bool:
    """Return whether every server compares alike: they know the cases of letters from other versions of Unicode."""
    return word is not None and (word.isascii() or not ("LCASE" in text or "UCASE" in text))


def _has_text_of_any(part: Any) -> bool:
    node = _unwrapped(part)
    return isinstance(node, CompValue) and (node.name == "Builtin_STR" or _has_text_of_any(node.arg))
