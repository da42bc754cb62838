"""The MessagePack messages between the engine and its worker processes."""

from __future__ import annotations

import msgspec

from federation import errors
from federation.analysis.plan import Plan


class Analyse(msgspec.Struct, frozen=True, tag=True):
    """Analyse a query. The answer is ``Planned``.

    Attributes:
        text: The query.
    """

    text: str


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Evaluate a query over a new store, or over that of a view in an evaluator of the view. The answer is ``Evaluated``.

    Attributes:
        text: The query.
        quads: The store's content, N-Quads in UTF-8. Blank nodes keep their labels.
        graphs: IRIs of named graphs that exist, whether they have quads or not.
        media_type: The format of the result, by pyoxigraph's name.
        max_bytes: The largest acceptable result.
        stored_default_graph: Whether the store's default graph replaces the graphs of FROM clauses.
        named_graphs: The graphs that replace those of FROM NAMED clauses; ``None``: as the query says.
        services: The IRIs of the other servers that the query calls.
        graph_by_graph: As in ``Plan.graph_by_graph``.
        path_ends: As in ``Plan.path_ends``.
        columns: As in ``Plan.columns``.
        at_least: The rows, or 1 for a true ASK, without which the answer is ``NotEnoughError``.
        stream_from: The bytes of a result beyond which it comes in parts: some ``Part`` before the answer; 0: it comes whole.
    """

    text: str
    quads: bytes
    graphs: tuple[str, ...]
    media_type: str
    max_bytes: int
    stored_default_graph: bool = False
    named_graphs: tuple[str, ...] | None = None
    services: tuple[str, ...] = ()
    graph_by_graph: bool = False
    path_ends: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    at_least: int = 0
    stream_from: int = 0


class Planned(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Analyse``."""

    plan: Plan


class Part(msgspec.Struct, frozen=True, tag=True):
    """A part of a large result; the next one follows, or the answer."""

    body: bytes


class Evaluated(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Evaluate``: the result, serialised, or the last part of it."""

    body: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The answer to a job that failed.

    Attributes:
        kind: The name of a class in ``errors``.
        message: Its message.
        line: For syntax errors: see ``QuerySyntaxError``.
        column: For syntax errors: see ``QuerySyntaxError``.
    """

    kind: str
    message: str
    line: int = 0
    column: int = 0

    @classmethod
    def of(cls, error: errors.FederationError) -> Failed:
        """Write an error as a message."""
        if isinstance(error, errors.QuerySyntaxError):
            return cls("QuerySyntaxError", error.reason, error.line, error.column)
        return cls(type(error).__name__, str(error))

    def error(self) -> errors.FederationError:
        """Return the message as an error again."""
        if self.kind == "QuerySyntaxError":
            return errors.QuerySyntaxError(self.message, self.line, self.column)
        kind: type[errors.FederationError] = getattr(errors, self.kind)
        return kind(self.message)


Job = Analyse | Evaluate
Reply = Planned | Part | Evaluated | Failed
