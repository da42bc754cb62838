"""The endpoint of MongoDB, as people write it."""

import pytest

from catena_core.errors import UsageError
from catena_core.stores.mongodb_client import connect, read_endpoint


@pytest.mark.parametrize(
    ("endpoint", "uri"),
    [
        ("db", "mongodb://db:27017"),
        ("db:1", "mongodb://db:1"),
        ("a:1,b", "mongodb://a:1,b:27017"),
        ("mongodb://me:secret@db/x?tls=true", "mongodb://me:secret@db/x?tls=true"),
        ("mongodb+srv://cluster.example.org", "mongodb+srv://cluster.example.org"),
    ],
)
def test_an_endpoint_is_host_and_port_or_a_uri(endpoint, uri):
    assert read_endpoint(endpoint) == uri


@pytest.mark.parametrize("endpoint", ["redis://db", "http://db:27017"])
def test_other_schemes_are_refused(endpoint):
    with pytest.raises(UsageError, match="mongodb://"):
        read_endpoint(endpoint)


def test_a_refusal_does_not_show_the_password():
    with pytest.raises(UsageError) as caught:
        read_endpoint("mongodb://me:secret@db:port/")
    assert "secret" not in str(caught.value)


def test_timeouts_of_the_uri_win():
    client = connect("mongodb://127.0.0.1:1/?socketTimeoutMS=1234", timeout=2)
    options = client.options.pool_options
    assert (options.socket_timeout, options.connect_timeout) == (1.234, 2)
    client.close()
