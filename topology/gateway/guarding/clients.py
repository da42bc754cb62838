"""The clients of the gateway that have a name."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from catena_core.errors import CatenaError


class Client(NamedTuple):
    """A client that has shown who it is.

    Attributes:
        name: Its name in the log.
        is_admin: Whether it may use the admin part.
    """

    name: str
    is_admin: bool


class TokenRefusedError(CatenaError):
    """A token comes from the issuer, and does not count here or now; the message says why."""


class Clients(Protocol):
    """Knows clients by their secrets."""

    def known_by(self, secret: str) -> Client | None:
        """Return the client whose key or token this is; ``None`` if it is nobody's.

        Raises:
            TokenRefusedError: It is a client's, and does not count.
        """
