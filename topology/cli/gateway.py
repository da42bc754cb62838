"""Asking a gateway from the command line: its address, and its errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from catena_core.errors import CatenaError, UsageError
from catena_core.text import printable
from topology import settings
from topology.clients.http import Response, UnsafeError, WebClient, WebError, shown_url

_MOST_ANSWER_BYTES = 1024 * 1024 * 1024
_SHOWN_OF_ANSWER = 300
# A gateway reports its own time-outs.
_SECONDS_BEYOND_TIMEOUT = 10.0


class Problem(msgspec.Struct):
    """An error of a gateway (RFC 9457)."""

    detail: str
    line: int = 0
    column: int = 0


def url_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names a gateway."""
    return click.option(
        "-u",
        "--url",
        metavar="URL",
        help="The gateway, with or without the path of its SPARQL endpoint.  [default: this machine's, at HOST_PORT]",
    )(command)


class Gateway:
    """A gateway, as a command asks it.

    Args:
        url: Its address, with or without a path; ``None``: this machine's, as the settings say.

    Raises:
        UsageError: The address or a setting cannot be used.
    """

    def __init__(self, url: str | None) -> None:
        own, seconds, key = _own_gateway()
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        self._base = _base(url or own)
        self._web = WebClient(seconds + _SECONDS_BEYOND_TIMEOUT, _MOST_ANSWER_BYTES)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one request.

        Args:
            method: The HTTP method.
            path: The path below the gateway's address, for instance ``/sparql``.
            headers: Further headers.
            body: The request's body.

        Raises:
            WebError: No gateway answers.
            UnsafeError: The address or the answer is refused.
        """
        return self._web.request(method, self._base + path, headers={**self._key, **(headers or {})}, body=body)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turn the errors of asking a gateway into errors of the command line."""
    try:
        yield
    except UnsafeError as error:
        raise click.ClickException(printable(str(error))) from error
    except WebError as error:
        raise click.ClickException(
            f"no answer from a gateway: {printable(str(error))}\n"
            "'catena up' starts one on this machine; -u URL names another one"
        ) from error
    except CatenaError as error:
        raise click.ClickException(str(error)) from error


def problem_of(answer: Response) -> Problem:
    """Return the error in an answer that is none of success, in words for a terminal."""
    if answer.status == 404 and b'"detail"' not in answer.body:
        return Problem(
            f"there is nothing at {printable(answer.url)}; -u takes a gateway's address, as http://localhost:3030"
        )
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = " ".join(answer.body[:_SHOWN_OF_ANSWER].decode("utf-8", "replace").split())
        return Problem(
            f"{printable(answer.url)} answers with status {answer.status}: {printable(said) or 'nothing more'}"
        )
    key = "; this command sends the key in GATEWAY_KEY, if there is one" if answer.status == 401 else ""
    return Problem(f"{printable(problem.detail)} (status {answer.status}){key}", problem.line, problem.column)


def own_url(chosen: settings.Settings) -> str:
    """Return the address of this machine's gateway."""
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(chosen.host_address, chosen.host_address)
    return f"http://{f'[{host}]' if ':' in host else host}:{chosen.host_port}"


def _own_gateway() -> tuple[str, float, str]:
    """Return the address of this machine's gateway, the seconds that a query may take there, and the key to send.

    Only the settings for that are read, so wrong values of others do not matter.
    """
    names = ("HOST_ADDRESS", "HOST_PORT", "SPARQL_TIMEOUT", "GATEWAY_KEY")
    variables = settings.variables_in_force()
    own = settings.load({name: value for name in names if (value := variables.get(name))})
    return own_url(own), own.sparql_timeout, own.gateway_key.reveal()


def _base(url: str) -> str:
    """Return a gateway's address without the path of its SPARQL endpoint."""
    address = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"-u {shown_url(url)}: {error}") from error
    if port == 0:
        raise UsageError(
            "HOST_PORT=0 lets the gateway take any free port; say which one it took: -u http://localhost:PORT"
        )
    path = parts.path.rstrip("/").removesuffix("/sparql")
    return parts._replace(path=path, query="", fragment="").geturl()
