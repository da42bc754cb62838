"""The options of a link, in one table. The command line wins over the constructor, and that over the class."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from catena_core.errors import UsageError
from catena_core.kafka.properties import SET_BY_LINKS
from catena_core.mistakes import suggestion
from catena_core.monitoring.logs import LEVELS
from catena_core.text import conceal, is_secret, is_utf8, password_of, redacted
from catena_core.topics import is_topic

INPUT_MODES = ("parity", "exp")
DELIVERIES = ("at_least_once", "exactly_once")

# The headings under which `--help` shows them.
TOPICS = "What it reads and writes"
WORK = "How it works"
SERVICES = "What it serves"
STORES = "Stores"
OTHERS = "Everything else"


def _option(
    section: str,
    default: Any,
    help_text: str,
    *flags: str,
    metavar: str = "",
    choices: Sequence[str] = (),
    environment: str = "",
) -> Any:
    """Make a field that is also an option of the command line."""
    described = {
        "section": section,
        "help": help_text,
        "flags": flags,
        "metavar": metavar or None,
        "choices": tuple(choices),
        "environment": environment or None,
    }
    return field(default=default, metadata=described)


@dataclass(frozen=True)
class LinkOptions:
    """The options of a link: each is an argument of its constructor and an option of its command line."""

    kafka_endpoint: str | None = _option(
        TOPICS,
        None,
        "Where Kafka answers; several brokers by comma.",
        "-k",
        "--kafka",
        "--kafka-bootstrap-server",
        metavar="HOST:PORT",
        environment="KAFKA_ENDPOINT",
    )
    input_topics: tuple[str, ...] = _option(
        TOPICS,
        (),
        "Topics to read, by comma, or the option repeated. One that begins with ^ is a regular expression; topics made later "
        "count, too.",
        "-i",
        "--input",
        metavar="TOPICS",
    )
    output_topics: tuple[str, ...] = _option(
        TOPICS,
        (),
        "Topics to write, by comma, or the option repeated. What is sent without a topic goes to the first.",
        "-o",
        "--output",
        metavar="TOPICS",
    )
    consumer_group: str | None = _option(
        TOPICS,
        None,
        "The instances of one group share the electrons; each group gets all of them.  [default: the link's name]",
        "-g",
        "--consumer-group",
        metavar="NAME",
    )
    uid_consumer_group: bool = _option(
        TOPICS, False, "Be a group of its own: this instance gets every electron.", "--random-consumer-group"
    )
    instance_id: str | None = _option(
        TOPICS,
        None,
        "A name that outlives restarts. An instance that is back within 10 seconds gets its partitions again, and the "
        "others notice nothing.",
        "--instance-id",
        metavar="NAME",
    )
    delivery: str = _option(
        WORK,
        "at_least_once",
        "at_least_once: after a crash an electron may be transformed again. exactly_once: outputs and offsets are one "
        "transaction, which holds for whoever reads only what is committed.",
        "--delivery",
        choices=DELIVERIES,
    )
    synchronous: bool = _option(
        WORK,
        False,
        "One electron at a time: its outputs are acknowledged, and it is committed, before the next.",
        "--sync/--no-sync",
    )
    sequential: bool = _option(
        WORK,
        False,
        "Keep the order: one lane, and outputs without a key go to one partition.",
        "--seq/--no-seq",
    )
    num_main_threads: int | None = _option(
        WORK,
        None,
        "Lanes: threads that transform side by side, the electrons of one key in order. For transforms that wait for "
        "others.  [default: as the link is written]",
        "--main-threads",
        metavar="N",
    )
    processes: int = _option(
        WORK,
        1,
        "Run as N processes on this machine. For transforms that keep a processor busy.",
        "--processes",
        metavar="N",
    )
    input_mode: str = _option(
        WORK,
        "parity",
        "What several input topics get while all have work: parity: the same. exp: each 1.7 times what the next gets.",
        "--input-mode",
        choices=INPUT_MODES,
    )
    exp_window_size: int = _option(
        WORK, 900, "Among how many electrons these shares hold.", "--exp-window-size", metavar="N"
    )
    consumer_timeout: float = _option(
        WORK,
        300,
        "How long one electron may take before the link reports that it is stuck; and how long Kafka may be silent where a "
        "link cannot go on without an answer, as in its setup, before it ends.",
        "--consumer-timeout",
        metavar="SECONDS",
    )
    num_rpc_threads: int = _option(
        SERVICES,
        1,
        "Threads that answer calls of other links. 0: it is neither called nor seen by them.",
        "--rpc-threads",
        metavar="N",
    )
    rpc_port: int | None = _option(
        SERVICES,
        None,
        "Answer calls over HTTP, too, as JSON-RPC 2.0; 0 takes a free port.",
        "--rpc-port",
        metavar="PORT",
    )
    metrics_port: int | None = _option(
        SERVICES,
        None,
        "Serve /metrics for Prometheus, /healthz and /readyz; 0 takes a free port.",
        "--metrics-port",
        metavar="PORT",
        environment="METRICS_PORT",
    )
    host: str = _option(
        SERVICES,
        "127.0.0.1",
        "Where these ports are opened. 0.0.0.0: for other machines, too.",
        "--host",
        metavar="ADDRESS",
    )
    mongodb_endpoint: str | None = _option(
        STORES, None, "MongoDB, which the link finds as self.mongodb.", "-m", "--mongodb", metavar="HOST:PORT"
    )
    aerospike_endpoint: str | None = _option(
        STORES,
        None,
        "Aerospike, as self.aerospike.",
        "-a",
        "--aerospike",
        "--aerospike-bootstrap-server",
        metavar="HOST:PORT",
    )
    redis_endpoint: str | None = _option(STORES, None, "Redis, as self.redis.", "--redis", metavar="HOST:PORT")
    log_level: str = _option(OTHERS, "info", "The lowest level to log.", "--log-level", choices=LEVELS)
    log_format: str = _option(
        OTHERS,
        "text",
        "text: for people. json: for machines, one object a line.",
        "--log-format",
        choices=("text", "json"),
    )
    properties: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,  # some of them are passwords
        metadata={
            "section": OTHERS,
            "help": "A property of librdkafka, Kafka's client, for instance security.protocol=SSL; may be repeated. The "
            "variable KAFKA_SECURITY_PROTOCOL sets it, too: the better place for passwords. KAFKA_SASL_PASSWORD_FILE names a "
            "file that holds one.",
            "flags": ("-X",),
        },
    )

    def __post_init__(self) -> None:
        """Conceal passwords, so that no log line and no dead letter shows them."""
        conceal(*(str(value) for name, value in self.properties.items() if is_secret(name)))
        for endpoint in (self.mongodb_endpoint, self.aerospike_endpoint, self.redis_endpoint):
            conceal(password_of(endpoint or ""))

    def overridden_by(self, given: Mapping[str, Any]) -> LinkOptions:
        """Replace options by those of ``given``; ``None`` and empty topics leave an option as it is.

        Raises:
            UsageError: There is no such option, or it does not take such a value.
        """
        unknown = sorted(set(given) - {item.name for item in fields(self)})
        if unknown:
            hint = suggestion(unknown[0], _FLAGS) or "; its options are the fields of LinkOptions"
            raise UsageError(f"a link has no option {', '.join(unknown)}{hint}")
        changes = {name: value for name, value in given.items() if value is not None and value != ()}
        return replace(self, **{name: _read(name, value) for name, value in changes.items()})


def split_topics(text: str | None) -> tuple[str, ...]:
    """Split a comma-separated list of topics, without blanks: ``"a, b"`` gives ``("a", "b")``."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def split_properties(pairs: Sequence[str]) -> dict[str, str]:
    """Read librdkafka properties from ``name=value`` texts.

    Raises:
        UsageError: One of them has no ``=``, or is one that links set themselves.
    """
    properties = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"-X {pair} should be name=value, for instance -X security.protocol=SSL")
        properties[name.strip()] = value.strip()
    _check_not_set_by_links(properties)
    return properties


