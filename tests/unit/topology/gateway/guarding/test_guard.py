"""The gateway lets in who may come, as often as they may, and writes down who came."""

from __future__ import annotations

import base64
import ipaddress
import logging
from typing import Any

import pytest
from werkzeug.test import Client as Caller
from werkzeug.test import TestResponse

from catena_core.monitoring.logs import LinkLogger
from federation.engine import Engine
from tests.helpers.gateway import Serving
from topology.gateway.guarding.clients import Client, TokenRefusedError
from topology.gateway.guarding.guard import Guard, on_admin_port

ASK = "/sparql?query=ASK%7B%7D"


class Known:
    """Two clients, whose secrets are their names."""

    def known_by(self, secret: str) -> Client | None:
        return {"reader": Client("reader", False), "operator": Client("operator", True)}.get(secret)


def guarded(engine: Engine, clients: Any = None, **options: Any) -> Serving:
    serving = Serving(engine)
    Guard(LinkLogger("Gateway"), (Known(),) if clients is None else clients, **options).protect(serving.app)
    return serving


def statuses(serving: Serving, key: str, *paths: str) -> list[int]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return [serving.client.get(path, headers=headers).status_code for path in paths]


def lookup(serving: Serving, **headers: str) -> TestResponse:
    return serving.client.post("/offerings", json={"offerings_id": "0x1"}, headers=headers)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_guard_without_keys_lets_everyone_in(engine: Engine) -> None:
    serving = guarded(engine, ())

    assert statuses(serving, "", "/nodes", "/offerings", ASK) == [200, 200, 200]
    assert lookup(serving).status_code == 404
    assert "nodes" in serving.client.get("/health").get_json()


def test_guard_with_keys_leaves_reading_open_and_nothing_else(engine: Engine) -> None:
    serving = guarded(engine)

    assert statuses(serving, "", "/", "/openapi.json", "/offerings", ASK) == [200] * 4
    assert statuses(serving, "", "/nodes") == [401]
    assert statuses(serving, "reader", "/nodes") == [403]
    assert statuses(serving, "operator", "/nodes") == [200]
    assert lookup(serving).status_code == 401
    assert lookup(serving, **{"X-API-Key": "reader"}).status_code == 404
    assert "nodes" not in serving.client.get("/health").get_json()
    assert "nodes" in serving.client.get("/health", headers={"X-API-Key": "operator"}).get_json()


def test_guard_with_reading_closed_leaves_pages_and_health_open(engine: Engine) -> None:
    serving = guarded(engine, open_reading=False)

    assert statuses(serving, "", "/", "/health", "/openapi.json", "/assets/app.css") == [200] * 4
    assert serving.client.get("/sparql", headers={"Accept": "text/html"}).status_code == 200
    assert statuses(serving, "", "/offerings", ASK, "/catalogue/sparql", "/data?default", "/offerings/") == [401] * 5
    assert statuses(serving, "reader", "/offerings", ASK) == [200, 200]
    assert serving.client.options("/sparql").status_code == 200, "browsers ask first, without a key"


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "bearer  reader"},
        {"Authorization": basic("anyone:reader")},
        {"Authorization": basic(":reader")},
        {"X-API-Key": "reader"},
    ],
)
def test_guard_takes_a_key_in_each_usual_place(engine: Engine, header: dict[str, str]) -> None:
    assert lookup(guarded(engine), **header).status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic /w=="},
        {"Authorization": basic("reader:")},
        {"Authorization": "reader"},
        {"X-API-Key": "wrong"},
        {"Cookie": "key=reader"},
    ],
)
def test_guard_answers_other_keys_with_how_to_send_one(engine: Engine, header: dict[str, str]) -> None:
    response = lookup(guarded(engine), **header)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="catena", Basic')
    assert "as a bearer token, in the header X-API-Key" in response.get_json(force=True)["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_guard_says_why_a_token_does_not_count(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Late:
        def known_by(self, _secret: str) -> Client | None:
            raise TokenRefusedError("this token has expired")

    caplog.set_level(logging.INFO)
    serving = guarded(engine, (Late(),))
    response = lookup(serving, Authorization="Bearer x")

    assert response.status_code == 401
    assert response.get_json(force=True)["detail"].startswith("this token has expired; send one as a bearer token")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert "POST /offerings 401 (this token has expired)" in caplog.text
    assert statuses(serving, "x", "/offerings") == [200], "reading is open"


def test_guard_key_in_an_address_counts_for_nothing_and_is_not_logged(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    serving = guarded(engine)

    response = serving.client.get("/nodes?api_key=operator&access_token=operator&key=operator")

    assert response.status_code == 401
    assert "operator" not in caplog.text + response.text


def test_guard_audit_lines_say_who_did_what_and_cannot_be_forged(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    serving = guarded(engine, open_reading=False, proxies=[ipaddress.ip_network("127.0.0.1")])
    serving.client.get("/offerings", headers={"X-API-Key": "reader", "X-Forwarded-For": "6.6.6.6, 198.51.100.7"})
    serving.client.get("/nothing%0Aaudit: operator at 1.2.3.4: GET /nodes 200" + "x" * 9999)
    serving.client.get("/offerings%0Aaudit")
    serving.client.get("/data/%1b[2J", headers={"X-Forwarded-For": "1.1.1.1%0aaudit"})
    serving.client.get("/nodes")

    lines = [record.getMessage() for record in caplog.records if record.name == "Gateway"]

    assert lines == [
        "audit: reader at 198.51.100.7: GET /offerings 200",
        "audit: unknown client at 127.0.0.1: GET /nodes 401",
    ]


def test_guard_refusals_do_not_fill_the_log(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    serving = guarded(engine)
    for _ in range(200):
        serving.client.get("/nodes")

    assert 60 <= caplog.text.count("audit:") < 200


def test_guard_client_that_asks_too_often_waits(engine: Engine) -> None:
    serving = guarded(engine, per_minute=1)

    assert statuses(serving, "", "/offerings") == [200]
    refused = serving.client.get("/offerings")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert statuses(serving, "reader", "/offerings") == [200], "a key has a bucket of its own"
    other = serving.client.get("/offerings", environ_base={"REMOTE_ADDR": "198.51.100.9"})
    assert other.status_code == 200
    assert statuses(serving, "", "/health") == [200], "balancers look at it often"


def test_guard_client_that_makes_up_addresses_has_one_bucket(engine: Engine) -> None:
    serving = guarded(engine, per_minute=1)
    asked = [
        serving.client.get("/offerings", headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(2)
    ]

    assert asked == [200, 429]


def test_guard_admin_port_alone_has_the_admin_part(engine: Engine) -> None:
    serving = guarded(engine, (), has_admin_port=True, per_minute=3)
    admin = Caller(on_admin_port(serving.app))

    assert statuses(serving, "", "/nodes", "/offerings") == [404, 200]
    assert "nodes" not in serving.client.get("/health").get_json()
    assert [admin.get("/nodes").status_code for _ in range(5)] == [200] * 5, "it has no limit of requests"
    assert "nodes" in admin.get("/health").get_json()


def test_guard_admin_port_cannot_be_reached_by_a_header(engine: Engine) -> None:
    serving = guarded(engine, (), has_admin_port=True)

    assert serving.client.get("/nodes", headers={"Catena.on_admin_port": "1"}).status_code == 404


def test_guard_admin_port_needs_a_key_where_there_are_keys(engine: Engine) -> None:
    admin = Caller(on_admin_port(guarded(engine, has_admin_port=True).app))

    assert admin.get("/nodes").status_code == 401
    assert admin.get("/nodes", headers={"X-API-Key": "operator"}).status_code == 200
