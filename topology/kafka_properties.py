"""The properties of Kafka's client that ``.env`` sets."""

from __future__ import annotations

import os

from catena_core.cli import environment_properties
from topology.env_file import env_file, read_env_file


def kafka_properties() -> dict[str, str]:
    """Return the librdkafka properties of the ``KAFKA_*`` variables in ``.env``, but for those that the environment has, too.

    Raises:
        UsageError: The file, or that of a secret, cannot be read.
    """
    variables = read_env_file(env_file())
    return environment_properties({name: value for name, value in variables.items() if name not in os.environ})
