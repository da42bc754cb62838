"""Random SPARQL expressions: the filters of usual queries, and what servers easily see differently."""

from __future__ import annotations

from functools import lru_cache

from hypothesis import strategies as st

_STRANGERS = ("?nowhere", "?x", "?g")


def _one_of(texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts.split())


_STRINGS = _one_of(
    """'x' 'x' 'X' 'i' 'İ' 'ı' 'k' 'K' 'K' 's' 'SS' 'ß' 'data' '' 'x'@en 'é' '𝒳' 'ⱟ' 'ς' '1' '2' '.' 'a' 'e'
    'https://example.org/' 'exa' 'Istanbul' 'stan' 'STAN' 'straße'"""
)
_CONSTANTS = st.one_of(
    _one_of(":a :b :c :d :e :stranger g:1 <https://example.org/a> <https://example.org/b> <https://example.org/g/1>"),
    _one_of("1 2 1.0 1e0 '01'^^xsd:integer 10 2.5 -1 '1'^^xsd:int 'NaN'^^xsd:double true '2025-01-01'^^xsd:date"),
    _one_of("'x' 'x'@en 'X'@EN 'x'@en-gb 'https://example.org/a' 'é' '�' 'x' 'ⱟ' 'οδος' 'ⱟx' 'Istanbul'"),
    st.just("'not a number'^^xsd:integer"),
)
_PATTERNS = _one_of(
    r"""^x x X$ k K s ß İ i . ^.$ ^https [a-z] \\d \\w+ ^$ é [^x] x|2 ^\\p{L}+$ data.* \\bx\\b a{1,2} org/[a-c]
    stan STAN s.an Istanbul raße"""
) | st.just("a b")
_FLAGS = st.sampled_from(["i", "i", "s", "m", "x", "is"])
_RANGES = st.sampled_from(["'en'", "'EN'", "'*'", "'de'", "'de-DE'", "'tr'", "'en-GB'", "''"])
_TYPES = st.sampled_from(["xsd:integer", "xsd:string", "xsd:int", "rdf:langString", "xsd:decimal", "xsd:double"])
_COMPARE = st.sampled_from(["=", "=", "!=", "!=", "<", ">", "<=", ">="])


def _variables(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Mostly those that are bound, and now and then one that is not, or only outside."""
    return st.sampled_from([*names * (1 + 12 // max(len(names), 1)), *_STRANGERS] if names else _STRANGERS)


@lru_cache(1000)
def _texts(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    variables = _variables(names)
    return st.one_of(
        st.builds("STR({})".format, variables),
        variables,
        st.builds("LCASE({})".format, variables),
        st.builds("LCASE(STR({}))".format, variables),
        st.builds("UCASE(STR({}))".format, variables),
        st.builds("SUBSTR(STR({}), {})".format, variables, st.sampled_from(["2", "1, 1", "2, 3", "0", "0, 2"])),
        st.builds("CONCAT(STR({}), {})".format, variables, _STRINGS),
        st.builds(
            "REPLACE(STR({}), {}, 'x')".format,
            variables,
            st.sampled_from(["'a'", "'[0-9]'", "'K'", "'.b'", "'k', 'K'"]),
        ),
        st.builds("STRAFTER(STR({}), {})".format, variables, _STRINGS),
        st.builds("STRBEFORE(STR({}), {})".format, variables, _STRINGS),
        st.builds("ENCODE_FOR_URI(STR({}))".format, variables),
        st.builds("LANG({})".format, variables),
    )


@lru_cache(1000)
def _numbers(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    variables = _variables(names)
    return st.one_of(
        variables,
        st.builds("STRLEN(STR({}))".format, variables),
        st.builds("({} {} {})".format, variables, st.sampled_from("+-*/"), st.sampled_from(["1", "2.5", "?m", "0"])),
        st.builds(
            "{}({})".format,
            st.sampled_from(["ABS", "CEIL", "FLOOR", "ROUND", "xsd:integer", "xsd:double", "xsd:decimal"]),
            variables,
        ),
        st.sampled_from(["1", "2", "1.0", "1e0", "0", "10"]),
    )


@lru_cache(1000)
def values(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Expressions of any kind of value, without EXISTS.

    Args:
        names: The variables that are bound.
    """
    variables = _variables(names)
    return st.one_of(
        variables,
        _CONSTANTS,
        _texts(names),
        _numbers(names),
        st.builds("DATATYPE({})".format, variables),
        st.builds("COALESCE({}, {})".format, variables, _CONSTANTS),
        st.builds("IF({} = {}, {}, {})".format, variables, _CONSTANTS, variables, _CONSTANTS),
        st.builds("IRI(STR({}))".format, variables),
        st.builds("xsd:string({})".format, variables),
        st.builds("STRDT(STR({}), xsd:integer)".format, variables),
        st.builds("STRLANG(STR({}), 'EN')".format, variables),
    )


@lru_cache(1000)
def conditions(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """What can stand in a FILTER, without EXISTS.

    Args:
        names: The variables that are bound.
    """
    variables, texts, numbers = _variables(names), _texts(names), _numbers(names)
    tests = st.one_of(
        st.builds("{} {} {}".format, variables, _COMPARE, _CONSTANTS),
        st.builds("{} {} {}".format, variables, _COMPARE, variables),
        st.builds("CONTAINS(LCASE({}), {})".format, variables, _STRINGS),
        st.builds("CONTAINS(LCASE(STR({})), LCASE({}))".format, variables, _STRINGS),
        st.builds("{}({}, {})".format, st.sampled_from(["CONTAINS", "STRSTARTS", "STRENDS"]), texts, _STRINGS),
        st.builds("REGEX({}, '{}')".format, texts, _PATTERNS),
        st.builds("REGEX(STR({}), '{}', '{}')".format, variables, _PATTERNS, _FLAGS),
        st.builds("LANG({}) {} {}".format, variables, st.sampled_from(["=", "!="]), _RANGES),
        st.builds("LANGMATCHES(LANG({}), {})".format, variables, _RANGES),
        st.builds("{} {} {}".format, numbers, _COMPARE, numbers),
        st.builds("{} {} {}".format, values(names), _COMPARE, values(names)),
        st.builds("sameTerm({}, {})".format, variables, variables | _CONSTANTS),
        st.builds(
            "{} {}IN ({}, {})".format, variables, st.sampled_from(["", "NOT "]), _CONSTANTS, _CONSTANTS | variables
        ),
        st.builds(
            "{}({})".format,
            st.sampled_from(["BOUND", "!BOUND", "isBlank", "isIRI", "isLiteral", "isNumeric", "!isBlank", ""]),
            variables,
        ),
        st.builds("DATATYPE({}) {} {}".format, variables, st.sampled_from(["=", "!="]), _TYPES),
    )
    return st.one_of(
        tests,
        tests,
        tests,
        st.builds("{} && {}".format, tests, tests),
        st.builds("({} || {})".format, tests, tests),
        st.builds("!({})".format, tests),
        st.builds("!({} && {}) || {}".format, tests, tests, tests),
    )
