"""Tokens of clients count only if the issuer signed them, for this gateway, and they are valid now."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import WebError
from topology.gateway.guarding import bearer_tokens
from topology.gateway.guarding.bearer_tokens import BearerTokens
from topology.gateway.guarding.clients import Client

ISSUER = "https://login.example/realms/data"
SECRET, STRANGERS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
KEY = {**ECAlgorithm.to_jwk(SECRET.public_key(), as_dict=True), "kid": "one", "alg": "ES256", "use": "sig"}


class Issuer:
    """An issuer that counts how often it is asked."""

    def __init__(self) -> None:
        self.configuration: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.keys: Any = {"keys": [KEY]}
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        return json.dumps(self.keys if url.endswith("/keys") else self.configuration).encode()


def token(secret: Any = SECRET, kid: str = "one", algorithm: str = "ES256", **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": "catena", "exp": time.time() + 3600, "azp": "portal", **changes}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None}, secret, algorithm, headers={"kid": kid}
    )


def tokens(issuer: Any) -> BearerTokens:
    return BearerTokens(f"{ISSUER}/", "catena", LinkLogger("Gateway"), issuer)


def test_bearer_tokens_of_the_issuer_name_the_client() -> None:
    known = tokens(Issuer())

    assert known.known_by(token()) == Client("portal", False)
    assert known.known_by(token(azp=None, sub="alice", scope="openid catena:admin")) == Client("alice", True)
    assert known.known_by(token(iss=f"{ISSUER}/", aud=["other", "catena"])) == Client("portal", False)


@pytest.mark.parametrize(
    "forged",
    [
        token(STRANGERS),
        token(aud="other"),
        token(aud=None),
        token(iss="https://other.example"),
        token(exp=time.time() - 3600),
        token(exp=None),
        token(nbf=time.time() + 36000),
        token(kid="two"),
        token(None, algorithm="none"),
        token("a shared secret of thirty-two bytes", algorithm="HS256"),
        token()[:-3],
        "a.b.c",
        "no token",
        "",
    ],
)
def test_bearer_tokens_of_others_or_of_another_time_count_for_nothing(forged: str) -> None:
    assert tokens(Issuer()).known_by(forged) is None


def test_bearer_tokens_with_unknown_keys_do_not_make_the_gateway_ask_each_time() -> None:
    issuer = Issuer()
    known = tokens(issuer)
    for number in range(5):
        known.known_by(token(kid=f"made up {number}"))

    assert len(issuer.asked) == 2


def test_bearer_tokens_with_known_keys_wait_for_no_issuer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bearer_tokens, "_ASK_AGAIN_AFTER", -1.0)
    issuer, asked, answer = Issuer(), threading.Event(), threading.Event()
    known = tokens(issuer)
    assert known.known_by(token())

    def hang(url: str) -> bytes:
        asked.set()
        answer.wait(300)
        return issuer(url)

    monkeypatch.setattr(known, "_fetch", hang)
    with ThreadPoolExecutor(1) as threads:
        stranger = threads.submit(known.known_by, token(kid="made up"))
        try:
            assert asked.wait(120)
            assert known.known_by(token()) == Client("portal", False)
            assert known.known_by(token(kid="made up, too")) is None
            assert not stranger.done()
        finally:
            answer.set()
        assert stranger.result(120) is None


@pytest.mark.parametrize("configuration", [[], {}, {"issuer": "https://other.example", "jwks_uri": "x"}])
def test_bearer_tokens_of_an_issuer_in_trouble_are_refused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture, configuration: Any
) -> None:
    issuer = Issuer()
    issuer.configuration = configuration

    assert tokens(issuer).known_by(token()) is None
    assert f"the keys of GATEWAY_OIDC_ISSUER={ISSUER} cannot be had" in caplog.text


def test_bearer_tokens_of_a_silent_issuer_are_refused() -> None:
    def silent(url: str) -> bytes:
        raise WebError(f"{url} does not answer")

    assert tokens(silent).known_by(token()) is None
