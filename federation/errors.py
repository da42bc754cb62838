"""Why a query has no answer."""

from __future__ import annotations

from collections.abc import Iterable

from catena_core.errors import CatenaError


class FederationError(CatenaError):
    """The root of the errors of the federation."""


class QuerySyntaxError(FederationError):
    """The text is not a SPARQL 1.1 query.

    Attributes:
        reason: What is wrong.
        line: Where it goes wrong, counted from 1; 0 when that is not known.
        column: The character of that line, counted from 1; 0 when that is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
        self.reason = message
        self.line = line
        self.column = column


class QueryRefusedError(FederationError):
    """The query is understood, and not answered; the message says why."""


class UpdateRefusedError(QueryRefusedError):
    """It is an update, not a query."""


class TooLargeError(QueryRefusedError):
    """Answering would take more data, memory or depth than one query may use."""


class NotAcceptableError(FederationError):
    """The answer cannot be written in any of the formats asked for."""


class NotCachedError(FederationError):
    """What was kept for a query is not, or cannot be held by an evaluator; the nodes are asked instead.

    Attributes:
        for_good: Whether there is no use in keeping it again.
    """

    def __init__(self, message: str, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class UnreadableQuadsError(FederationError):
    """What was pulled for a query is no RDF; the engine finds out whose fault it is."""


class QueryTimeoutError(FederationError):
    """The time for one query is over; the message says what was waited for."""


class TooBusyError(FederationError):
    """The queries under way leave no room for this one; later there may be."""


class QueryCancelledError(FederationError):
    """Nobody waits for the answer any more."""


class ServiceFailedError(FederationError):
    """Another server that the query calls with SERVICE did not answer as it should."""


class ServerStoppingError(FederationError):
    """This server ends before the query is answered; another one may answer it."""


class SourceFailedError(FederationError):
    """Nodes that hold a part of the answer did not give it; nodes that hold copies may.

    Attributes:
        sources: The ids of the nodes, empty when there is no node left to ask.
    """

    def __init__(self, message: str, sources: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.sources = frozenset(sources)