def _check_not_set_by_links(properties: Mapping[str, str]) -> None:
    for name in properties:
        if name in SET_BY_LINKS:
            raise UsageError(f"the property {name} (-X {name}) cannot be set: {SET_BY_LINKS[name]}")


# The least and the most that a number may be.
_RANGES = {
    "num_main_threads": (1, 10_000),
    "num_rpc_threads": (0, 10_000),
    "processes": (1, 1000),
    "exp_window_size": (1, 10**9),
    "consumer_timeout": (1, 10**9),
    "rpc_port": (0, 65535),
    "metrics_port": (0, 65535),
}
_BROKER = re.compile(
    r"(?:(?:sasl_)?(?:plaintext|ssl)://)?(?:[^\s:/,\[\]]+|\[[0-9a-f:.%]+\])(?::([0-9]{1,5}))?", re.IGNORECASE
)
KUBERNETES = (
    "; Kubernetes sets such variables for its services: write enableServiceLinks: false into the pod, or set this one"
)
"""A hint for the value ``tcp://…`` of a variable."""
_FLAGS = {item.name: item.metadata["flags"][-1].partition("/")[0] for item in fields(LinkOptions)}
_VARIABLES = {item.name: item.metadata.get("environment") for item in fields(LinkOptions)}
_CHOICES = {item.name: item.metadata["choices"] for item in fields(LinkOptions) if item.metadata.get("choices")}


