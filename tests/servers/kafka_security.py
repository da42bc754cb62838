"""TLS and a login for Apache Kafka: a certificate of its own, and one user with a password (SASL/PLAIN)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.java import java_program

USER, PASSWORD = "ann", "correct horse"

_STORE_PASSWORD = "not-secret"


@dataclass(frozen=True)
class Security:
    """How a broker is guarded.

    Attributes:
        broker: The settings of its listener ``SASL_SSL``.
        client: The librdkafka properties of whoever may come in.
    """

    broker: dict[str, str]
    client: dict[str, str]


def make_security(folder: Path) -> Security:
    """Make a certificate for 127.0.0.1, by the keytool of Java, and the settings that use it.

    Args:
        folder: Where keys and certificates lie as long as the broker runs.

    Raises:
        ServerUnavailable: There is no Java.
    """
    store, certificate = folder / "broker.p12", folder / "broker.pem"
    access = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", _STORE_PASSWORD, "-alias", "broker"]
    names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1"]
    _keytool("-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2", *names, *access)
    _keytool("-exportcert", "-rfc", "-file", str(certificate), *access)
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    return Security(
        broker={
            "ssl.keystore.location": str(store),
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.password": _STORE_PASSWORD,
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
        },
        client={
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(certificate),
            "sasl.mechanism": "PLAIN",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
        },
    )


def _keytool(*arguments: str) -> None:
    program = Path(java_program()).resolve().parent / "keytool"
    subprocess.run([str(program), *arguments], check=True, capture_output=True, timeout=600)
