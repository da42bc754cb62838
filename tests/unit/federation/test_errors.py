"""The errors of queries: what they say, and what they know."""

from __future__ import annotations

import pytest

from catena_core.errors import CatenaError
from federation import errors
from federation.errors import FederationError, QuerySyntaxError, SourceFailedError, UnreadableRowsError


@pytest.mark.parametrize(
    ("line", "column", "said"), [(3, 7, "line 3, column 7: a verb is missing"), (0, 0, "a verb is missing")]
)
def test_syntax_error_says_its_place_where_that_is_known(line: int, column: int, said: str) -> None:
    error = QuerySyntaxError("a verb is missing", line, column)

    assert str(error) == said
    assert (error.reason, error.line, error.column) == ("a verb is missing", line, column)


@pytest.mark.parametrize("kind", [SourceFailedError, UnreadableRowsError])
def test_error_of_nodes_names_each_of_them_once(kind: type[SourceFailedError]) -> None:
    assert kind("no answer", ["b", "a", "b"]).sources == {"a", "b"}
    assert kind("no node is left").sources == frozenset()


@pytest.mark.parametrize(
    ("special", "general"),
    [
        ("FederationError", CatenaError),
        ("UpdateRefusedError", errors.QueryRefusedError),
        ("TooLargeError", errors.QueryRefusedError),
        ("BadAnswerError", errors.SourceFailedError),
        ("SilentSourceError", errors.SourceFailedError),
        ("UnreadableRowsError", errors.BadAnswerError),
    ],
)
def test_special_error_is_caught_with_the_general_one(special: str, general: type[Exception]) -> None:
    assert issubclass(getattr(errors, special), general)


def test_answers_of_other_errors_are_not_those_of_refused_queries() -> None:
    """Each of these has an HTTP status of its own."""
    refused = errors.QueryRefusedError
    kinds = (errors.QueryTimeoutError, errors.TooBusyError, errors.SourceFailedError, errors.ServiceFailedError)
    assert not any(issubclass(kind, refused) for kind in kinds)
    assert all(issubclass(kind, FederationError) for kind in kinds)
