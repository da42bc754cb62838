"""Text from elsewhere, made safe to show: no character that a terminal obeys, and no password."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

MASK = "***"

_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
# Parameters of URLs, and settings as people and libraries write them, whose values are secrets by their names.
_SECRET_PARAMETER = re.compile(
    r"([?&;](?:[\w.-]*(?:token|secret|passw|pwd|signature|credential|api[_-]?key|access[_-]?key|jwt)[\w.-]*|key|sig|auth)=)"
    r"[^&;#\s\"'<>]+",
    re.IGNORECASE,
)
_SECRET_SETTING = re.compile(r"\b((?:[\w.-]+[._-])?(?:password|secret|passwd)\s*=\s*)[^\s,;&]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer)\s+)?)[^\s\"',]+", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"(password|passwd|secret|token|key\.pem|sasl\.jaas\.config|oauthbearer\.config)$", re.IGNORECASE
)

# Shorter ones would blot out ordinary words and numbers; those of letters and other characters are rarely words.
_SHORTEST_SECRET = 8
_SHORTEST_MIXED_SECRET = 5
_secrets: set[str] = set()


def printable(text: str) -> str:
    """Escape every character that a terminal might obey, or not show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def is_utf8(text: str) -> bool:
    """Whether a text can be sent: an argument or a variable that is no UTF-8 has lone surrogates in place of its bytes."""
    return text.encode("utf-8", "replace").decode() == text


def bounded(text: str, most: int) -> str:
    """Escape a text as ``printable`` does, and cut it.

    Args:
        text: The text.
        most: The most characters of the result.
    """
    shown = printable(text[:most])
    return shown if len(text) <= most and len(shown) <= most else f"{shown[: most - 1]}…"


def conceal(*secrets: str) -> None:
    """Remember secrets of this process, so that ``redacted`` masks them wherever they turn up, also percent-encoded.

    Args:
        secrets: Passwords, tokens and keys; those that may be an ordinary word or number are left out.
    """
    for secret in secrets:
        is_mixed = any(c.isalpha() for c in secret) and not secret.isalpha()
        if len(secret) >= (_SHORTEST_MIXED_SECRET if is_mixed else _SHORTEST_SECRET):
            _secrets.update((secret, quote(secret, safe=""), quote(secret)))


def is_secret(name: str) -> bool:
    """Tell whether a setting or a property of a client holds a secret, by its name."""
    return _SECRET_NAME.search(name) is not None


def basic_authorization(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` header (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def split_credentials(url: str) -> tuple[str, str | None]:
    """Split a URL into one without credentials, and the ``Authorization`` header that stands for them, if any."""
    parts = urlsplit(url) if "@" in url else None
    if parts is None or parts.username is None:
        return url, None
    header = basic_authorization(unquote(parts.username), unquote(parts.password or ""))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), header


def redacted(text: str) -> str:
    """Mask passwords and tokens: those of URLs, those that a name before them gives away, and those concealed before."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _CREDENTIALS_IN_URL.sub(f"{MASK}@", text)
    if "=" in text:
        text = _SECRET_SETTING.sub(rf"\1{MASK}", _SECRET_PARAMETER.sub(rf"\1{MASK}", text))
    return _AUTHORIZATION.sub(rf"\1{MASK}", text)


def without_user(address: str) -> str:
    """Mask the user and the password of an address that may be malformed: all that stands before its last ``@``.

    A password may hold a ``/``, ``?``, ``#`` or blank that should be percent-encoded. Nothing tells then where it ends.
    """
    user, at, host = address.rpartition("@")
    scheme, colon, _ = user.partition("://")
    return f"{scheme + colon if colon else ''}{MASK}@{host}" if at else address


def password_of(url: str) -> str:
    """Return the password in a URL of any scheme; an empty text without one."""
    try:
        return unquote(urlsplit(url).password or "") if "://" in url else ""
    except ValueError:
        return ""


def without_credentials(url: str) -> str:
    """Return a URL without the user and the password in it."""
    return split_credentials(url)[0]


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
