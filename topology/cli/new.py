"""``catena new``: begins a link: its program, its test, and a compose file that runs it."""

from __future__ import annotations

import contextlib
import importlib.util
import keyword
import pkgutil
import re
import sys
import sysconfig
from importlib.metadata import packages_distributions
from pathlib import Path
from string import Template

import click

# `$`-placeholders, since the files themselves are full of braces.
_LINK = '''"""Counts the characters of texts.

python $name.py -k localhost:9092 -i $name.in -o $name.out
"""

from __future__ import annotations

from catena_core import Electron, Link
from catena_core.errors import RejectedError


class $Class(Link):
    """Sends the length of each text, under the key of the text."""

    def transform(self, electron: Electron) -> Electron:
        """Measure one text; the next topics are those of -o."""
        if not isinstance(electron.value, str):
            # It goes to the dead letters with this reason, without further attempts. Any other error is retried first.
            raise RejectedError("the value is no text")
        return Electron(electron.key, {"text": electron.value, "characters": len(electron.value)})


if __name__ == "__main__":
    $Class().start()
'''

_TEST = '''"""Tests of $name.py, which need no Kafka:  python -m pytest"""

from __future__ import annotations

import pytest
from catena_core import Electron
from catena_core.errors import RejectedError
from catena_core.testing import LinkDriver

from $name import $Class


def driver() -> LinkDriver:
    return LinkDriver($Class(input_topics="$name.in", output_topics="$name.out"))


def test_a_text_is_measured() -> None:
    (sent,) = driver().transform(Electron("k", "hey"))

    assert (sent.topic, sent.key, sent.value) == ("$name.out", "k", {"text": "hey", "characters": 3})


def test_what_is_no_text_is_rejected() -> None:
    with pytest.raises(RejectedError):
        driver().transform(Electron("k", 42))
'''

_COMPOSE = """# $Class, beside a Kafka of its own. The image holds catena_core; in a clone of Catena: docker build -t catena .
#
#   docker-compose up -d --scale $name=3
#   echo hello | docker-compose exec -T $name catena topics send $name.in
#   docker-compose exec $name catena topics cat $name.out
#
# Written for Docker Compose v2 and for docker-compose 1.29.

x-link: &link
  image: $${CATENA_IMAGE:-catena}
  init: true
  environment:
    KAFKA_ENDPOINT: kafka:9092
  volumes:
    - type: bind
      source: .
      target: /catena
      read_only: true

services:
  kafka:
    image: apache/kafka:4.4.0
    restart: unless-stopped
    environment:
      KAFKA_HEAP_OPTS: -Xms256m -Xmx512m
      KAFKA_NODE_ID: 1
      KAFKA_PROCESS_ROLES: broker,controller
      KAFKA_CONTROLLER_QUORUM_VOTERS: 1@localhost:9093
      KAFKA_LISTENERS: PLAINTEXT://:9092,CONTROLLER://localhost:9093
      KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://kafka:9092
      KAFKA_CONTROLLER_LISTENER_NAMES: CONTROLLER
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 1
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: 1
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: 1
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: 0
    healthcheck:
      test: ["CMD", "bash", "-c", "</dev/tcp/127.0.0.1/9092"]
      interval: 3s
      timeout: 3s
      retries: 20

  # More partitions than instances: each instance takes its share of them. It ends once the topics are made.
  topics:
    <<: *link
    command: catena topics create $name.in $name.out --partitions 12
    restart: on-failure
    depends_on:
      kafka:
        condition: service_healthy

  $name:
    <<: *link
    command: python $name.py -i $name.in -o $name.out
    restart: unless-stopped
    depends_on:
      topics:
        condition: service_completed_successfully
"""

_FILES = {"$name.py": _LINK, "test_$name.py": _TEST, "docker-compose.yml": _COMPOSE}


def _taken_names() -> set[str]:
    """Return the names of modules that a file beside a link would hide from it: Python puts the link's folder first."""
    installed = pkgutil.iter_modules([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    # Of packages that are installed as links to their sources the second knows; before Python 3.11 it misses others.
    return {*sys.stdlib_module_names, *(module.name for module in installed), *packages_distributions(), "catena_core"}


@click.group("new")
def new() -> None:
    """Begin something of your own.

    \b
    Example:
      catena new link shout
    """


@new.command("link")
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to put it.  [default: ./NAME]")
def new_link(name: str, into: Path | None) -> None:
    """Write a link that runs, its test, and a compose file: NAME/NAME.py, NAME/test_NAME.py, NAME/docker-compose.yml.

    NAME is a Python module's: letters, digits and underscores. Files that exist are never overwritten.

    \b
    Example:
      catena new link shout && cd shout && python -m pytest
      python -m catena_core.embedded --port 9092 &       # a broker, if there is none
      python shout.py -k localhost:9092 -i lines -o loud
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
        raise click.UsageError(
            f"{name!r} cannot name a Python module: begin with a small letter, go on with small letters, digits and underscores"
        )
    if keyword.iskeyword(name) or name in _taken_names():
        raise click.UsageError(
            f"{name!r} is a name of Python or of an installed module, which the link would hide; take another"
        )
    folder = into or Path(name)
    words = {"name": name, "Class": "".join(part.capitalize() for part in name.split("_"))}
    files = {
        folder / Template(path).substitute(words): Template(text).substitute(words) for path, text in _FILES.items()
    }
    if existing := [path for path in files if path.exists()]:
        raise click.ClickException(f"{existing[0]} exists already; name another folder with --into")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        for path in files:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from error
    for path in files:
        click.echo(f"wrote {path}")
    needed = "" if importlib.util.find_spec("pytest") else "python -m pip install pytest && "
    click.echo(f"try it: cd {folder} && {needed}python -m pytest && python {name}.py --help")
