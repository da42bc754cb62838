"""HTTP requests of the links and the gateway, over the one transport of this project: bounded in size, time and redirects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import requests

from catena_core.errors import CatenaError
from federation.transport import USER_AGENT, Deadline, Session, UnsafeError, check_address, to_uri

__all__ = ["USER_AGENT", "Response", "UnsafeError", "WebClient", "WebError", "check_address", "to_uri"]


class WebError(CatenaError):
    """A server did not answer, or not as it should; it may be tried again."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP response.

    Attributes:
        status: The HTTP status.
        headers: The headers, by name in any case.
        body: The content, decompressed.
        url: The address that answered, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class WebClient:
    """Keeps connections to servers open, and asks them within limits. May be used by many threads.

    Args:
        timeout: Seconds that one request may take, redirects and all.
        max_bytes: The largest body that is read, after decompression.
    """

    def __init__(self, timeout: float, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._timeout = timeout
        self._session = Session(max_bytes=max_bytes)

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send one request and read the answer, whatever its status; GET follows redirects.

        Args:
            method: The HTTP method.
            url: An ``http`` or ``https`` address.
            headers: Further headers.
            body: What to send.

        Raises:
            WebError: No answer in time.
            UnsafeError: Not an address that is asked, too many redirects, or too large an answer.
        """
        try:
            answer = self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=Deadline(self._timeout),  # type: ignore[arg-type]
            )
        except requests.exceptions.Timeout as error:
            raise WebError(f"{url} does not answer within {self._timeout:g} s") from error
        except (ValueError, requests.exceptions.TooManyRedirects) as error:  # no address, or none in HTTP
            raise UnsafeError(f"{url}: {error}") from error
        except requests.RequestException as error:
            raise WebError(f"{url} does not answer: {error}") from error
        return Response(answer.status_code, answer.headers, answer.content, answer.url)
