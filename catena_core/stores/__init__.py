"""Stores that a link uses beside Kafka: MongoDB, Aerospike and Redis, in one shape.

A link has them as ``self.mongodb``, ``self.aerospike`` and ``self.redis``. Code that uses only `Store`, the shape that the
three share, runs on each of them::

    class Count(Link):
        def setup(self):
            self.store = self.redis  # or self.mongodb, or self.aerospike
            self.store.set_defaults("statistics", "words")

        def transform(self, electron):
            _, count = self.store.get(electron.value)
            self.store.put(electron.value, (count or 0) + 1)

A **record** has a key and named values:

=========================  =======================  =====================  ================================
`Store`                    MongoDB                  Aerospike              Redis
=========================  =======================  =====================  ================================
namespace                  database                 namespace              first part of the key
set                        collection               set                    second part of the key
key                        ``_id``                  key                    the rest of the key
record                     document                 record                 hash
``put(key, {"a": 1})``     field ``a``              bin ``a``              field ``a``
``put(key, 1)``            field ``value``          bin ``value``          field ``value``
``create_index("a")``      an index                 a secondary index      nothing: it finds records by key
=========================  =======================  =====================  ================================

Each store has abilities of its own beside these: MongoDB finds documents by queries, in the place of a key, and Redis forgets
records after a time to live.

Connections are made on first use and shared by a link's threads; each wait for a server is bounded. Errors of a server are
those of its own client (``pymongo.errors``, ``aerospike.exception``, ``redis.exceptions``), so a transform that meets one is
tried again like any other. The clients of MongoDB and Aerospike are installed by ``pip install 'catena[mongodb]'`` and
``pip install 'catena[aerospike]'``.
"""

from catena_core.stores.aerospike import AerospikeConnector
from catena_core.stores.mongodb import MongoDBConnector
from catena_core.stores.redis import RedisConnector
from catena_core.stores.store import Key, Store

__all__ = ["AerospikeConnector", "Key", "MongoDBConnector", "RedisConnector", "Store"]
