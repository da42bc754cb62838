"""The address that the gateway writes into its answers is the configured one, or a plain host that the client asked."""

from __future__ import annotations

import flask
import pytest
from werkzeug.exceptions import BadRequest

from topology.gateway.api.base_address import base_address


def address_for(host: str, configured: str = "") -> str:
    app = flask.Flask(__name__)
    with app.test_request_context("/offerings?q=x", environ_overrides={"HTTP_HOST": host}):
        return base_address(configured)


@pytest.mark.parametrize("host", ["localhost", "a.example", "a-b.example:8000", "127.0.0.1:80", "[::1]:5000", "[::1]"])
def test_base_address_is_the_one_that_the_client_asked(host: str) -> None:
    assert address_for(host) == f"http://{host}".removesuffix(":80")


@pytest.mark.parametrize("host", ["evil.example", 'a"b', ""])
def test_base_address_that_is_configured_counts_whatever_the_client_asked(host: str) -> None:
    assert address_for(host, "https://catalogue.example/c") == "https://catalogue.example/c"


@pytest.mark.parametrize(
    "host",
    ['a"b', "a<script>", "a b", "a/b", "a?b", "a#b", "user@a.example", "a:b", "a,b", "a\\b", "[::1", "[g]", "a\tb"],
)
def test_base_address_of_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadRequest):
        address_for(host)
