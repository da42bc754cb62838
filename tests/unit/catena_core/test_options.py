"""Options: from the class, the constructor and the command line, which wins; and what is said of those that cannot be."""

from dataclasses import fields

import pytest

from catena_core import Link
from catena_core.errors import UsageError
from catena_core.options import LinkOptions, check_brokers
from tests.helpers.command_lines import Copies, read, refusal

BOTH_WAYS = [
    ("kafka_endpoint", "a:1", ["-k", "b:2"], "b:2"),
    ("kafka_endpoint", "a:1", ["--kafka", "b:2,c:3"], "b:2,c:3"),
    ("kafka_endpoint", "a:1", ["--kafka-bootstrap-server", "b:2"], "b:2"),
    ("input_topics", ("one",), ["-i", "two,three"], ("two", "three")),
    ("input_topics", "one", ["--input", " two , three "], ("two", "three")),
    ("output_topics", ["one"], ["-o", "two"], ("two",)),
    ("output_topics", ("one",), ["--output", "two,three"], ("two", "three")),
    ("consumer_group", "one", ["-g", "two"], "two"),
    ("consumer_group", "one", ["--consumer-group", "two"], "two"),
    ("uid_consumer_group", False, ["--random-consumer-group"], True),
    ("instance_id", "one", ["--instance-id", "two"], "two"),
    ("delivery", "at_least_once", ["--delivery", "exactly_once"], "exactly_once"),
    ("synchronous", False, ["--sync"], True),
    ("synchronous", True, ["--no-sync"], False),
    ("sequential", False, ["--seq"], True),
    ("sequential", True, ["--no-seq"], False),
    ("num_main_threads", 2, ["--main-threads", "8"], 8),
    ("processes", 1, ["--processes", "3"], 3),
    ("input_mode", "parity", ["--input-mode", "exp"], "exp"),
    ("input_mode", "exp", ["--input-mode", "PARITY"], "parity"),
    ("exp_window_size", 100, ["--exp-window-size", "200"], 200),
    ("consumer_timeout", 10, ["--consumer-timeout", "2.5"], 2.5),
    ("num_rpc_threads", 1, ["--rpc-threads", "0"], 0),
    ("rpc_port", 1001, ["--rpc-port", "1002"], 1002),
    ("metrics_port", 1001, ["--metrics-port", "0"], 0),
    ("host", "127.0.0.1", ["--host", "0.0.0.0"], "0.0.0.0"),
    ("mongodb_endpoint", "a:1", ["-m", "b:2"], "b:2"),
    ("mongodb_endpoint", "a:1", ["--mongodb", "b:2"], "b:2"),
    ("aerospike_endpoint", "a:1", ["-a", "b:2"], "b:2"),
    ("aerospike_endpoint", "a:1", ["--aerospike-bootstrap-server", "b:2"], "b:2"),
    ("redis_endpoint", "a:1", ["--redis", "b:2"], "b:2"),
    ("log_level", "error", ["--log-level", "debug"], "debug"),
    ("log_format", "text", ["--log-format", "json"], "json"),
    ("properties", {"linger.ms": "1"}, ["-X", "linger.ms=2"], {"linger.ms": "2"}),
]


@pytest.mark.parametrize(("name", "given", "arguments", "expected"), BOTH_WAYS)
def test_an_option_of_the_constructor_is_one_of_the_command_line_which_wins(name, given, arguments, expected):
    silent, _ = read([], **{name: given})
    listed = name in ("input_topics", "output_topics")
    assert getattr(silent, name) == (((given,) if isinstance(given, str) else tuple(given)) if listed else given)
    told, _ = read(arguments, **{name: given})
    assert getattr(told, name) == expected


def test_every_option_stands_in_the_table_above():
    assert {name for name, *_ in BOTH_WAYS} == {item.name for item in fields(LinkOptions)}


def test_what_nothing_says_comes_from_the_class():
    options, _ = read([])
    assert (options.input_topics, options.output_topics) == (("in",), ("out",))


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", "debug"), ("Warn", "warning"), ("CRITICAL", "critical")])
def test_log_levels_may_be_upper_case(level, expected):
    assert Copies(log_level=level).options.log_level == expected


