"""The MessagePack messages between a view and the process that holds its store."""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True, tag=True):
    """Change the store. The answer is ``Changed`` or ``Unreadable``.

    Attributes:
        graphs: IRIs of the graphs that get new content, or none at all.
        quads: N-Quads: all triples of these graphs.
        removed: IRIs of graphs to remove.
    """

    graphs: tuple[str, ...]
    quads: bytes = b""
    removed: tuple[str, ...] = ()


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Fork an evaluator, whose connection comes after this message. The answer is ``Forked``."""


class Changed(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Change``.

    Attributes:
        memory: Bytes of memory that the process takes.
    """

    memory: int


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Change`` with invalid quads: nothing was changed.

    Attributes:
        reason: The first error.
    """

    reason: str


class Forked(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Fork``.

    Attributes:
        pid: The evaluator's process id.
    """

    pid: int


Request = Change | Fork
Response = Changed | Unreadable | Forked
