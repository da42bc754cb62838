"""The other servers that a query calls, and the permission to call them.

The evaluator calls any server after SERVICE, so these have to be known without doubt: SERVICE must be followed by an address,
not a variable, and the operator must allow its host. The lexer here splits the text into tokens, but the evaluator's parser
needs no space between words, which leaves room for hiding a SERVICE: behind ``?a<?b)#>``, which could be an IRI as well as a
comparison and a comment, in a string with invalid escapes, or joined to another word. So a query that calls other servers may
have no token that the two could read differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from federation.analysis.lexer import QueryText, Token
from federation.errors import QueryRefusedError

# A comparison cannot go on with "scheme://". Without brackets, quotes and "#", a comparison and an IRI hide nothing.
_PLAIN_IRI = re.compile(r"<(?:[A-Za-z][A-Za-z0-9+.-]*://[^>]*|[A-Za-z0-9_.:/%~-]*)>")
_PLAIN_NAME = re.compile(r"[^:]*:[A-Za-z0-9_:-]*")
_ODD_ESCAPE = re.compile(r"""\\[^tbnrf"'\\]""")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_KEYWORD = "SERVICE"
_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#].*)?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MOST_SHOWN = 200


def service_tokens(query: QueryText) -> list[Token]:
    """Return the token after each SERVICE of a query, IRIs and prefixed names.

    Args:
        query: The query's text.

    Raises:
        QueryRefusedError: It is a variable, or another parser could read the text differently.
    """
    tokens = query.tokens
    found = []
    for n, token in enumerate(tokens):
        if token.keyword == _KEYWORD:
            silent = n + 1 < len(tokens) and tokens[n + 1].keyword == "SILENT"
            following = tokens[n + 1 + silent : n + 2 + silent]
            if not following or following[0].kind not in ("iri", "name"):
                raise QueryRefusedError(
                    "SERVICE is refused: what follows it must be the address of a server, whose host SPARQL_SERVICES has to "
                    "name; it cannot be a variable"
                )
            found += following
    if found or any(_hides(token) for token in tokens):
        _check_plain(query)
    return found


def check_services(services: Sequence[str], allowed: frozenset[str]) -> None:
    """Refuse a query that calls servers that the operator does not allow.

    Args:
        services: The IRIs of the servers.
        allowed: Hosts in small letters, with their ports where these are not the usual ones.

    Raises:
        QueryRefusedError: The host of one of them is not allowed.
    """
    for service in services:
        names = _names(service)
        if not names:
            raise QueryRefusedError(
                f"SERVICE <{service[:_MOST_SHOWN]}> is refused: only addresses of the form http(s)://host:port/… are called, "
                "and only those whose host SPARQL_SERVICES names"
            )
        if not names & allowed:
            raise QueryRefusedError(
                f"SERVICE <{service[:_MOST_SHOWN]}> is refused: SPARQL_SERVICES, the setting that names the hosts that this "
                f"endpoint may call, does not name {min(names, key=len)}"
            )


def _names(service: str) -> frozenset[str]:
    """Return the host of an address in the forms in which operators may write it; none for an unusual address."""
    parts = _ADDRESS.fullmatch(service)
    if not parts:
        return frozenset()
    scheme, host, port = parts[1].lower(), parts[2].lower(), parts[3]
    usual = _DEFAULT_PORTS[scheme]
    named = {f"{host}:{int(port or usual)}"}
    return frozenset(named | {host} if (port or usual) == usual else named)


def _check_plain(query: QueryText) -> None:
    if re.search(r"\\[uU]", query.text):
        raise QueryRefusedError("SERVICE is refused in a query with \\u escapes; write the characters themselves")
    for token in query.tokens:
        if not _is_plain(token):
            raise QueryRefusedError(
                f"SERVICE is refused in a query with {token.text[:_MOST_SHOWN]!r}, which could hide another SERVICE; write it "
                "in another way, with spaces between words and IRIs in full"
            )


def _hides(token: Token) -> bool:
    """Return whether a token is several words run together, SERVICE among them."""
    return _KEYWORD in token.keyword != _KEYWORD


def _is_plain(token: Token) -> bool:
    """Return whether the evaluator's parser ends a token at the same place, and it hides no SERVICE."""
    mentions = _KEYWORD in token.text.upper()
    match token.kind:
        case "word":
            return not _hides(token)
        case "iri":
            return _PLAIN_IRI.fullmatch(token.text) is not None
        case "string":
            return all(not _ODD_ESCAPE.match(escape) for escape in _ESCAPE.findall(token.text))
        case "name":
            prefix = token.text.partition(":")[0]
            return _KEYWORD not in prefix.upper() and (not mentions or _PLAIN_NAME.fullmatch(token.text) is not None)
        case "blank":
            return not mentions
        case "unclosed":
            return False
        case _:
            return token.text != "\\"
