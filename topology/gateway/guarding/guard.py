"""Lets requests in: who asks, whether they may, and whether they ask too often; and writes an audit line of it.

Three parts of the API differ. *Reading* (queries, graphs, offerings, the catalogue) is open unless the operator closes it.
*Descriptions by address* (``POST /offerings``) need a key once there are keys. The *admin part* (``GET /nodes`` and the details
of ``GET /health``) needs a key with ``admin``, and has a port of its own if the operator gives it one.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import flask

from catena_core.monitoring.logs import LinkLogger
from catena_core.text import bounded
from federation.networks import Network
from federation.protocol.problems import problem
from topology.gateway.guarding.client_address import client_address, site
from topology.gateway.guarding.clients import Client, Clients, TokenRefusedError
from topology.gateway.guarding.rate_limit import RateLimit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# The WSGI variable of requests to the admin port; those of headers begin with HTTP_, so no client can set it.
_ON_ADMIN_PORT = "catena.on_admin_port"

_HEALTH = "nodes.health"
_ADMIN = {"nodes.nodes"}
_KEYED = {"offerings.description"}
_ALWAYS_OPEN = {None, "index", "openapi", _HEALTH, "pages.static", "catalogue.robots", "dataspace.versions"}
_CHALLENGES = ('Bearer realm="catena"', 'Basic realm="catena", charset="UTF-8"')
_LINES_PER_MINUTE = 60
_LONGEST = 200


def on_admin_port(app: WSGIApplication) -> WSGIApplication:
    """Return an application as the admin port serves it."""
    return lambda environ, start_response: app({**environ, _ON_ADMIN_PORT: True}, start_response)


class Guard:
    """Guards an application.

    Args:
        logger: Writes the audit lines.
        clients: They know clients by their secrets; without any, all parts are open.
        open_reading: Whether reading needs no key.
        per_minute: The requests that a client may send in a minute; 0: any number.
        proxies: The networks of the proxies whose ``X-Forwarded-For`` counts.
        has_admin_port: Whether the admin part is on a port of its own.
    """

    def __init__(
        self,
        logger: LinkLogger,
        clients: Sequence[Clients] = (),
        *,
        open_reading: bool = True,
        per_minute: int = 0,
        proxies: Sequence[Network] = (),
        has_admin_port: bool = False,
    ) -> None:
        self._logger = logger
        self._clients = clients
        self._open_reading = open_reading
        self._limit = RateLimit(per_minute) if per_minute else None
        self._lines = RateLimit(_LINES_PER_MINUTE)
        self._proxies = proxies
        self._has_admin_port = has_admin_port

    def protect(self, app: flask.Flask) -> None:
        """Guard all requests to an application from now on."""
        app.before_request(self._admit)
        app.after_request(self._audit)

    def _admit(self) -> flask.Response | None:
        """Refuse a request, or let it pass."""
        request = flask.request
        forwarded_for = ",".join(request.headers.getlist("X-Forwarded-For"))
        flask.g.client_address = client_address(request.remote_addr or "", forwarded_for, self._proxies)
        refused = ""
        try:
            client = self._client(request)
        except TokenRefusedError as error:
            client, refused = None, str(error)
        flask.g.client, flask.g.refused = client, refused
        # Balancers look at the health as often as they need to.
        if self._limit and request.endpoint != _HEALTH and not request.environ.get(_ON_ADMIN_PORT):
            wait = self._limit.wait(f"client {client.name}" if client else site(flask.g.client_address))
            if wait:
                response = problem(HTTPStatus.TOO_MANY_REQUESTS, "this client sends too many requests; send fewer")
                response.headers["Retry-After"] = str(math.ceil(wait))
                return response
        if request.method == "OPTIONS":  # browsers ask without a key whether they may send one
            return None
        endpoint = request.endpoint
        off_port = self._has_admin_port and not request.environ.get(_ON_ADMIN_PORT)
        is_admin = not off_port and (not self._clients or (client is not None and client.is_admin))
        flask.g.shows_details = is_admin
        if endpoint in _ADMIN and off_port:
            return problem(HTTPStatus.NOT_FOUND, f"{request.path} is on the gateway's admin port")
        needs_key = endpoint in _ADMIN | _KEYED or not (self._open_reading or endpoint in _ALWAYS_OPEN)
        if not needs_key or not self._clients:
            return None
        flask.g.audited = True
        if client is None:
            return _unauthorised(refused, has_secret=bool(_secret(request)))
        if endpoint in _ADMIN and not client.is_admin:
            return problem(HTTPStatus.FORBIDDEN, f"this key does not open {request.path}; one with admin does")
        return None

    def _client(self, request: flask.Request) -> Client | None:
        secret = _secret(request)
        if not secret:
            return None
        return next((client for known in self._clients if (client := known.known_by(secret))), None)

    def _audit(self, response: flask.Response) -> flask.Response:
        passed = response.status_code < HTTPStatus.BAD_REQUEST
        address = flask.g.get("client_address", "")
        client: Client | None = flask.g.get("client")
        is_audited = "audited" in flask.g or response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        # Refusals are bounded, since anyone can cause them.
        if is_audited and (passed or not self._lines.wait(site(address))):
            name = bounded(client.name, _LONGEST) if client else "unknown client"
            request = flask.request
            path = bounded(request.path, _LONGEST)
            refused = flask.g.get("refused", "")
            why = f" ({bounded(refused, _LONGEST)})" if refused else ""
            self._logger.log(f"audit: {name} at {address}: {request.method} {path} {response.status_code}{why}")
        return response


def _unauthorised(refused: str, *, has_secret: bool) -> flask.Response:
    """Say that a request needs a key, or why the one that it has does not count."""
    said = refused or ("the gateway does not know this key or token" if has_secret else "this needs a key")
    response = problem(
        HTTPStatus.UNAUTHORIZED,
        f"{said}; send one as a bearer token, in the header X-API-Key, or as the password of any user. In an address it "
        "does not count, since addresses are logged",
    )
    bearer, basic = _CHALLENGES
    why = ', error="invalid_token"' if refused else ""  # RFC 6750, section 3.1
    response.headers["WWW-Authenticate"] = f"{bearer}{why}, {basic}"
    return response


def _secret(request: flask.Request) -> str:
    """Return the key or token of a request; a query's address never counts."""
    if key := request.headers.get("X-API-Key", ""):
        return key
    scheme, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
