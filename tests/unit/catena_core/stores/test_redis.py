"""What the Redis connector refuses before there is a server."""

from __future__ import annotations

import pytest

from catena_core.errors import UsageError
from catena_core.stores import RedisConnector


def test_redis_is_one_server() -> None:
    with pytest.raises(UsageError, match="several servers"):
        RedisConnector("a:1,b:2")


@pytest.mark.parametrize("name", ["a:b", "a#b", "a=b"])
def test_a_name_that_would_mix_up_redis_keys_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="leave out"):
        RedisConnector("localhost").get("key", name)
