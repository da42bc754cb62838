"""The tokens of clients, signed by an OpenID Connect issuer (RFC 9068, https://openid.net/specs/openid-connect-discovery-1_0.html)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import msgspec

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.text import redacted
from topology.clients.http import WebClient, WebError
from topology.gateway.guarding.clients import Client, TokenRefusedError

ADMIN_SCOPE = "catena:admin"
"""The scope of tokens that open the admin part."""

# None of them has a shared secret, which a client could have, too.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_LEEWAY = 30
_TIMEOUT = 5.0
# Seconds to wait for another request that asks the issuer for its keys, once it has told some.
_PATIENCE = 1.0
_MOST_BYTES = 1024 * 1024
# Seconds until the issuer is asked for its keys again. Anyone can name an unknown key, so that alone does not count sooner.
_KEYS_FOR = 3600.0
_ASK_AGAIN_AFTER = 60.0
_TROUBLE = (WebError, jwt.PyJWTError, ValueError, TypeError)


class BearerTokens:
    """Knows clients by the tokens of one issuer. May be used by many threads.

    Args:
        issuer: The address of the issuer.
        audience: The audience that tokens must name.
        logger: Logs an issuer whose keys cannot be had.
        fetch: Returns the content at an address, for tests.
    """

    def __init__(
        self, issuer: str, audience: str, logger: LinkLogger, fetch: Callable[[str], bytes] | None = None
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._audience = audience
        self._logger = logger
        self._client = WebClient(_TIMEOUT, _MOST_BYTES)
        self._fetch = fetch or self._get
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = float("-inf")

    def known_by(self, secret: str) -> Client | None:
        """Return the client whose token this is; ``None`` if the issuer did not sign it.

        Raises:
            TokenRefusedError: The issuer did, and it does not count here or now; or the issuer's keys cannot be had.
        """
        try:
            key = self._key(str(jwt.get_unverified_header(secret).get("kid", "")))
            if key is None:
                return None
            claims = jwt.decode(
                secret,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                issuer=[self._issuer, f"{self._issuer}/"],
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefusedError("this token has expired") from error
        except jwt.ImmatureSignatureError as error:
            raise TokenRefusedError("this token is not valid yet; compare the clocks of issuer and gateway") from error
        except jwt.InvalidAudienceError as error:
            raise TokenRefusedError(f"this token is for another audience than {self._audience}") from error
        except jwt.InvalidIssuerError as error:
            raise TokenRefusedError(f"this token names another issuer than {self._issuer}") from error
        except jwt.MissingRequiredClaimError as error:
            raise TokenRefusedError(f"this token has no {error.claim}") from error
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        name = claims.get("azp") or claims.get("client_id") or claims.get("sub") or "token"
        return Client(str(name), ADMIN_SCOPE in str(claims.get("scope", "")).split())

    def _key(self, name: str) -> jwt.PyJWK | None:
        # The issuer may hang. One request waits for it; others do not if their key is known, and not for long if some are.
        patience = 0.0 if name in self._keys else _PATIENCE if self._keys else -1.0
        if self._lock.acquire(timeout=patience):
            try:
                age = time.monotonic() - self._asked_at
                if age > (_KEYS_FOR if name in self._keys else _ASK_AGAIN_AFTER):
                    self._asked_at = time.monotonic()
                    self._keys = self._issuers_keys()
            except UsageError as error:
                self._logger.log(str(error), level="error")
            finally:
                self._lock.release()
        if not self._keys:
            raise TokenRefusedError("the gateway has no keys of the issuer to check this token with; its log says why")
        return self._keys.get(name)

    def check(self) -> int:
        """Ask the issuer for its keys.

        Returns:
            Their number.

        Raises:
            UsageError: They cannot be had; the message names the setting and the reason.
        """
        return len(self._issuers_keys())

    def _issuers_keys(self) -> dict[str, jwt.PyJWK]:
        try:
            configuration = _json(self._fetch(f"{self._issuer}/.well-known/openid-configuration"))
            if missing := [name for name in ("issuer", "jwks_uri") if name not in configuration]:
                raise ValueError(f"its configuration has no {missing[0]}")
            if str(configuration["issuer"]).rstrip("/") != self._issuer:
                raise ValueError(f"its configuration names another issuer: {configuration['issuer']}")
            keys = jwt.PyJWKSet.from_dict(_json(self._fetch(str(configuration["jwks_uri"]))))
        except _TROUBLE as error:
            raise UsageError(
                f"the keys of GATEWAY_OIDC_ISSUER={self._issuer} cannot be had: {redacted(str(error))}"
            ) from error
        return {str(key.key_id or ""): key for key in keys.keys if key.public_key_use != "enc"}

    def _get(self, url: str) -> bytes:
        answer = self._client.request("GET", url, headers={"Accept": "application/json"})
        if answer.status != 200:
            raise WebError(f"{url} answers with status {answer.status}")
        return answer.body


def _json(content: bytes) -> dict[str, Any]:
    return msgspec.json.decode(content, type=dict[str, Any])
