"""The overview: at once, or after each change, for a bounded number of clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from federation.engine import Engine
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from topology.consumer_groups import LinkStatus
from topology.gateway.api import nodes


@pytest.fixture
def serving(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Serving:
    monkeypatch.setattr(nodes, "_LOOK_EVERY", 0.0)
    serving = Serving(engine)
    serving.has("a", "http://a.invalid/catalogue")
    serving.note("a", described(G))
    serving.list("0xa", described(G))
    return serving


def follow(serving: Serving) -> TestResponse:
    return serving.client.get("/overview", headers={"Accept": "text/event-stream"}, buffered=False)


def events(response: Response) -> Iterator[Any]:
    for part in response.response:
        text = part.decode() if isinstance(part, bytes) else part
        if text.startswith("data: "):
            yield json.loads(text.removeprefix("data: "))


def test_overview_says_how_all_of_it_is(serving: Serving) -> None:
    serving.links = [LinkStatus("Writer", 2, "stable", 7)]

    found = serving.client.get("/overview").get_json()

    assert (found["offerings"], found["states"], found["health"]["status"]) == (1, {"placed": 1}, "healthy")
    assert [node["graphs_placed"] for node in found["nodes"]] == [1]
    assert found["links"] == [{"group": "Writer", "instances": 2, "state": "stable", "lag": 7}]
    assert found["circle"] == ["a"] * 360


def test_overview_is_sent_again_after_each_change_alone(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_MOST_LOOKS", 10**9)  # lists of offerings are reused for a moment
    with follow(serving) as response:
        assert response.mimetype == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        told = events(response)
        assert next(told)["offerings"] == 1
        serving.list("0xb", described("https://p.example/2"))
        # The health and the list of offerings may change one after the other.
        assert next(one for one in told if one["offerings"] != 1)["offerings"] == 2


def test_overview_that_does_not_change_ends_after_some_time(serving: Serving) -> None:
    with follow(serving) as response:
        assert len(list(events(response))) == 1


def test_overview_has_room_for_some_clients_and_for_others_again(serving: Serving) -> None:
    followers = [follow(serving) for _ in range(nodes._MOST_STREAMS)]
    assert {follower.status_code for follower in followers} == {200}

    refused = follow(serving)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]

    followers.pop().close()
    with follow(serving) as response:
        assert response.status_code == 200
    for follower in followers:
        follower.close()
