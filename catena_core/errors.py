"""The errors that links raise and meet."""

from __future__ import annotations


class CatenaError(Exception):
    """The root of all errors of the library."""


class UsageError(CatenaError):
    """A link was set up in a way that cannot work; the message says what would."""


class RejectedError(CatenaError):
    """Raised by a transform for an electron that can never succeed.

    It goes to the dead letters at once, without the retries that other errors are given.
    """


class StoppedError(CatenaError):
    """Raised where work is cut short because the link is stopping; its electron is delivered again later."""


class DeliveryError(CatenaError):
    """Kafka did not take what a link sent."""


class CodecError(CatenaError):
    """A value cannot be put on the wire, or bytes from the wire cannot be read."""
