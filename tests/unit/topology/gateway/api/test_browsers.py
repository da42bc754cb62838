"""No browser takes data for a page; pages keep the policy that they bring."""

from __future__ import annotations

import flask
import pytest
from werkzeug.test import TestResponse

from topology.gateway.api.browsers import FOR_BROWSERS, keep_browsers_safe


def answer(content_type: str, status: int = 200, headers: dict[str, str] | None = None) -> TestResponse:
    app = flask.Flask(__name__)
    keep_browsers_safe(app)
    app.add_url_rule("/", view_func=lambda: flask.Response("<script>", status, headers, content_type=content_type))
    return app.test_client().get("/")


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "image/svg+xml", "application/xhtml+xml", ""]
)
def test_keep_browsers_safe_lets_data_run_nothing(content_type: str, status: int) -> None:
    headers = answer(content_type, status).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert all(name in headers for name in FOR_BROWSERS)


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8", "TEXT/HTML"])
def test_keep_browsers_safe_leaves_the_policy_of_a_page(content_type: str) -> None:
    headers = answer(content_type, headers={"Content-Security-Policy": "default-src 'self'"}).headers

    assert headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
    assert headers["X-Content-Type-Options"] == "nosniff"
