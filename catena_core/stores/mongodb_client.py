"""The client of MongoDB; only this module imports PyMongo, which may not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from bson.codec_options import TypeDecoder, TypeRegistry
from bson.int64 import Int64
from pymongo.errors import ConfigurationError
from pymongo.uri_parser import parse_uri

from catena_core.errors import UsageError
from catena_core.stores.connector import addresses, host_port

PORT = 27017
SCHEMES = ("mongodb://", "mongodb+srv://")

_TIMEOUTS = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")


def read_endpoint(endpoint: str) -> str:
    """Turn an endpoint into a URI.

    Raises:
        UsageError: It is malformed.
    """
    if "://" not in endpoint:
        return "mongodb://" + ",".join(map(host_port, addresses(endpoint, PORT)))
    if not endpoint.startswith(SCHEMES):
        raise UsageError(f"the endpoint of MongoDB starts with {' or '.join(SCHEMES)}, or is host:port")
    if endpoint.startswith(SCHEMES[0]):  # the other scheme is looked up in DNS, so it is checked on first use
        with _refused_clearly():
            parse_uri(endpoint, warn=False)
    return endpoint


def connect(uri: str, timeout: float) -> pymongo.MongoClient[dict[str, Any]]:
    """Make a client, which connects when it is first asked for something.

    Args:
        uri: The URI.
        timeout: Seconds to wait for a connection, and for an answer, where the URI says nothing of that.

    Raises:
        UsageError: The URI is malformed.
    """
    said = uri.lower()
    timeouts: dict[str, Any] = {
        name: max(1, int(timeout * 1000)) for name in _TIMEOUTS if f"{name.lower()}=" not in said
    }
    with _refused_clearly():
        return pymongo.MongoClient(uri, type_registry=TypeRegistry([_PlainInteger()]), **timeouts)


class _PlainInteger(TypeDecoder):
    """Reads integers of 64 bits as ``int``; their own type in ``bson`` is one that `catena_core.wire.codec` does not know."""

    bson_type = Int64

    def transform_bson(self, value: Any) -> int:
        return int(value)


@contextmanager
def _refused_clearly() -> Iterator[None]:
    try:
        yield
    except (ConfigurationError, ValueError) as error:
        # The URI may hold a password, so the error leaves it out.
        raise UsageError(f"the endpoint of MongoDB is refused ({error}); write it as mongodb://host:{PORT}") from None
