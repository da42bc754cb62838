"""The options of a link, in one table: what its class says, what its constructor says, and the command line, which wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from catena_core.errors import UsageError
from catena_core.logs import LEVELS

INPUT_MODES = ("parity", "exp")
DELIVERIES = ("at_least_once", "exactly_once")


def _option(
    default: Any, help_text: str, *flags: str, metavar: str = "", choices: Sequence[str] = (), environment: str = ""
) -> Any:
    """A field that is also an option of the command line."""
    described = {
        "help": help_text,
        "flags": flags,
        "metavar": metavar or None,
        "choices": tuple(choices),
        "environment": environment or None,
    }
    return field(default=default, metadata=described)


@dataclass(frozen=True)
class LinkOptions:
    """How a link is joined to its topology. Each field is an argument of its constructor and an option of its command line."""

    kafka_endpoint: str | None = _option(
        None,
        "Where Kafka answers; several addresses by comma.",
        "-k",
        "--kafka",
        "--kafka-bootstrap-server",
        metavar="HOST:PORT",
        environment="KAFKA_ENDPOINT",
    )
    input_topics: tuple[str, ...] = _option(
        (),
        "Topics to read, by comma; one that begins with ^ is a regular expression.",
        "-i",
        "--input",
        metavar="TOPICS",
    )
    output_topics: tuple[str, ...] = _option(
        (), "Topics to write, by comma; the first is the default.", "-o", "--output", metavar="TOPICS"
    )
    consumer_group: str | None = _option(
        None, "Instances of one group share the partitions.", "-g", "--consumer-group", metavar="NAME"
    )
    uid_consumer_group: bool = _option(
        False, "Be a group of its own: this instance reads everything.", "--random-consumer-group"
    )
    delivery: str = _option(
        "at_least_once",
        "exactly_once writes outputs and offsets in one transaction; whoever reads them must read committed.",
        "--delivery",
        choices=DELIVERIES,
    )
    synchronous: bool = _option(
        False, "One electron at a time: its outputs are acknowledged and it is committed before the next.", "--sync"
    )
    sequential: bool = _option(
        False, "Keep the order from producer to consumer: one lane, and outputs without a key stay together.", "--seq"
    )
    num_main_threads: int | None = _option(
        None,
        "Lanes: threads that transform side by side, electrons of one key in order.  [default: what the link says, else 1]",
        "--main-threads",
        metavar="N",
    )
    processes: int = _option(
        1, "Run as N processes of this machine, for transforms that use up a processor.", "--processes", metavar="N"
    )
    input_mode: str = _option(
        "parity",
        "How several input topics share the lanes: evenly, or each 1.7 times the next.",
        "--input-mode",
        choices=INPUT_MODES,
    )
    exp_window_size: int = _option(
        900, "Electrons within which the shares of the input topics hold.", "--exp-window-size", metavar="N"
    )
    consumer_timeout: float = _option(
        300,
        "Seconds that one electron may take before its partition counts as stuck.",
        "--consumer-timeout",
        metavar="S",
    )
    instance_id: str | None = _option(
        None,
        "A name of this instance that outlives restarts: it gets the same partitions again, without a rebalance.",
        "--instance-id",
        metavar="NAME",
    )
    num_rpc_threads: int = _option(
        1, "Threads that serve calls of other links; 0: neither calls nor presence.", "--rpc-threads", metavar="N"
    )
    rpc_port: int | None = _option(None, "Serve calls as JSON-RPC 2.0 over HTTP, too.", "--rpc-port", metavar="PORT")
    metrics_port: int | None = _option(
        None, "Serve /metrics, /healthz and /readyz.", "--metrics-port", metavar="PORT", environment="METRICS_PORT"
    )
    host: str = _option("127.0.0.1", "The address on which those ports are opened.", "--host", metavar="ADDRESS")
    mongodb_endpoint: str | None = _option(None, "MongoDB, for self.mongodb.", "-m", "--mongodb", metavar="HOST:PORT")
    aerospike_endpoint: str | None = _option(
        None, "Aerospike, for self.aerospike.", "-a", "--aerospike", "--aerospike-bootstrap-server", metavar="HOST:PORT"
    )
    redis_endpoint: str | None = _option(None, "Redis, for self.redis.", "--redis", metavar="HOST:PORT")
    log_level: str = _option("info", "The lowest level to log.", "--log-level", choices=LEVELS)
    log_format: str = _option(
        "text", "json: one object a line, for machines.", "--log-format", choices=("text", "json")
    )
    properties: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Any librdkafka property, for instance -X security.protocol=SSL; may be repeated.",
            "flags": ("-X",),
        },
    )

    def overridden_by(self, given: Mapping[str, Any]) -> LinkOptions:
        """These options with those of ``given`` in their place; ``None`` and empty topics leave an option as it is.

        Raises:
            UsageError: There is no such option, or it does not take such a value.
        """
        unknown = sorted(set(given) - {item.name for item in fields(self)})
        if unknown:
            raise UsageError(f"a link has no option {', '.join(unknown)}; its options are the fields of LinkOptions")
        changes = {name: value for name, value in given.items() if value is not None and value != ()}
        return replace(self, **{name: _read(name, value) for name, value in changes.items()})


def split_topics(text: str | None) -> tuple[str, ...]:
    """The topic names of a comma-separated list, without blanks: ``"a, b"`` gives ``("a", "b")``."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def split_properties(pairs: Sequence[str]) -> dict[str, str]:
    """The librdkafka properties of ``name=value`` texts.

    Raises:
        UsageError: One of them has no ``=``.
    """
    properties = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"-X {pair} should be name=value, for instance -X security.protocol=SSL")
        properties[name.strip()] = value.strip()
    return properties


# The least that a number may be.
_LEAST = {
    "num_main_threads": 1,
    "num_rpc_threads": 0,
    "processes": 1,
    "exp_window_size": 1,
    "consumer_timeout": 1,
    "rpc_port": 0,
    "metrics_port": 0,
}
_CHOICES = {item.name: item.metadata["choices"] for item in fields(LinkOptions) if item.metadata.get("choices")}


def _read(name: str, value: Any) -> Any:
    if name in ("input_topics", "output_topics"):
        return split_topics(value) if isinstance(value, str) else tuple(value)
    if name in _CHOICES:
        value = {"warn": "warning"}.get(str(value).lower(), str(value).lower())
        if value not in _CHOICES[name]:
            raise UsageError(f"{name} is one of {', '.join(_CHOICES[name])}, not {value}")
        return value
    if name in _LEAST:
        try:
            number = float(value) if name == "consumer_timeout" else int(value)
        except ValueError:
            raise UsageError(f"{name} is a number, not {value!r}") from None
        if number < _LEAST[name]:
            raise UsageError(f"{name} is at least {_LEAST[name]}, not {number}")
        return number
    return value
