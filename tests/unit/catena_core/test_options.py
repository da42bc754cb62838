"""Options: from the class, the constructor and the command line, which wins; and what is said of those that cannot be."""

import subprocess
import sys
from dataclasses import fields

import pytest
from click.testing import CliRunner

from catena_core import Link
from catena_core.cli import command, environment_properties
from catena_core.errors import UsageError
from catena_core.options import LinkOptions, check_brokers
from catena_core.text import redacted


class Copies(Link):
    """Copies what it reads."""

    inputs, outputs = ("in",), ("out",)

    def transform(self, electron):
        return electron.value


def read(arguments, environment=None, **given):
    """Read a command line as a link made with these options: its options and further arguments."""
    taken = []
    link_command = command("copies", Copies.__doc__ or "", Copies(**given).options, lambda *both: taken.append(both))
    result = CliRunner().invoke(link_command, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return taken[0]


def refusal(arguments, environment=None, **given):
    """Return what is said of a command line that cannot be."""
    link_command = command("copies", Copies.__doc__ or "", Copies(**given).options, lambda *_: None)
    result = CliRunner().invoke(link_command, arguments, env=environment)
    assert result.exit_code == 2
    return result.output


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


def test_a_group_named_on_the_command_line_beats_a_group_of_its_own():
    options, _ = read(["-g", "shared"], uid_consumer_group=True)
    assert (options.consumer_group, options.uid_consumer_group) == ("shared", False)


def test_arguments_of_the_link_reach_it_in_order():
    options, further = read(["first", "-k", "a:1", "second", "--", "--colour", "red", "-i", "last"])
    assert options.kafka_endpoint == "a:1"
    assert further == ["first", "second", "--colour", "red", "-i", "last"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--log-leve", "debug"], "'--log-leve'. Did you mean '--log-level'"),
        (["--metrics-prt=9100"], "one of: '--metrics-port'"),
        (["-k", "a:1", "--colour"], "'--colour'"),
        (["-z"], "'-z'"),
    ],
)
def test_an_unknown_option_is_refused_with_one_that_is_near(arguments, said):
    assert said in refusal(arguments)


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
        ("metrics_port", 70000, "metrics_port (--metrics-port) is at most 65535, not 70000"),
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


def test_variables_set_properties_and_the_command_line_wins():
    variables = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_LINGER_MS": "7",
        "KAFKA_ENDPOINT": "e:9",
        # What Kubernetes sets for a service called kafka, and the like, names no property.
        "KAFKA_PORT": "tcp://10.0.0.1:9092",
        "KAFKA_HOME": "/opt/kafka",
    }
    options, _ = read(["-X", "linger.ms=8", "-X", "client.id = me"], variables)
    assert options.kafka_endpoint == "e:9"
    assert options.properties == {
        "security.protocol": "SASL_SSL",
        "sasl.username": "ann",
        "linger.ms": "8",
        "client.id": "me",
    }
    assert read(["-k", "b:2"], variables)[0].kafka_endpoint == "b:2"


def test_help_teaches():
    link_command = command("copies", Copies.__doc__ or "", Copies(consumer_group="mine").options, lambda *_: None)
    text = CliRunner(env={"COLUMNS": "110"}).invoke(link_command, ["--help"], prog_name="copies.py").output
    headings = [
        "What it reads and writes:",
        "How it works:",
        "What it serves:",
        "Stores:",
        "Everything else:",
        "Examples:",
    ]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "Copies what it reads." in text
    for item in fields(LinkOptions):
        for flag in item.metadata["flags"]:
            assert flag.partition("/")[0] in text
    for told in ("[default: in]", "[default: mine]", "[env var: KAFKA_ENDPOINT]", "[default: 127.0.0.1]"):
        assert told in text
    assert "python copies.py -k localhost:9092 -i in -o out" in text
    assert max(map(len, text.splitlines())) <= 110


PROGRAM = """
from catena_core import Link

class Copies(Link):
    inputs = ("in",)

    def transform(self, electron):
        return None

Copies().start()
"""


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "said"),
    [
        (["-X", "colour=red"], {}, 1, 'No such configuration property: "colour"'),
        (["-X", "session.timeout.ms=soon"], {}, 1, 'Invalid value for configuration property "session.timeout.ms"'),
        ([], {"KAFKA_LINGER_MS": "soon"}, 1, "Invalid value for configuration property"),
        (["--rpc-threads", "few"], {}, 2, "num_rpc_threads (--rpc-threads) is a number, not 'few'"),
    ],
)
def test_a_bad_option_ends_the_program_with_one_clear_line(arguments, variables, status, said):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "-k", "127.0.0.1:1", *arguments],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if said in line]) == 1


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


def test_a_secret_may_be_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("pw-of-the-broker\n")
    options, _ = read([], {"KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "secret"), "KAFKA_LINGER_MS_FILE": "/nowhere"})
    assert options.properties == {"sasl.password": "pw-of-the-broker"}
    assert "pw-of-the-broker" not in repr(options)
    assert redacted("it says pw-of-the-broker") == "it says ***"


def test_a_file_of_a_secret_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", "/nowhere/secret")
    assert "KAFKA_SASL_PASSWORD_FILE=/nowhere/secret should be a file" in refusal([])


@pytest.mark.parametrize("store", ["redis_endpoint", "mongodb_endpoint"])
def test_passwords_of_stores_are_in_no_help_and_no_line(store):
    options = Copies(**{store: f"{store[:5]}://ada:pw-of-the-store@host"}).options
    link_command = command("copies", "", options, lambda *_: None)
    assert "pw-of" not in CliRunner().invoke(link_command, ["--help"]).output
    assert redacted("it says pw-of-the-store") == "it says ***"
    assert "pw-of" not in redacted(repr(options))


@pytest.mark.parametrize(
    "endpoint", ["", "kafka:0", "kafka:99999", "kafka:port", "http://kafka:9092", "a:1,,b:2", "kafka:9092/topic", "::1"]
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
    ("variable", "meant"),
    [
        ("KAFKA_SECURITY_PROTOCL", "KAFKA_SECURITY_PROTOCOL"),
        ("KAFKA_SASL_PASWORD_FILE", "KAFKA_SASL_PASSWORD_FILE"),
    ],
)
def test_misspelt_variable_of_a_property_is_told(variable, meant, monkeypatch, capsys):
    monkeypatch.setenv(variable, "SSL")
    monkeypatch.setenv("KAFKA_HEAP_OPTS", "-Xmx1G")
    assert environment_properties() == {}
    assert capsys.readouterr().err == f"Warning: {variable} sets nothing; did you mean {meant}?\n"
