"""What a gateway's HTTP answers say."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse


def content(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()


def problem(response: TestResponse, status: int) -> str:
    """Read the response's problem."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    found = response.get_json(force=True)
    assert (found["status"], found["title"]) == (
        status,
        response.status.partition(" ")[2].title().replace("Uri", "URI"),
    )
    return str(found["detail"])
