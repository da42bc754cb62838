"""Redis, by redis-py, in the shape of the other stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis

from catena_core.errors import CodecError, UsageError
from catena_core.stores.connector import TIMEOUT, Connector, addresses, host_port
from catena_core.stores.store import Key, Store, check_key, record_of, value_of
from catena_core.wire.codec import decode, encode

PORT = 6379
_SCAN_COUNT = 1000

# The character between set and key tells the key's type, so that 1, "1" and b"1" do not meet.
_TEXT, _INTEGER, _BYTES = b":", b"#", b"="


class RedisConnector(Connector["redis.Redis[bytes]"], Store):
    """Records in Redis; a `Store`.

    A record is a hash. Its key is ``namespace:set:key``, with ``#`` before keys that are integers and ``=`` before bytes.
    A field holds the content type of `catena_core.wire.codec`, a line feed, and the value's bytes, so everything that links
    can send comes back as it was put.

    Args:
        endpoint: ``host:port``, or a URL that starts with ``redis://``, ``rediss://`` (TLS) or ``unix://``.
        timeout: Seconds to wait for a connection, and for an answer; the URL may say otherwise.

    Raises:
        UsageError: The endpoint is malformed.
    """

    def __init__(self, endpoint: str, timeout: float = TIMEOUT) -> None:
        super().__init__(timeout)
        self._url = endpoint if "://" in endpoint else f"redis://{_single(endpoint)}"
        try:
            redis.ConnectionPool.from_url(self._url)
        except (ValueError, TypeError) as error:
            # The URL may hold a password, so the error leaves it out.
            raise UsageError(
                f"the endpoint of Redis cannot be used ({error}); write it as redis://host:{PORT}/0"
            ) from None
        self._namespace: str | None = None
        self._set: str | None = None

    def set_defaults(self, namespace: str, set_: str | None = None) -> None:
        """Say which namespace and set are meant where a call names none.

        Args:
            namespace: The first part of all Redis keys.
            set_: The second part; ``None``: the one that was the default before, if any.
        """
        self._namespace = namespace
        self._set = set_ if set_ is not None else self._set

    def put(
        self,
        key: Key,
        value: Any = None,
        namespace: str | None = None,
        set_: str | None = None,
        store_key: bool = False,
        time_to_live: float | None = None,
    ) -> None:
        """Write a record, or into the one that is there.

        Args:
            key: The record's key.
            value: A dictionary of named values: each replaces the one of its name, ``None`` takes that away, and names that
                are not given stay as they are. Anything else replaces the one named ``value``; left out, that is 0.
            namespace: Its namespace.
            set_: Its set.
            store_key: Keep the key in the record, under the name ``key``, so that ``get`` returns it.
            time_to_live: Seconds from now until the whole record is forgotten; ``None``: it is kept.

        Raises:
            CodecError: A value holds something that `catena_core.wire.codec` does not know.
        """
        if time_to_live is not None and time_to_live <= 0:
            raise ValueError(f"a time to live of {time_to_live:g} s is over at once; use remove")
        record = record_of(key, value, store_key)
        written: dict[str | bytes, str | bytes | int | float] = {
            field: _write(item) for field, item in record.items() if item is not None
        }
        removed = [field for field, item in record.items() if item is None]
        name = self._key(key, namespace, set_)
        with self.client.pipeline(transaction=True) as transaction:
            if written:
                transaction.hset(name, mapping=written)
            if removed:
                transaction.hdel(name, *removed)
            if time_to_live is None:
                transaction.persist(name)
            else:
                transaction.pexpire(name, max(1, round(time_to_live * 1000)))
            transaction.execute()

    def get(self, key: Key, namespace: str | None = None, set_: str | None = None) -> tuple[Key | None, Any]:
        """Return a record: the key, where it was stored, else ``None``; and its value, or its values by name.

        Returns:
            If there is no such record, ``(None, None)``.
        """
        name = self._key(key, namespace, set_)
        fields: dict[bytes, bytes] = self.client.hgetall(name)
        return value_of({field.decode(): _read(data) for field, data in fields.items()})

    def get_and_close(self, key: Key, namespace: str | None = None, set_: str | None = None) -> tuple[Key | None, Any]:
        """Return a record like ``get``, and end the connection."""
        try:
            return self.get(key, namespace, set_)
        finally:
            self.close()

    def exists(self, key: Key, namespace: str | None = None, set_: str | None = None) -> bool:
        """Tell whether there is a record of that key."""
        name = self._key(key, namespace, set_)
        return bool(self.client.exists(name))

    def remove(self, key: Key, namespace: str | None = None, set_: str | None = None) -> int:
        """Take a record away; return how many there were, 1 or 0."""
        name = self._key(key, namespace, set_)
        return int(self.client.delete(name))

    def count(self, namespace: str | None = None, set_: str | None = None) -> int:
        """Count the records of a set. Redis looks at all its keys for that, so it is not for every electron."""
        return len(set(self._keys(namespace, set_)))  # SCAN may return a key more than once

    def create_index(self, name: str, set_: str | None = None, namespace: str | None = None) -> None:
        """Do nothing, since Redis finds records by their keys alone; links that can change stores call it all the same."""

    def _keys(self, namespace: str | None, set_: str | None) -> Iterator[bytes]:
        place = self._place(namespace, set_)
        escaped = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]^\\" else bytes([byte]) for byte in place)
        pattern = escaped + b"[" + _TEXT + _INTEGER + _BYTES + b"]*"
        yield from self.client.scan_iter(match=pattern, count=_SCAN_COUNT)

    def _key(self, key: Key, namespace: str | None, set_: str | None) -> bytes:
        check_key(key)
        place = self._place(namespace, set_)
        if isinstance(key, str):
            return place + _TEXT + key.encode()
        if isinstance(key, bytes):
            return place + _BYTES + key
        return place + _INTEGER + str(int(key)).encode()

    def _place(self, namespace: str | None, set_: str | None) -> bytes:
        namespace, set_ = namespace or self._namespace, set_ or self._set or ""
        if not namespace:
            raise UsageError("no Redis namespace: call set_defaults(namespace, set_) in setup, or name it in the call")
        for name in (namespace, set_):
            if set(name) & set(":#="):
                raise UsageError(f"'{name}' cannot name a namespace or set in Redis: leave out ':', '#' and '='")
        return f"{namespace}:{set_}".encode()

    def _connect(self) -> redis.Redis[bytes]:
        return redis.Redis.from_url(self._url, socket_timeout=self.timeout, socket_connect_timeout=self.timeout)

    def _disconnect(self, client: redis.Redis[bytes]) -> None:
        client.close()


def _single(endpoint: str) -> str:
    found = addresses(endpoint, PORT)
    if len(found) > 1:
        raise UsageError(f"'{endpoint}' names several servers; Redis is reached at one host:port")
    return host_port(found[0])


def _write(value: Any) -> bytes:
    data, content_type = encode(value)
    return (content_type or "").encode() + b"\n" + (data or b"")


def _read(field: bytes) -> Any:
    content_type, line_feed, data = field.partition(b"\n")
    if not line_feed:
        raise CodecError("a field of a Redis hash was not written by this connector: it names no content type")
    return decode(data, content_type.decode(errors="replace") or None)
