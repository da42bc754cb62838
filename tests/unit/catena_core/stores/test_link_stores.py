"""The stores of a link: made when it first asks for them, and once."""

import pytest

from catena_core.errors import UsageError
from catena_core.options import LinkOptions
from catena_core.stores.link_stores import LinkStores


def test_without_an_endpoint_there_is_no_store():
    stores = LinkStores(LinkOptions)
    assert (stores.mongodb, stores.aerospike, stores.redis) == (None, None, None)
    stores.close()


def test_a_store_is_made_once_and_without_a_connection():
    stores = LinkStores(lambda: LinkOptions(redis_endpoint="127.0.0.1:1"))
    assert stores.redis is not None
    assert stores.redis is stores.redis
    stores.close()


def test_a_malformed_endpoint_is_refused_when_the_store_is_asked_for():
    stores = LinkStores(lambda: LinkOptions(mongodb_endpoint="http://db"))
    with pytest.raises(UsageError):
        _ = stores.mongodb
