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
from typing import Any, Literal, NamedTuple, cast

from catena_core.errors import UsageError
from catena_core.monitoring.logs import LinkLogger
from catena_core.options import KUBERNETES
from catena_core.text import redacted, split_credentials, without_user
from federation.networks import Network
from topology import setting_values as read
from topology.env_file import env_file, misspelt, mistakes, read_env_file
from topology.setting_values import Secret

_OTHER_VARIABLES = {"KAFKA_ENDPOINT", "METRICS_PORT"}
# Kubernetes sets such variables for each service of a namespace.
_OF_KUBERNETES = re.compile(r"^\w+_SERVICE_(?:HOST|PORT)|=(?:tcp|udp|sctp)://")


class RedisSecurity(NamedTuple):
    """How Redis is protected.

    Attributes:
        user: The user; empty for the default one.
        password: That user's password; empty for none.
        uses_tls: Whether it speaks TLS.
        ca_file: A file of certificates to trust; empty: the system's.
    """

    user: str = ""
    password: Secret = Secret("")
    uses_tls: bool = False
    ca_file: str = ""


class Mode(Enum):
    """The source of the catalogue nodes."""

    OPERATOR = "the nodes that CATALOGUE_LIST names"
    OWNERS = "one node for each owner of an offering"
    CENTRALISED = "the Global Catalogue alone"


