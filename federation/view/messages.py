"""The MessagePack messages between a view and the processes that hold its store and fork its evaluators."""

from __future__ import annotations

import msgspec


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open the store in a directory. The answer is ``Opened`` or ``Full``.

    Attributes:
        directory: The directory; other views may use it, too.
        form: What the store's content depends on besides the descriptions; a store of another form is emptied.
    """

    directory: str
    form: str


class Change(msgspec.Struct, frozen=True, tag=True):
    """Change the store. The answer is ``Changed``, ``Unreadable`` or ``Full``.

    Attributes:
        graphs: IRIs of the graphs that get new content, or none at all, with the digest of it where there is one.
        quads: N-Quads: all triples of these graphs.
        removed: IRIs of graphs to remove.
    """

    graphs: dict[str, str]
    quads: bytes = b""
    removed: tuple[str, ...] = ()


class Copy(msgspec.Struct, frozen=True, tag=True):
    """Copy a store on disk for an evaluator, whose last copy goes. The answer is ``Copied``.

    Attributes:
        evaluator: The evaluator's number.
    """

    evaluator: int


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Fork an evaluator, whose connection comes after this message. The answer is ``Forked``.

    Attributes:
        store: The directory of its store; empty: it shares this process's store.
    """

    store: str = ""


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Open``.

    Attributes:
        graphs: The digests of the graphs in the store, by IRI.
    """

    graphs: dict[str, str]


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


class Full(msgspec.Struct, frozen=True, tag=True):
    """The answer where the store has no place or no room on the disk: nothing was changed.

    Attributes:
        reason: The reason in words.
    """

    reason: str


class Copied(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Copy``.

    Attributes:
        store: The directory of the copy.
    """

    store: str


class Forked(msgspec.Struct, frozen=True, tag=True):
    """The answer to ``Fork``.

    Attributes:
        pid: The evaluator's process id.
    """

    pid: int


Request = Open | Change | Copy | Fork
Response = Opened | Changed | Unreadable | Full | Copied | Forked
