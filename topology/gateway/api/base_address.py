"""The gateway's own address, as it stands in what it serves."""

from __future__ import annotations

import re

import flask
from werkzeug.exceptions import BadRequest

_HOST = re.compile(r"[A-Za-z0-9._~-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


def base_address(configured: str) -> str:
    """Return the gateway's address, without a slash at its end.

    Args:
        configured: GATEWAY_URL; without it, the address counts that the client used.

    Raises:
        BadRequest: The client's ``Host`` is no name of a host.
    """
    if configured:
        return configured
    if not _HOST.fullmatch(flask.request.host):
        raise BadRequest("Host is no name of a host")
    return flask.request.url_root.rstrip("/")