def _setting(default: str, parse: Callable[[str], Any], help_text: str) -> Any:
    """Define a setting; its environment variable is the field's name in capitals."""
    return dataclasses.field(default=parse(default), metadata={"parse": parse, "default": default, "help": help_text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of an operator; the variable of each field is its name in capitals."""

    # Where the nodes come from
    operator_provided: bool = _setting(
        "0", read.switch, "1: the nodes are those of CATALOGUE_LIST; 0: inferred from offerings"
    )
    centralised: bool = _setting("0", read.switch, "1: everything goes to the Global Catalogue at GC_URL")
    catalogue_list: str = _setting(
        "./catalogue_list.json", read.text, "file that names the nodes; read again when it changes"
    )
    node_url_template: str = _setting(
        "{scheme}://{host}:3030/catalogue", read.template, "an owner's node, from scheme and host of its descriptions"
    )
    node_protocol: Literal["auto", "sedimark", "graph-store"] = _setting(
        "auto",
        read.one_of("auto", "sedimark", "graph-store"),
        "how nodes are written to: auto, sedimark or graph-store",
    )
    node_credentials: str = _setting(
        "", read.any_text, "JSON file of credentials by node's id, or by URL; read again when it changes; empty: none"
    )
    gc_url: str = _setting("http://global-catalogue", read.host_url, "the Global Catalogue, without port and path")
    gc_port: int = _setting("3030", read.whole(1, 65535), "its port; its path is /catalogue")

    # The ledger and the descriptions
    dlt_base_url: str = _setting("http://dlt-booth:8085/api", read.url, "the DLT-Booth")
    provider_networks: tuple[str | Network, ...] = _setting(
        "auto",
        read.provider_networks,
        "networks in which providers may stand: public, private, loopback, shared, unique-local, or CIDR blocks; "
        "auto: public, and private ones if DLT_BASE_URL is in one",
    )
    offering_fetch_interval: float = _setting("60", read.seconds, "seconds between two looks at the ledger's listing")
    offering_refresh_interval: float = _setting(
        "3600", read.seconds, "seconds after which a description is fetched again"
    )
    offering_desc_timeout: float = _setting("60", read.seconds, "seconds that one request for a description may take")
    offering_gone_after: float = _setting(
        "21600",
        read.seconds,
        "seconds of failures after which an offering is withdrawn; a provider's 410 withdraws it at once",
    )
    offering_own_hosts: tuple[str, ...] = _setting(
        "", read.hosts, "hosts that may get WORKER_POOL_SIZE requests at a time, beside the DLT-Booth's; others get one"
    )
    offering_max_bytes: int = _setting("4194304", read.whole(1024, 2**30), "bytes that a description may have")
    verify_description_hash: Literal["off", "warn", "enforce"] = _setting(
        "warn",
        read.one_of("off", "warn", "enforce"),
        "whether a description must have the hash that the ledger has of it",
    )
    worker_pool_size: int = _setting("10", read.whole(1, 1000), "descriptions that one fetcher fetches at a time")
    jsonld_contexts: str = _setting(
        "", read.any_text, "file that maps the URLs of JSON-LD contexts to files; empty: inline only"
    )

    # Placement
    offering_replica_count: int = _setting("2", read.whole(1, 100), "nodes that hold each offering")
    hash_ring_virtual_nodes: int = _setting(
        "150", read.whole(1, 10000), "points of a node of weight 1 on the hash ring"
    )
    node_health_check_interval: float = _setting("30", read.seconds, "seconds between two checks of a node")
    node_grace_period: float = _setting("60", read.seconds, "seconds that a silent node keeps its place on the ring")
    node_inspection_interval: float = _setting(
        "60", read.seconds, "seconds between two comparisons of a node's graphs with those that it acknowledged"
    )
    node_timeout: float = _setting("10", read.seconds, "seconds that a node may take to answer")

    # The gateway
    host_address: str = _setting("0.0.0.0", read.text, "address that the gateway listens on")
    host_port: int = _setting("3030", read.whole(0, 65535), "port that the gateway listens on; 0: any free one")
    sparql_timeout: float = _setting("60", read.seconds, "seconds that one query may take")
    sparql_partial: bool = _setting(
        "1", read.switch, "1: answers that may lack graphs are given and say so; 0: they are refused with status 503"
    )
    sparql_cache_ttl: float | None = _setting(
        "auto",
        read.seconds_or_auto,
        "seconds that answers are cached; 0: not; auto: 60 with Kafka, without it not",
    )
    gateway_view: bool = _setting(
        "1",
        read.switch,
        "1: a gateway with Kafka holds every graph in a store of its own and answers from it; 0: it asks nodes",
    )
    gateway_view_bytes: int = _setting(
        "1073741824",
        read.whole(2**20, 2**50),
        "bytes of memory that this store may take; beyond them it is on disk",
    )
    gateway_view_directory: str = _setting(
        "",
        read.any_text,
        "directory that keeps this store on disk from the start, and across restarts; empty: it is in memory up to that bound, "
        "and beyond it in catena/view of XDG_CACHE_HOME, by default ~/.cache",
    )
    sparql_workers: int = _setting("2", read.whole(1, 256), "queries that are evaluated at the same time")
    sparql_memory: int = _setting("4096", read.whole(256, 2**24), "MiB of address space that each evaluator may take")
    sparql_result_max_bytes: int = _setting("268435456", read.whole(1024, 2**40), "bytes that a result may have")
    sparql_services: tuple[str, ...] = _setting(
        "", read.hosts, "hosts that SERVICE may call, with commas between them; empty: none"
    )

    # Who may use the gateway
    gateway_url: str = _setting(
        "",
        read.url_or_none,
        "the gateway's public address, which stands in catalogues; empty: the one that clients use",
    )
    gateway_api_keys_file: str = _setting(
        "", read.any_text, "JSON file of the keys of clients; read again when it changes; empty: none"
    )
    gateway_oidc_issuer: str = _setting(
        "", read.url_or_none, "issuer of the tokens of clients (OpenID Connect); empty: none"
    )
    gateway_oidc_audience: str = _setting("", read.any_text, "audience that these tokens must name")
    gateway_open_reading: bool = _setting(
        "1", read.switch, "1: reading needs no key; 0: everything but pages and health needs one"
    )
    gateway_rate_limit: int = _setting(
        "0", read.whole(0, 1_000_000), "requests that a client may send in a minute; 0: any number"
    )
    gateway_trusted_proxies: tuple[Network, ...] = _setting(
        "", read.networks, "addresses and networks of proxies whose X-Forwarded-For counts, by comma; empty: none"
    )
    gateway_admin_port: int | None = _setting(
        "", read.port_or_none, "port of its own for the admin part; empty: none, it is on HOST_PORT; 0: any free one"
    )
    gateway_key: Secret = _setting("", Secret, "key that the catena command sends to gateways; empty: none")  # noqa: RUF009

    # Redis, a shared cache that may be missing
    redis_host: str = _setting(
        "catalogue-coordinator-redis", read.host, "host of Redis; empty: none, each process for itself"
    )
    redis_port: int = _setting("6379", read.whole(1, 65535), "its port")
    redis_db: int = _setting("0", read.whole(0, 1000000), "its database number")
    redis_user: str = _setting("", read.any_text, "user of Redis; empty: its default user")
    redis_password: Secret = _setting("", Secret, "that user's password; empty: none")  # noqa: RUF009 (immutable, too)
    redis_password_file: str = _setting("", read.any_text, "file that holds it instead; empty: none")
    redis_tls: bool = _setting("0", read.switch, "1: Redis speaks TLS")
    redis_ca_file: str = _setting("", read.any_text, "file of the certificates to trust then; empty: the system's")

    # The local runner and its sandbox
    subprocess_health_check_interval: float = _setting(
        "5", read.seconds, "seconds between two looks at the links' processes"
    )
    sandbox_offerings: str = _setting(
        "100", read.count_or_file, "offerings that the sandbox lists: how many, or a JSON-LD file"
    )
    sandbox_seed: int = _setting("1", read.whole(0, 2**31), "seed of the offerings that it makes up")

    def __post_init__(self) -> None:
        """Part the addresses of the operator's servers from the credentials in them."""
        found = {}
        for name in ("dlt_base_url", "gc_url"):
            url, authorization = split_credentials(getattr(self, name))
            object.__setattr__(self, name, url)
            if authorization:
                found[self.global_catalogue_url if name == "gc_url" else url] = authorization
        self.__dict__["_url_credentials"] = found

    @property
    def url_credentials(self) -> Mapping[str, str]:
        """The ``Authorization`` headers that stood as user and password in addresses, by address."""
        return cast("Mapping[str, str]", self.__dict__["_url_credentials"])

    @property
    def redis_security(self) -> RedisSecurity:
        """How Redis is protected.

        Raises:
            UsageError: The file of its password cannot be read.
        """
        password = self.redis_password
        if self.redis_password_file:
            try:
                password = Secret(Path(self.redis_password_file).read_text(encoding="utf-8").rstrip("\r\n"))
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"REDIS_PASSWORD_FILE={self.redis_password_file} should be a file that holds a password: {error}"
                ) from error
        return RedisSecurity(self.redis_user, password, self.redis_tls, self.redis_ca_file)

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


def kafka_endpoint() -> str | None:
    """Return the address of Kafka in the environment or in ``.env``; ``None`` if neither names one."""
    return os.environ.get("KAFKA_ENDPOINT") or read_env_file(env_file()).get("KAFKA_ENDPOINT") or None


def known_variables() -> set[str]:
    """Return the names of the variables that Catena reads."""
    return {field.name.upper() for field in dataclasses.fields(Settings)} | _OTHER_VARIABLES


def variables_in_force() -> dict[str, str]:
    """Return the variables of ``.env`` and of the environment, which wins; warn of mistakes in their names and lines.

    Raises:
        UsageError: The file cannot be read.
    """
    file = env_file()
    known = known_variables()
    found = mistakes(file, known)
    if file:  # else catena up has told of them
        own = [name for name, value in os.environ.items() if not _OF_KUBERNETES.search(f"{name}={value}")]
        found += [f"the environment: {mistake}" for name in own if (mistake := misspelt(name, known))]
    for mistake in found:
        LinkLogger("settings").log(mistake, level="warning")
    return {**read_env_file(file), **os.environ}


def load(environment: Mapping[str, str] | None = None, file: str | Path = "") -> Settings:
    """Read the settings.

    Args:
        environment: Variables by name; ``None``: those in force.
        file: A file with further variables, which need not exist; empty: none.

    Raises:
        UsageError: Values are wrong, or settings contradict each other; the message names them all.
    """
    variables = variables_in_force() if environment is None else {**read_env_file(file), **environment}
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
                f'{name}="{redacted(without_user(variables[name]))}" should be {error}'
                + (f" (default: {example})" if example else "")
                + (KUBERNETES if variables[name].startswith("tcp://") else "")
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
    if bool(settings.gateway_oidc_issuer) != bool(settings.gateway_oidc_audience):
        problems.append("GATEWAY_OIDC_ISSUER and GATEWAY_OIDC_AUDIENCE belong together; set both, or none")
    if not settings.gateway_open_reading and not (settings.gateway_api_keys_file or settings.gateway_oidc_issuer):
        problems.append(
            "GATEWAY_OPEN_READING=0 shuts all clients out, since none has a key; set GATEWAY_API_KEYS_FILE or "
            "GATEWAY_OIDC_ISSUER with it"
        )
    if settings.gateway_admin_port and settings.gateway_admin_port == settings.host_port:
        problems.append(
            f"HOST_PORT and GATEWAY_ADMIN_PORT are both {settings.host_port}; choose another for one of them"
        )
    if settings.redis_ca_file and not settings.redis_tls:
        problems.append("REDIS_CA_FILE is set but not used; set REDIS_TLS=1 with it, or leave it out")
    if settings.redis_password.reveal() and settings.redis_password_file:
        problems.append("REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set; leave one of them out")
    needs_list = settings.operator_provided and not settings.centralised
    if needs_list and not os.path.isfile(settings.catalogue_list):  # noqa: PTH113 (no error for long names)
        problems.append(
            f"OPERATOR_PROVIDED=1 needs the file CATALOGUE_LIST={settings.catalogue_list}, and there is none; "
            "examples/catalogue_list.json shows what it holds"
        )
    return problems
