"""The errors that the status of a node's answer stands for: a refusal of the request, or trouble of its own."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from topology.clients.advice import retry_after
from topology.clients.http import Response, WebError, shown_url

# Seconds. A node that asks for more is asked once in that time, since its health checks may say that it is well again.
_LONGEST_PAUSE = 60.0
# Others from 400 to 499 say how the server is: 401 and 403 that it lets no one in, 405 and 423 that it is read-only, 409 that
# another request is in the way.
_BLAMES_REQUEST = frozenset({400, 406, 411, 412, 413, 414, 415, 416, 417, 422, 431})


class RefusedError(WebError):
    """The node refuses a request; repeating it would not help."""


class FailedError(WebError):
    """The node answers with an error of its own; it may be tried again.

    Args:
        message: What it answers.
        pause: Seconds for which it wants no further request; 0 if it does not say.
    """

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


def check_status(response: Response) -> None:
    """Raise the error that an answer stands for.

    Raises:
        RefusedError: The answer blames this request.
        FailedError: The server is in trouble, asks for another attempt, lets no one in, or takes no writes at present.
    """
    if response.status < 300:
        return
    said = response.excerpt()
    if response.status < 400 and (target := response.headers.get("location")):
        said = (
            f"it redirects to {shown_url(target)}; only reading follows that, so name that address in the list of nodes"
        )
    problem = f"{urlsplit(response.url).netloc} answers with status {response.status}: {said}"
    if response.status in (401, 403):
        problem += "; NODE_CREDENTIALS, or the list of nodes, should have a user and a password that it lets in"
    if response.status in _BLAMES_REQUEST:
        raise RefusedError(problem)
    # RFC 9110, section 10.2.3: redirects have the header, too, but only reading follows those.
    asks = response.status >= 400 and "retry-after" in response.headers
    pause = retry_after(response.status, response.headers, time.time(), _LONGEST_PAUSE) if asks else 0.0
    raise FailedError(problem, pause)


def check_trouble(response: Response) -> None:
    """Raise an error if a server is in trouble, so that its answer tells nothing about the protocols it speaks.

    Raises:
        FailedError: It is.
    """
    if response.status == 429 or (response.status >= 500 and response.status != 501):
        check_status(response)
