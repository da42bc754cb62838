"""The settings of the topology, from the environment and from ``.env``; the environment wins.

Each setting is defined here once, with its default, its unit and its purpose. ``examples/example.env`` shows them all; a test
compares the two.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from catena_core.errors import UsageError
from catena_core.extras import not_installed

try:
    from dotenv import dotenv_values
except ImportError as error:  # every link and command of the catalogue comes by here first
    raise not_installed(error, "what the catalogue needs", "catalogue") from error

_HOST = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?")


class Mode(Enum):
    """The source of the catalogue nodes."""

    OPERATOR = "the nodes that CATALOGUE_LIST names"
    OWNERS = "one node for each owner of an offering"
    CENTRALISED = "the Global Catalogue alone"


def _switch(text: str) -> bool:
    values = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
    if text.lower() not in values:
        raise ValueError("0 or 1")
    return values[text.lower()]


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ValueError("a number of seconds above 0")
    return number


def _seconds_or_auto(text: str) -> float | None:
    try:
        return None if text == "auto" else 0.0 if float(text) == 0 else _seconds(text)
    except ValueError:
        raise ValueError("a number of seconds, 0, or auto")


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
    if not all(_HOST.fullmatch(host) and _is_url(f"http://{host}") for host in hosts):
        raise ValueError("hosts with commas between them, each with its port if need be: a.example,b.example:8080")
    return hosts


def _text(text: str) -> str:
    if not text:
        raise ValueError("some text")
    return text


def _any_text(text: str) -> str:
    return text


def _url(text: str) -> str:
    if not _is_url(text):
        raise ValueError("an address with its scheme, for instance http://host:8085/api")
    return text.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and " " not in text


def _host_url(text: str) -> str:
    parts = urlsplit(text) if _is_url(text) else None
    if parts is None or parts.port is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("an address with its scheme, without port and path, for instance http://global-catalogue")
    return text.rstrip("/")


def _template(text: str) -> str:
    try:
        _url(text.format(scheme="http", host="host"))
    except (ValueError, KeyError, IndexError, AttributeError):
        raise ValueError(
            "an address in which {scheme} and {host} may stand, for instance {scheme}://{host}:3030/catalogue"
        )
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return parse


def _setting(default: str, parse: Callable[[str], Any], help_text: str) -> Any:
    """Define a setting; its environment variable is the field's name in capitals."""
    return dataclasses.field(default=parse(default), metadata={"parse": parse, "default": default, "help": help_text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of an operator; the variable of each field is its name in capitals."""

    # Where the nodes come from
    operator_provided: bool = _setting(
        "0", _switch, "1: the nodes are those of CATALOGUE_LIST; 0: inferred from offerings"
    )
    centralised: bool = _setting("0", _switch, "1: everything goes to the Global Catalogue at GC_URL")
    catalogue_list: str = _setting(
        "./catalogue_list.json", _text, "file that names the nodes; read again when it changes"
    )
    node_url_template: str = _setting(
        "{scheme}://{host}:3030/catalogue", _template, "an owner's node, from scheme and host of its descriptions"
    )
    node_protocol: Literal["auto", "sedimark", "graph-store"] = _setting(
        "auto", _one_of("auto", "sedimark", "graph-store"), "how nodes are written to: auto, sedimark or graph-store"
    )
    gc_url: str = _setting("http://global-catalogue", _host_url, "the Global Catalogue, without port and path")
    gc_port: int = _setting("3030", _whole(1, 65535), "its port; its path is /catalogue")

    # The ledger and the descriptions
    dlt_base_url: str = _setting("http://dlt-booth:8085/api", _url, "the DLT-Booth")
    offering_fetch_interval: float = _setting("60", _seconds, "seconds between two looks at the ledger's listing")
    offering_refresh_interval: float = _setting("3600", _seconds, "seconds after which a description is fetched again")
    offering_desc_timeout: float = _setting("60", _seconds, "seconds that one request for a description may take")
    offering_max_bytes: int = _setting("4194304", _whole(1024, 2**30), "bytes that a description may have")
    verify_description_hash: Literal["off", "warn", "enforce"] = _setting(
        "warn", _one_of("off", "warn", "enforce"), "whether a description must have the hash that the ledger has of it"
    )
    worker_pool_size: int = _setting("10", _whole(1, 1000), "descriptions that one fetcher fetches at a time")
    jsonld_contexts: str = _setting(
        "", _any_text, "file that maps the URLs of JSON-LD contexts to files; empty: inline only"
    )

    # Placement
    offering_replica_count: int = _setting("2", _whole(1, 100), "nodes that hold each offering")
    hash_ring_virtual_nodes: int = _setting("150", _whole(1, 10000), "points of each node on the hash ring")
    node_health_check_interval: float = _setting("30", _seconds, "seconds between two checks of a node")
    node_grace_period: float = _setting("60", _seconds, "seconds that a silent node keeps its place on the ring")
    node_timeout: float = _setting("10", _seconds, "seconds that a node may take to answer")

    # The gateway
    host_address: str = _setting("0.0.0.0", _text, "address that the gateway listens on")
    host_port: int = _setting("3030", _whole(0, 65535), "port that the gateway listens on; 0: any free one")
    sparql_timeout: float = _setting("60", _seconds, "seconds that one query may take")
    sparql_partial: bool = _setting(
        "1", _switch, "1: answers that may lack graphs are given and say so; 0: they are refused with status 503"
    )
    sparql_cache_ttl: float | None = _setting(
        "auto",
        _seconds_or_auto,
        "seconds that answers, and quads of unmanaged graphs, are cached; 0: not; auto: 60 with Kafka, without it not",
    )
    sparql_workers: int = _setting("2", _whole(1, 256), "queries that are evaluated at the same time")
    sparql_memory: int = _setting("4096", _whole(256, 2**24), "MiB of address space that each evaluator may take")
    sparql_result_max_bytes: int = _setting("268435456", _whole(1024, 2**40), "bytes that a result may have")
    sparql_services: tuple[str, ...] = _setting(
        "", _hosts, "hosts that SERVICE may call, with commas between them; empty: none"
    )

    # Redis, a shared cache that may be missing
    redis_host: str = _setting(
        "catalogue-coordinator-redis", _any_text, "host of Redis; empty: none, each process for itself"
    )
    redis_port: int = _setting("6379", _whole(1, 65535), "its port")
    redis_db: int = _setting("0", _whole(0, 1000000), "its database number")

    # The local runner and its sandbox
    subprocess_health_check_interval: float = _setting(
        "5", _seconds, "seconds between two looks at the links' processes"
    )
    sandbox_offerings: str = _setting("100", _text, "offerings that the sandbox lists: how many, or a JSON-LD file")
    sandbox_seed: int = _setting("1", _whole(0, 2**31), "seed of the offerings that it makes up")

    @property
    def mode(self) -> Mode:
        """The source of the catalogue nodes."""
        if self.centralised:
            return Mode.CENTRALISED
        return Mode.OPERATOR if self.operator_provided else Mode.OWNERS

    @property
    def replicas(self) -> int:
        """The number of nodes that hold each offering in this mode."""
        return 1 if self.centralised else self.offering_replica_count

    @property
    def global_catalogue_url(self) -> str:
        """The endpoint of the Global Catalogue."""
        return f"{self.gc_url}:{self.gc_port}/catalogue"


def kafka_endpoint(file: str | Path = ".env") -> str | None:
    """Return the address of Kafka in the environment or in ``.env``; ``None`` if neither names one."""
    return os.environ.get("KAFKA_ENDPOINT") or dotenv_values(file).get("KAFKA_ENDPOINT") or None


def load(environment: Mapping[str, str] | None = None, file: str | Path = ".env") -> Settings:
    """Read the settings.

    Args:
        environment: Variables by name; ``None``: those of this process.
        file: A file with further variables, which need not exist.

    Raises:
        UsageError: Values are wrong, or settings contradict each other; the message names them all.
    """
    given = os.environ if environment is None else environment
    variables = {**{name: value for name, value in dotenv_values(file).items() if value is not None}, **given}
    values: dict[str, Any] = {}
    problems = []
    for field in dataclasses.fields(Settings):
        name = field.name.upper()
        if name not in variables:
            continue
        try:
            values[field.name] = field.metadata["parse"](variables[name].strip())
        except ValueError as error:
            example = field.metadata["default"]
            problems.append(
                f'{name}="{variables[name]}" should be {error}' + (f" (default: {example})" if example else "")
            )
    if not problems:
        settings = Settings(**values)
        problems = _contradictions(settings, variables)
    if problems:
        raise UsageError("the settings cannot be used:\n  " + "\n  ".join(problems))
    return settings


def _contradictions(settings: Settings, variables: Mapping[str, str]) -> list[str]:
    problems = []
    if settings.centralised and settings.operator_provided:
        problems.append(
            "CENTRALISED=1 and OPERATOR_PROVIDED=1 contradict each other: the first sends everything to GC_URL, the second "
            "to the nodes of CATALOGUE_LIST; set one of them to 0"
        )
    if "CATALOGUE_LIST" in variables and not settings.operator_provided:
        problems.append("CATALOGUE_LIST is set but not used; set OPERATOR_PROVIDED=1 with it, or leave it out")
    if settings.operator_provided and not settings.centralised and not Path(settings.catalogue_list).is_file():
        problems.append(
            f"OPERATOR_PROVIDED=1 needs the file CATALOGUE_LIST={settings.catalogue_list}, and there is none; "
            "examples/catalogue_list.json shows what it holds"
        )
    return problems
