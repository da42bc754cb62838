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

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import WebError
from topology.gateway.guarding import bearer_tokens
from topology.gateway.guarding.bearer_tokens import BearerTokens
from topology.gateway.guarding.clients import Client, TokenRefusedError

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
        token(STRANGERS, exp=time.time() - 3600),
        token(STRANGERS, aud="other"),
        token(kid="two"),
        token(None, algorithm="none"),
        token("a shared secret of thirty-two bytes", algorithm="HS256"),
        token()[:-3],
        "a.b.c",
        "no token",
        "",
    ],
)
def test_bearer_tokens_of_others_count_for_nothing(forged: str) -> None:
    assert tokens(Issuer()).known_by(forged) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "other"}, "this token is for another audience than catena"),
        ({"aud": None}, "this token has no aud"),
        ({"iss": "https://other.example"}, f"this token names another issuer than {ISSUER}"),
        ({"iss": None}, "this token has no iss"),
        ({"exp": time.time() - 3600}, "this token has expired"),
        ({"exp": None}, "this token has no exp"),
        ({"nbf": time.time() + 36000}, "this token is not valid yet; compare the clocks of issuer and gateway"),
        ({"iat": time.time() + 36000}, "this token is not valid yet; compare the clocks of issuer and gateway"),
    ],
)
def test_bearer_tokens_for_another_place_or_time_are_refused_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TokenRefusedError, match=f"^{reason}$"):
        tokens(Issuer()).known_by(token(**changes))


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

    with pytest.raises(TokenRefusedError, match="the gateway has no keys of the issuer"):
        tokens(issuer).known_by(token())
    assert f"the keys of GATEWAY_OIDC_ISSUER={ISSUER} cannot be had" in caplog.text


def test_bearer_tokens_of_a_silent_issuer_are_refused() -> None:
    def silent(url: str) -> bytes:
        raise WebError(f"{url} does not answer")

    with pytest.raises(TokenRefusedError, match="the gateway has no keys of the issuer"):
        tokens(silent).known_by(token())
    with pytest.raises(UsageError, match=f"the keys of GATEWAY_OIDC_ISSUER={ISSUER} cannot be had: .*does not answer"):
        tokens(silent).check()


def test_bearer_tokens_check_counts_the_keys_of_the_issuer() -> None:
    assert tokens(Issuer()).check() == 1
