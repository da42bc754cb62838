"""Answers in JSON."""

from __future__ import annotations

import flask
import msgspec


def in_json(content: object) -> flask.Response:
    """An answer in JSON, with line breaks, for it is read by people too, and in the order in which it was written."""
    return flask.Response(msgspec.json.format(msgspec.json.encode(content)) + b"\n", content_type="application/json")
