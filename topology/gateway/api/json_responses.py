"""JSON responses."""

from __future__ import annotations

import flask
import msgspec


def in_json(content: object) -> flask.Response:
    """Make a JSON response, indented for human readers, with members in the given order."""
    return flask.Response(msgspec.json.format(msgspec.json.encode(content)) + b"\n", content_type="application/json")
