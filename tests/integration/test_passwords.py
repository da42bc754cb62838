"""A topology whose booth and nodes want passwords: it works, and nothing that others can see holds one of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web

from sandbox import booth as booths
from sandbox import made_up_offerings
from sandbox import node as nodes
from tests.helpers.catena_up import ROOT, Up, catalogue_list
from tests.helpers.sandbox_servers import Sandbox, running
from topology.runner.up import LINKS

PASSWORDS = {name: f"pw-of-the-{name}" for name in ("booth", "list", "file", "redis", "kafka")}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class Door:
    """Lets in who sends a header; others, and everyone once it is broken, hear what they have sent."""

    def __init__(self, header: str) -> None:
        self.header, self.is_broken, self.refused = header, False, 0

    def lock(self, app: web.Application) -> web.Application:
        @web.middleware
        async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
            sent = request.headers.get("Authorization")
            if self.is_broken or (sent != self.header and not request.path.startswith("/descriptions")):
                self.refused += sent != self.header
                headers = {**request.headers, "passwords": ", ".join(PASSWORDS.values())}
                return web.Response(status=500 if self.is_broken else 401, text=f"it came with {headers}")
            return await handler(request)

        app.middlewares.insert(0, look)
        return app


@contextmanager
def locked_node(header: str) -> Iterator[tuple[Door, Sandbox]]:
    door = Door(header)
    with running(lambda _origin: door.lock(nodes.create_app()), "/catalogue") as node:
        yield door, node


@contextmanager
def locked_booth(header: str) -> Iterator[Sandbox]:
    listed = made_up_offerings.generate(5, 7)
    with running(lambda origin: Door(header).lock(booths.create_app(booths.Booth(listed, origin))), "/api") as booth:
        yield booth


def leaks(text: str) -> list[str]:
    """Name the passwords in a text, as they are or as a header."""
    return [
        name
        for name, password in PASSWORDS.items()
        if password in text or basic("ada", password).partition(" ")[2] in text
    ]


@pytest.mark.slow
def test_a_topology_with_passwords_everywhere_shows_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        booth = stack.enter_context(locked_booth(basic("ada", PASSWORDS["booth"])))
        by_list, one = stack.enter_context(locked_node(basic("ada", PASSWORDS["list"])))
        by_file, two = stack.enter_context(locked_node(f"Bearer {PASSWORDS['file']}"))
        credentials = tmp_path / "credentials.json"
        credentials.write_text(json.dumps({"node_2": {"bearer": PASSWORDS["file"]}}))
        up = Up(
            ["-v", "-X", f"sasl.password={PASSWORDS['kafka']}"],
            DLT_BASE_URL=booth.url.replace("//", f"//ada:{PASSWORDS['booth']}@"),
            CATALOGUE_LIST=catalogue_list(
                tmp_path / "nodes.json", [one.url.replace("//", f"//ada:{PASSWORDS['list']}@"), two.url]
            ),
            NODE_CREDENTIALS=str(credentials),
            REDIS_HOST="127.0.0.1",
            REDIS_PORT="9",
            REDIS_PASSWORD=PASSWORDS["redis"],
        )
        try:
            up.found("all 5 offerings stand on 2 nodes each")
            shown = {"arguments": arguments_of_links(up)}
            query = {"query": "SELECT * { GRAPH ?g { ?s ?p ?o } }"}
            for door in (by_list, by_file):
                door.is_broken = True
            answer(up, "/sparql", **query)
            up.found("it came with")
            up.found("node_1 does not answer")
            up.found("node_2 does not answer")
            for path in ("/", "/nodes", "/health", "/offerings", "/openapi.json"):
                shown[path] = answer(up, path)
            for explain in ({}, {"explain": "json"}, {"explain": "text"}):
                shown[f"/sparql {explain}"] = answer(up, "/sparql", **query, **explain)
            shown["log"] = up.output()
        finally:
            up.stop()
    assert {place: found for place, text in shown.items() if (found := leaks(text))} == {}


def answer(up: Up, path: str, **parameters: Any) -> str:
    response = requests.get(
        f"{up.gateway}{path}", params=parameters, headers={"Cache-Control": "no-cache"}, timeout=120
    )
    return f"{response.status_code} {response.headers} {response.text}"


def arguments_of_links(up: Up) -> str:
    """Read the arguments of the links' processes, as every user of the machine can."""
    pids = [up.pid_of(f"links.{link}") for link in LINKS]
    assert all(pids)
    return "\n".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)


@pytest.mark.slow
def test_doctor_checks_servers_behind_passwords_and_shows_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        booth = stack.enter_context(locked_booth(basic("ada", PASSWORDS["booth"])))
        _, one = stack.enter_context(locked_node(basic("ada", PASSWORDS["list"])))
        two, broken = stack.enter_context(locked_node("nothing lets in"))
        urls = [node.url.replace("//", f"//ada:{PASSWORDS['list']}@") for node in (one, broken)]
        variables = {
            "DLT_BASE_URL": booth.url.replace("//", f"//ada:{PASSWORDS['booth']}@"),
            "CATALOGUE_LIST": catalogue_list(tmp_path / "nodes.json", urls),
            "OPERATOR_PROVIDED": "1",
            "REDIS_HOST": "",
        }
        result = subprocess.run(
            [sys.executable, "-m", "topology.cli", "doctor"], cwd=ROOT, env=environment(variables), **OUTPUT
        )

    assert "lists 5 offerings" in result.stdout
    assert "node_1: answers at" in result.stdout
    assert two.refused
    assert leaks(result.stdout + result.stderr) == []


OUTPUT: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 100}


def environment(variables: dict[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "KAFKA_ENDPOINT"}, **variables}