def test_a_log_level_may_be_upper_case_on_the_command_line():
    assert read(["--log-level", "ERROR"])[0].log_level == "error"


def test_numbers_may_be_given_as_text():
    options = Copies(
        exp_window_size="450", num_rpc_threads="2", num_main_threads="3", consumer_timeout="16", processes="2"
    ).options
    assert (options.exp_window_size, options.num_rpc_threads, options.num_main_threads) == (450, 2, 3)
    assert (options.consumer_timeout, options.processes) == (16.0, 2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("num_main_threads", "many", "num_main_threads (--main-threads) is a number, not 'many'"),
        ("num_main_threads", 0, "is at least 1, not 0"),
        ("num_rpc_threads", -1, "is at least 0, not -1"),
        ("consumer_timeout", float("nan"), "is at least 1, not nan"),
        ("exp_window_size", [], "is a number, not []"),
        ("consumer_timeout", float("inf"), "is at most 1000000000, not inf"),
        ("metrics_port", 70000, "metrics_port (--metrics-port or METRICS_PORT) is at most 65535, not 70000"),
        ("rpc_port", "65536", "rpc_port (--rpc-port) is at most 65535, not 65536"),
        ("metrics_port", "tcp://10.0.0.1:9100", "not 'tcp://10.0.0.1:9100'; Kubernetes sets such variables"),
        ("input_mode", "random", "input_mode (--input-mode) is one of parity, exp, not random"),
        ("delivery", "at_most_once", "is one of at_least_once, exactly_once, not at_most_once"),
        ("log_level", "loud", "is one of debug, info, warning, error, critical, not loud"),
        ("input_topics", "^in-(", "the input topic ^in-( is no regular expression"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_would_be_right(name, value, said):
    with pytest.raises(UsageError) as error:
        Copies(**{name: value})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--main-threads", "many"], "num_main_threads (--main-threads) is a number, not 'many'"),
        (["--processes", "0"], "processes (--processes) is at least 1, not 0"),
        (["--input-mode", "random"], "'random' is not one of 'parity', 'exp'"),
        (["-X", "linger.ms"], "-X linger.ms should be name=value, for instance -X security.protocol=SSL"),
    ],
)
def test_a_bad_command_line_is_refused_with_what_would_be_right(arguments, said):
    assert said in refusal(arguments)


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("num_main_threads", "3", 3),
        ("num_rpc_threads", "0", 0),
        ("exp_window_size", "100", 100),
        ("consumer_timeout", "1.5", 1.5),
        ("metrics_port", "8000", 8000),
        ("rpc_port", "8001", 8001),
        ("processes", "2", 2),
    ],
)
def test_number_options_are_numbers_also_where_they_were_given_as_text(name, text, number):
    """A number that stays text is compared as text."""
    value = getattr(Link(**{name: text}).options, name)
    assert (type(value), value) == (type(number), number)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "kafka:0",
        "kafka:99999",
        "kafka:port",
        "http://kafka:9092",
        "a:1,,b:2",
        "kafka:9092/topic",
        "::1",
        "\udce4:1",
    ],
)
def test_an_address_that_kafka_cannot_have_is_refused(endpoint):
    with pytest.raises(UsageError, match="is no address of Kafka; write -k HOST:PORT"):
        check_brokers(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["kafka", "a.example:9092, b:1", "SASL_SSL://kafka:9093", "[::1]:9092", "_kafka_1:9092"]
)
def test_addresses_that_kafka_may_have_are_taken(endpoint):
    check_brokers(endpoint)


def test_address_as_kubernetes_sets_it_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="enableServiceLinks"):
        check_brokers("tcp://10.0.0.1:9092")


@pytest.mark.parametrize(
    "given",
    [
        {"kafka_endpoint": "caf\udce9:9092"},
        {"consumer_group": "caf\udce9"},
        {"instance_id": "caf\udce9"},
        {"properties": {"client.id": "caf\udce9"}},
    ],
)
def test_options_that_are_no_unicode_are_refused(given):
    with pytest.raises(UsageError, match=r"is no text in UTF-8"):
        LinkOptions().overridden_by(given)
