"""Whether two servers give the same answer."""

from __future__ import annotations

import re
from decimal import Decimal

from tests.bench.federation.client import Reply
from tests.bench.federation.queries import SEPARATOR, Query
from tests.differential.reference import Result, Row

_DECIMAL = re.compile(r'"([^"]*)"\^\^<http://www\.w3\.org/2001/XMLSchema#decimal>')


def difference(query: Query, expected: Reply, found: Reply) -> str:
    """How an answer differs from the one that is expected; empty when it does not."""
    if found.status != 200:
        return f"status {found.status}: {found.body[:300].decode(errors='replace')}"
    if found.completeness not in ("", "complete"):
        return f"it says of itself that it is {found.completeness}"
    one, other = read(query, expected), read(query, found)
    if one.same(other, ordered=query.ordered):
        return ""
    return f"expected {str(one)[:1000]}\nfound {str(other)[:1000]}"


def read(query: Query, reply: Reply) -> Result:
    """Bring an answer into a form that can be compared.

    The gateway shows numbers in canonical form, while other servers keep them as they were written.
    """
    result = Result.read(reply.body, reply.content_type)
    result.rows = [_canonical(row) for row in result.rows]
    if query.concatenates:
        result.rows = [_sorted(row) for row in result.rows]
    return result


def size(result: Result) -> int:
    """How many rows or triples it has."""
    return len(result.rows) if result.graph is None else len(result.graph)


def _canonical(row: Row) -> Row:
    return tuple(text and _DECIMAL.sub(lambda found: f"{Decimal(found[1]).normalize():f}", text) for text in row)


def _sorted(row: Row) -> Row:
    return tuple(text and SEPARATOR.join(sorted(text.strip('"').split(SEPARATOR))) for text in row)
