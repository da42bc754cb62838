"""The electron: the message that travels between links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from catena_core.errors import CodecError

NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class ReceivedHeaders(dict[str, Any]):
    """The headers of a received electron, as text; an electron that is sent on keeps their bytes.

    Args:
        pairs: As they came. Of a name that is repeated, the dictionary has the last value.
    """

    def __init__(self, pairs: list[tuple[str, bytes | None]]) -> None:
        super().__init__((name, (data or b"").decode("utf-8", "replace")) for name, data in pairs)
        self._came = pairs
        self._as_text = dict(self)

    @property
    def pairs(self) -> list[tuple[str, bytes | None]]:
        """All headers with their bytes, repeated and null ones included; those that were changed since follow."""
        if self == self._as_text:
            return self._came
        kept = {name for name, text in self.items() if self._as_text.get(name) == text}
        changed = {name: text for name, text in self.items() if name not in kept}
        return [pair for pair in self._came if pair[0] in kept] + header_pairs(changed)


def header_pairs(
    headers: Mapping[str, Any] | Iterable[tuple[str, Any]],
) -> list[tuple[str, bytes | None]]:
    """Put headers on the wire: bytes and ``None`` as they are, all else as text.

    Args:
        headers: By name, or as pairs, of which several may have one name.

    Raises:
        CodecError: They are neither, or a name is none that Kafka's client can send: it would end the process, or cut the name.
    """
    try:
        items = headers.items() if isinstance(headers, Mapping) else headers
        pairs = [(name.decode() if isinstance(name, bytes) else str(name), _header_bytes(data)) for name, data in items]
        for name, _ in pairs:
            if "\0" in name.encode().decode():
                raise ValueError(f"{name!r} holds a null character")
    except (TypeError, ValueError) as error:
        raise CodecError(f"headers are names in Unicode, each with text, bytes or None: {error}") from error
    return pairs


def _header_bytes(data: Any) -> bytes | None:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    return None if data is None else str(data).encode("utf-8", "replace")


class Electron(msgspec.Struct):
    """One message on its way through a topology.

    An electron that was received may be changed and returned: it then goes to the first output topic, like a new one.

    Attributes:
        key: Decides the partition, so electrons of one key stay in order; ``None`` spreads them evenly.
        value: The content: any value that :mod:`catena_core.wire.codec` can carry. ``None`` on a compacted topic is a
            tombstone, which removes the key.
        topic: The topic to send it to; ``None``: the link's first output topic.
        previous_topic: The topic that it was read from; ``None`` for a new one.
        timestamp: Milliseconds since the Unix epoch: for one received, as its topic has them; for one to send, ``None``: the
            time of sending. A received one that is sent on gets that, too, unless the link has ``keep_timestamps``.
        partition: The partition it must go to, or, for one received, came from; ``None`` lets the key decide.
        offset: For one received, its offset in that partition.
        headers: Further headers, beside those that the library itself writes; a received electron has them as text. To send
            them, text, bytes or ``None``, by name or as a list of pairs; ``electron.headers.pairs`` has received ones so.
    """

    key: Any = None
    value: Any = None
    topic: str | None = None
    previous_topic: str | None = None
    timestamp: int | None = None
    partition: int | None = None
    offset: int | None = None
    headers: Mapping[str, Any] = NO_HEADERS

    def copy(self) -> Electron:
        """Copy it; the value is shared."""
        return self.replace()

    def replace(self, **changes: Any) -> Electron:
        """Copy it, with other values for some of its attributes."""
        return msgspec.structs.replace(self, **changes)
