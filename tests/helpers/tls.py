"""A certificate for localhost, for tests only, and a server socket that uses it."""

from __future__ import annotations

import ssl
from pathlib import Path

_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqVWbt7BirkJc/50W
w41g9JWkLX5ZUalSQiCAFm6+lp2hRANCAAS5TGZ4VdOXL3RmZmeDS0zFcayLzcL+
NPK3FhIMBnnBl8roVGMwp06Y5OiwurM4MNSqO9kuCTCS2eP8kDVfs+H6
-----END PRIVATE KEY-----
"""
_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUJXc2Y1UNczaaH2fVXXqZjjcOx3kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODE5MTM1N1oYDzIxMjYxMTA0
MTkxMzU3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS5TGZ4VdOXL3RmZmeDS0zFcayLzcL+NPK3FhIMBnnBl8roVGMwp06Y
5OiwurM4MNSqO9kuCTCS2eP8kDVfs+H6o28wbTAdBgNVHQ4EFgQUEO0K1yay9l+V
lwx5+OPXYOkj9ygwHwYDVR0jBBgwFoAUEO0K1yay9l+Vlwx5+OPXYOkj9ygwGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDSQAwRgIhAOKjuIz13XAHlBqJwaPjYS7KR1HN0TZUMLi+79fBrYSqAiEA
0IkN39ccsM1+L2+2DKRYV0UJ1X23mOKp9A9HopNeapA=
-----END CERTIFICATE-----
"""


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make the context of a server.

    Args:
        folder: Where the certificate goes.

    Returns:
        The context, and the file that makes clients trust it.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    key.write_text(_KEY)
    certificate.write_text(_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
