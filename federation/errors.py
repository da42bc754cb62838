"""The errors of queries."""

from __future__ import annotations

from collections.abc import Iterable

from catena_core.errors import CatenaError


class FederationError(CatenaError):
    """The base class of federation's errors."""


class QuerySyntaxError(FederationError):
    """The text is not a SPARQL 1.1 query.

    Attributes:
        reason: The error.
        line: Its line, counted from 1; 0 when that is not known.
        column: Its character in that line, counted from 1; 0 when that is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
        self.reason = message
        self.line = line
        self.column = column


class QueryRefusedError(FederationError):
    """The query is valid, but not one to answer; the message gives the reason."""


class UpdateRefusedError(QueryRefusedError):
    """The text is an update, not a query."""


class TooLargeError(QueryRefusedError):
    """The answer would take more data, memory or depth than one query may use."""


class NotAcceptableError(FederationError):
    """The answer cannot be written in any of the acceptable formats."""


class NotCachedError(FederationError):
    """The view cannot answer a query now; the engine asks the nodes instead."""


class NotEnoughError(FederationError):
    """Some of the quads give fewer rows than the query may have; the engine fetches more."""


class UnreadableQuadsError(FederationError):
    """The fetched quads are invalid RDF; the engine finds the node that sent them."""


class QueryTimeoutError(FederationError):
    """The time for one query is over; the message names the step that took it."""


class TooBusyError(FederationError):
    """The queries under way leave no room for this one for now."""


class QueryCancelledError(FederationError):
    """The client has gone."""


class ServiceFailedError(FederationError):
    """Another server that the query calls with SERVICE did not answer as it should."""


class ServerStoppingError(FederationError):
    """This server ends before the answer; another one may give it."""


class SourceFailedError(FederationError):
    """Nodes with a part of the answer did not send it; nodes with copies may.

    Attributes:
        sources: The ids of the nodes, empty when there is no node left to ask.
    """

    def __init__(self, message: str, sources: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.sources = frozenset(sources)


class BadAnswerError(SourceFailedError):
    """Nodes with a part of the answer sent something else, and there is no other reason."""


class SilentSourceError(SourceFailedError):
    """Nodes with a part of the answer took too long, and there is no other reason."""


class UnreadableRowsError(BadAnswerError):
    """A node sent rows that are no quads; in another format they may be."""