def _read(name: str, value: Any) -> Any:
    for text in value.values() if name == "properties" else (value,):
        if isinstance(text, str) and not is_utf8(text):
            raise UsageError(f"{_called(name)} is no text in UTF-8")  # Kafka's client would fail at it
    if name in ("input_topics", "output_topics"):
        names = split_topics(value) if isinstance(value, str) else value
        if not isinstance(names, Collection) or not all(isinstance(topic, str) for topic in names):
            raise UsageError(f"{_called(name)} are names of topics, not {value!r}")
        topics = tuple(dict.fromkeys(names))
        check_topics(topics, patterns=name == "input_topics")
        return topics
    if name == "properties":
        _check_not_set_by_links(value)
        return value
    if name in _CHOICES:
        value = {"warn": "warning"}.get(str(value).lower(), str(value).lower())
        if value not in _CHOICES[name]:
            raise UsageError(f"{_called(name)} is one of {', '.join(_CHOICES[name])}, not {value}")
        return value
    if name in _RANGES:
        least, most = _RANGES[name]
        try:
            number = float(value) if name == "consumer_timeout" else int(value)
        except (TypeError, ValueError, OverflowError):
            hint = KUBERNETES if str(value).startswith("tcp://") else ""
            raise UsageError(f"{_called(name)} is a number, not {value!r}{hint}") from None
        if not number >= least:
            raise UsageError(f"{_called(name)} is at least {least}, not {value}")
        if number > most:
            raise UsageError(f"{_called(name)} is at most {most}, not {value}")
        return number
    return value


def _called(name: str) -> str:
    """Name an option as its constructor, its command line and the environment do."""
    return f"{name} ({' or '.join(filter(None, (_FLAGS[name], _VARIABLES[name])))})"


def check_brokers(endpoint: str) -> None:
    """Refuse an address of Kafka at which nothing can ever answer.

    Args:
        endpoint: ``host:port``, several by comma.

    Raises:
        UsageError: It is none.
    """
    for broker in endpoint.split(","):
        found = _BROKER.fullmatch(broker.strip())
        if not found or not 0 < int(found[1] or 1) < 65536 or not is_utf8(broker):
            hint = KUBERNETES if broker.strip().startswith("tcp://") else ""
            raise UsageError(
                f"{redacted(endpoint)!r} is no address of Kafka; write -k HOST:PORT or KAFKA_ENDPOINT=HOST:PORT, several "
                f"by comma{hint}"
            )


def check_topics(topics: Sequence[str], patterns: bool) -> None:
    """Refuse names that no topic can have, since a link would wait for them for ever.

    Args:
        topics: The names.
        patterns: Whether those that begin with ``^`` are regular expressions.

    Raises:
        UsageError: One of them is no name of a topic, and no regular expression.
    """
    for topic in topics:
        if patterns and topic.startswith("^"):
            try:
                re.compile(topic)
            except re.error as error:
                raise UsageError(f"the input topic {topic} is no regular expression: {error}") from None
        elif not is_topic(topic):
            raise UsageError(
                f"{topic} is no name of a topic: Kafka takes up to 249 of the characters a-z, A-Z, 0-9, dot, _ and -"
            )
