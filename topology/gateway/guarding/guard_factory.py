"""Makes the gateway's guard from the settings."""

from __future__ import annotations

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from topology.gateway.guarding.api_keys import ApiKeys
from topology.gateway.guarding.clients import Clients
from topology.gateway.guarding.guard import Guard
from topology.settings import Settings


def make_guard(settings: Settings, logger: LinkLogger) -> Guard:
    """Make the guard of a gateway.

    Args:
        settings: Who may use which part, and how often.
        logger: Writes the audit lines.

    Raises:
        UsageError: The file of keys cannot be read, or tokens need a library that is not installed.
    """
    clients: list[Clients] = []
    if settings.gateway_api_keys_file:
        clients.append(ApiKeys(settings.gateway_api_keys_file, logger))
    if settings.gateway_oidc_issuer:
        try:
            from topology.gateway.guarding.bearer_tokens import BearerTokens
        except ImportError as error:
            raise UsageError(
                f"GATEWAY_OIDC_ISSUER needs PyJWT ({error}); install it with: pip install 'catena-links[oidc]'"
            ) from error
        clients.append(BearerTokens(settings.gateway_oidc_issuer, settings.gateway_oidc_audience, logger))
    return Guard(
        logger,
        clients,
        open_reading=settings.gateway_open_reading,
        per_minute=settings.gateway_rate_limit,
        proxies=settings.gateway_trusted_proxies,
        has_admin_port=settings.gateway_admin_port is not None,
    )
