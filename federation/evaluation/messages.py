"""What the engine asks of a worker process, and what it answers: MessagePack messages."""

from __future__ import annotations

import msgspec

from federation import errors
from federation.analysis.plan import Plan


class Analyse(msgspec.Struct, frozen=True, tag=True):
    """Read a query. The answer is its ``Plan``.

    Attributes:
        text: What was sent as a query.
    """

    text: str


class Evaluate(msgspec.Struct, frozen=True, tag=True):
    """Run a query over a fresh store. The answer is ``Evaluated``.

    Attributes:
        text: The query.
        quads: The store's content, N-Quads in UTF-8. The labels of its blank nodes are kept.
        graphs: IRIs of named graphs that exist, whether they have quads or not.
        media_type: The format of the result, one that pyoxigraph writes.
        most_bytes: The largest result that is wanted.
        stored_default_graph: Whether the store's default graph takes the place of the graphs of FROM clauses.
        named_graphs: The graphs that take the place of those of FROM NAMED clauses; ``None``: as the query says.
        over_cache: Whether to run it over the quads of ``UpdateCache`` in place of ``quads``.
        services: The IRIs of the other servers that the query calls.
    """

    text: str
    quads: bytes
    graphs: tuple[str, ...]
    media_type: str
    most_bytes: int
    stored_default_graph: bool = False
    named_graphs: tuple[str, ...] | None = None
    over_cache: bool = False
    services: tuple[str, ...] = ()


class UpdateCache(msgspec.Struct, frozen=True, tag=True):
    """Change the quads that are kept for later queries. The answer is ``Done``.

    Attributes:
        anew: Whether to forget what was kept first.
        gone: IRIs of graphs to forget.
        quads: N-Quads to add; their triples are added to the default graph as well.
        graphs: IRIs of named graphs that exist, whether they have quads or not.
    """

    anew: bool
    gone: tuple[str, ...]
    quads: bytes
    graphs: tuple[str, ...]


class Planned(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Analyse``."""

    plan: Plan


class Evaluated(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Evaluate``: the result, serialised."""

    body: bytes


class Done(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``UpdateCache``."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The answer to any of them, when it cannot be done.

    Attributes:
        kind: The name of a class of ``errors``.
        message: What to tell.
        line: For syntax errors: see ``QuerySyntaxError``.
        column: The same.
    """

    kind: str
    message: str
    line: int = 0
    column: int = 0

    @classmethod
    def of(cls, error: errors.FederationError) -> Failed:
        """An error as a message."""
        if isinstance(error, errors.QuerySyntaxError):
            return cls("QuerySyntaxError", error.reason, error.line, error.column)
        return cls(type(error).__name__, str(error))

    def error(self) -> errors.FederationError:
        """The message as an error again."""
        if self.kind == "QuerySyntaxError":
            return errors.QuerySyntaxError(self.message, self.line, self.column)
        kind: type[errors.FederationError] = getattr(errors, self.kind)
        return kind(self.message)


Job = Analyse | Evaluate | UpdateCache
Reply = Planned | Evaluated | Done | Failed
