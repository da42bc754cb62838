"""HTTP requests of the links and the gateway, over the one transport of this project: bounded in size, time and redirects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import requests

from catena_core.errors import CatenaError
from catena_core.text import bounded, redacted
from federation.transport import USER_AGENT, Access, Deadline, Session, UnsafeError, check_address, shown_url, to_uri

__all__ = [
    "USER_AGENT",
    "Access",
    "NoAnswerInTimeError",
    "Response",
    "UnsafeError",
    "WebClient",
    "WebError",
    "check_address",
    "shown_url",
    "to_uri",
]


_LONGEST_EXCERPT = 300


class WebError(CatenaError):
    """A server did not answer, or not as it should; it may be tried again."""


class NoAnswerInTimeError(WebError):
    """A server did not answer within the time that the request may take."""


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

    def excerpt(self) -> str:
        """Return the beginning of the body as errors show it.

        A server may repeat there what it was sent, credentials as well.
        """
        text = self.body[: 10 * _LONGEST_EXCERPT].decode("utf-8", "replace").strip()
        return bounded(redacted(text), _LONGEST_EXCERPT)


class WebClient:
    """Keeps connections to servers open, and asks them within limits. May be used by many threads.

    Args:
        timeout: Seconds that one request may take, redirects and all.
        max_bytes: The largest body that is read, after decompression.
        access: The servers that may be asked, and the credentials for them; without it, any, and none.
    """

    def __init__(self, timeout: float, max_bytes: int = 64 * 1024 * 1024, access: Access | None = None) -> None:
        self._timeout = timeout
        self._session = Session(max_bytes=max_bytes, access=access)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send one request and read the answer, whatever its status; GET follows redirects.

        Args:
            method: The HTTP method.
            url: An ``http`` or ``https`` address.
            headers: Further headers.
            body: What to send.
            timeout: Seconds that this request may take; ``None``: as long as any other.

        Raises:
            NoAnswerInTimeError: No answer in time.
            WebError: No answer.
            UnsafeError: Not an address that is asked, too many redirects, or too large an answer.
        """
        seconds = self._timeout if timeout is None else timeout
        try:
            answer = self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=Deadline(seconds),  # type: ignore[arg-type]
            )
        except requests.exceptions.ConnectTimeout as error:
            doubt = "; does it speak TLS?" if url.startswith("https:") else ""
            raise NoAnswerInTimeError(f"{shown_url(url)} cannot be reached: {redacted(str(error))}{doubt}") from error
        except requests.exceptions.Timeout as error:
            raise NoAnswerInTimeError(f"{shown_url(url)} does not answer within {seconds:g} s") from error
        except (ValueError, requests.exceptions.TooManyRedirects) as error:  # no address, or none in HTTP
            raise UnsafeError(f"{shown_url(url)}: {redacted(str(error))}") from error
        except requests.RequestException as error:
            raise WebError(f"{shown_url(url)} does not answer: {redacted(str(error))}") from error
        return Response(answer.status_code, answer.headers, answer.content, answer.url)
